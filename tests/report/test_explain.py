"""One row from end to end: what is explained is what the engine does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.errors import FormulaFailure
from graders_engine.language.formula import Formula
from graders_engine.models.scripted import Scripted
from graders_engine.report.explain import explain, explain_formula
from graders_engine.report.terminal.explain import explanation_text
from graders_engine.settings import EngineSettings

SOURCE = """
def grade(sample, item):
    print("seen", item["n"])
    return 0.5
"""
JUDGED: dict[str, Any] = {
    "type": "multi",
    "graders": {
        "right": {
            "type": "score_model",
            "model": "judge",
            "input": [
                {"role": "developer", "content": "Grade the answer."},
                {"role": "user", "content": ["To {{item.question}}:", "{{sample.output_json.a[0]}}"]},
            ],
        },
        "size": {"type": "python", "source": SOURCE},
    },
    "calculate_output": "right ^ 2 + size",
}  # fmt: skip
ROW = {"item": {"question": "what?", "n": 3}, "model_sample": '{"a": [7, "7"]}'}


def judged(answer: Any) -> EngineSettings:
    return EngineSettings(judges=Scripted(answer), sandbox="none")


def test_a_row_is_explained_from_its_templates_to_its_reward() -> None:
    explanation = explain(judged(0.5), JUDGED, ROW, 4)
    assert (explanation.line, explanation.reward, explanation.status) == (4, 0.75, "scored")
    assert [(t.path, t.source, t.rendered) for t in explanation.templates] == [
        ("graders.right.input[0].content", "Grade the answer.", "Grade the answer."),
        ("graders.right.input[1].content[0]", "To {{item.question}}:", "To what?:"),
        ("graders.right.input[1].content[1]", "{{sample.output_json.a[0]}}", "7"),
    ]
    assert [(v.name, v.value) for t in explanation.templates for v in t.variables] == [
        ("item.question", "what?"),
        ("sample.output_json.a[0]", 7),
    ]
    assert explanation.sub_rewards == {"right": 0.5, "size": 0.5}
    assert explanation.formula is not None
    assert (explanation.formula.filled, explanation.formula.value) == ("0.5 ^ 2 + 0.5", 0.75)
    assert explanation.printed == {"size.stdout": "seen 3\n"}
    (call,) = explanation.judges
    assert call.request.model == "judge"
    assert call.reply is not None
    assert json.loads(call.reply.text)["result"] == 0.5
    text = explanation_text(explanation)
    for line in (
        "    rendered: To what?:",
        "    sample.output_json.a[0] = 7",
        "  = 0.5 ^ 2 + 0.5",
        "  = 0.75",
        "    developer: Grade the answer.",
        "  size.stdout: seen 3",
    ):
        assert line in text.splitlines()
    assert '"result": 0.5' in text


def test_a_template_that_cannot_be_rendered_says_why() -> None:
    explanation = explain(judged(0.5), JUDGED, {**ROW, "model_sample": "no JSON"}, 1)
    assert explanation.status == "invalid"
    assert explanation.judges == []
    assert "is not JSON" in explanation.templates[2].problem
    assert "is not JSON" in explanation.templates[2].variables[0].problem
    assert explanation.formula is not None
    assert explanation.formula.filled == "0.0 ^ 2 + 0.5"
    assert "sample_parse_error" in explanation.flags
    text = explanation_text(explanation)
    assert "not rendered" in text
    assert "none (counts as 0)" in text


def test_a_judge_that_fails_is_explained_with_its_request() -> None:
    explanation = explain(judged("{torn"), JUDGED, ROW, 1)
    assert "model_grader_parse_error" in explanation.flags
    assert explanation.judges[0].reply is not None
    assert explanation.judges[0].reply.text == "{torn"
    assert "answer: {torn" in explanation_text(explanation)


def test_a_number_that_was_clamped_is_shown_with_the_end_of_its_range() -> None:
    part = {**JUDGED["graders"]["right"], "range": [0, 10]}
    explanation = explain(judged(70), part, ROW, 1)
    assert explanation.clamped == {"": 70.0}
    assert "clamped  70 → 10, the end of the range" in explanation_text(explanation)
    multi = {"type": "multi", "graders": {"tone": part}, "calculate_output": "tone"}
    explanation = explain(judged(-0.5), multi, ROW, 1)
    assert explanation.clamped == {"tone": -0.5}
    assert "clamped  tone: -0.5 → 0, the end of the range" in explanation_text(explanation)
    assert explain(judged(7), part, ROW, 1).clamped == {}


def test_flags_of_the_sample_are_distinguished_from_those_of_the_grader() -> None:
    grader = {
        "type": "string_check",
        "operation": "eq",
        "input": "{{sample.output_text}}",
        "reference": "",
    }
    explanation = explain(EngineSettings(), grader, {"item": {}, "model_sample": ""}, 1)
    assert (explanation.reward, explanation.sample_flags) == (1.0, ["unresponsive_reward_error"])
    assert "does not change the reward" in explanation_text(explanation)


def test_a_grader_that_cannot_be_run_is_explained_as_far_as_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    explanation = explain(EngineSettings(), JUDGED, ROW, 1)
    assert explanation.status == ""
    assert "'judge' has no endpoint" in explanation.not_run
    assert explanation.templates[1].rendered == "To what?:"
    assert "not run:" in explanation_text(explanation)


def test_the_item_is_shown_where_python_reads_all_of_it() -> None:
    python = JUDGED["graders"]["size"]
    item = {"n": 0, "text": "one\ntwo", **{f"key {n}": "x" * 5000 for n in range(100)}}
    row = {"item": item, "model_sample": "no"}
    explanation = explain(judged(0.5), python, row, 1)
    lines = explanation_text(explanation).splitlines()
    at = lines.index("item")
    assert lines[at + 1 : at + 5] == ["  n = 0", "  text:", "    one", "    two"]
    assert "  … 52 more keys; --json has all of them" in lines
    assert max(map(len, lines)) < 2100
    assert "the model's output: no" in lines
    assert "  stdout: seen 0" in lines
    assert json.loads(explanation.as_json())["item"] == item
    exact = {
        "type": "string_check", "operation": "eq", "input": "{{item.n}}", "reference": "0",
    }  # fmt: skip
    assert "\nitem\n" not in explanation_text(explain(judged(0.5), exact, row, 1))


def test_a_row_that_is_not_an_object_is_explained() -> None:
    explanation = explain(judged(0.5), JUDGED, [1], 1)
    assert (explanation.status, explanation.templates) == ("invalid", [])
    assert "A row must be an object" in explanation_text(explanation)


def test_long_texts_are_cut_on_the_terminal_and_whole_in_json() -> None:
    row = {"item": {"question": "\x1b" + "why " * 2000, "n": 1}, "model_sample": '{"a": [1]}'}
    explanation = explain(judged(0.5), JUDGED, row, 1)
    text = explanation_text(explanation)
    assert "more characters; --json has all" in text
    assert "\x1b" not in text
    whole = json.loads(explanation.as_json())
    assert whole["templates"][1]["rendered"].endswith("why :")
    assert whole["judges"][0]["reply"]["usage"]["prompt_tokens"] > 0


NUMBERS = st.floats(-10, 10).map(lambda value: round(value, 3))


@given(
    st.data(),
    st.dictionaries(st.sampled_from(["a", "b", "min", "e5", "x1", "größe"]), NUMBERS, min_size=1),
)
def test_a_formula_with_its_numbers_filled_in_has_the_same_value(
    data: st.DataObject, values: dict[str, float]
) -> None:
    """The filled formula is compiled and evaluated like any other."""
    operands = [*values, "2e5", "1.e5", ".5e1", "min(1, 2)", "-a" if "a" in values else "-1"]
    tokens = data.draw(st.lists(st.sampled_from(operands), min_size=1, max_size=5))
    signs = data.draw(st.lists(st.sampled_from(["+", "-", "*", "/", "^"]), min_size=5, max_size=5))
    source = tokens[0] + "".join(
        f" {sign} {token}" for sign, token in zip(signs, tokens[1:], strict=False)
    )
    formula = Formula.compile(source, list(values))
    explanation = explain_formula(formula, values)
    plain = Formula.compile(explanation.filled, [])
    if explanation.problem:
        with pytest.raises(FormulaFailure):
            plain.evaluate({})
    else:
        assert plain.evaluate({}) == explanation.value
