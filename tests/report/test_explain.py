"""One row from end to end: what is shown is what the engine does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.blocking import Settings
from graders_engine.errors import FormulaFailure
from graders_engine.language.formula import Formula
from graders_engine.models.scripted import Scripted
from graders_engine.report.explain import explain, explain_formula
from graders_engine.report.terminal.explain import explanation_text

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


def judged(answer: Any) -> Settings:
    return {"judges": Scripted(answer), "sandbox": "none"}


def test_a_row_is_shown_from_its_templates_to_its_reward() -> None:
    shown = explain(judged(0.5), JUDGED, ROW, 4)
    assert (shown.line, shown.reward, shown.status) == (4, 0.75, "scored")
    assert [(t.path, t.source, t.rendered) for t in shown.templates] == [
        ("graders.right.input[0].content", "Grade the answer.", "Grade the answer."),
        ("graders.right.input[1].content[0]", "To {{item.question}}:", "To what?:"),
        ("graders.right.input[1].content[1]", "{{sample.output_json.a[0]}}", "7"),
    ]
    assert [(v.name, v.value) for t in shown.templates for v in t.variables] == [
        ("item.question", "what?"),
        ("sample.output_json.a[0]", 7),
    ]
    assert shown.sub_rewards == {"right": 0.5, "size": 0.5}
    assert shown.formula is not None
    assert (shown.formula.filled, shown.formula.value) == ("0.5 ^ 2 + 0.5", 0.75)
    assert shown.printed == {"size.stdout": "seen 3\n"}
    (call,) = shown.judges
    assert call.request.model == "judge"
    assert call.reply is not None
    assert json.loads(call.reply.text)["result"] == 0.5
    text = explanation_text(shown)
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


def test_what_cannot_be_rendered_or_asked_says_why() -> None:
    shown = explain(judged(0.5), JUDGED, {**ROW, "model_sample": "no JSON"}, 1)
    assert shown.status == "invalid"
    assert shown.judges == []
    assert "is not JSON" in shown.templates[2].problem
    assert "is not JSON" in shown.templates[2].variables[0].problem
    assert shown.formula is not None
    assert shown.formula.filled == "0.0 ^ 2 + 0.5"
    assert "sample_parse_error" in shown.flags
    text = explanation_text(shown)
    assert "not rendered" in text
    assert "none (counts as 0)" in text


def test_a_judge_that_fails_is_shown_with_what_it_was_asked() -> None:
    shown = explain(judged("{torn"), JUDGED, ROW, 1)
    assert "model_grader_parse_error" in shown.flags
    assert shown.judges[0].reply is not None
    assert shown.judges[0].reply.text == "{torn"
    assert "answer: {torn" in explanation_text(shown)


def test_the_samples_own_flags_are_told_from_the_graders() -> None:
    grader = {
        "type": "string_check",
        "operation": "eq",
        "input": "{{sample.output_text}}",
        "reference": "",
    }
    shown = explain({}, grader, {"item": {}, "model_sample": ""}, 1)
    assert (shown.reward, shown.sample_flags) == (1.0, ["unresponsive_reward_error"])
    assert "does not change the reward" in explanation_text(shown)


def test_a_grader_that_cannot_be_run_is_explained_as_far_as_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    shown = explain({}, JUDGED, ROW, 1)
    assert shown.status == ""
    assert "'judge' has no endpoint" in shown.not_run
    assert shown.templates[1].rendered == "To what?:"
    assert "not run:" in explanation_text(shown)


def test_a_row_that_is_none_is_explained() -> None:
    shown = explain(judged(0.5), JUDGED, [1], 1)
    assert (shown.status, shown.templates) == ("invalid", [])
    assert "A row must be an object" in explanation_text(shown)


def test_long_texts_are_cut_on_the_terminal_and_whole_in_json() -> None:
    row = {"item": {"question": "\x1b" + "why " * 2000, "n": 1}, "model_sample": '{"a": [1]}'}
    shown = explain(judged(0.5), JUDGED, row, 1)
    text = explanation_text(shown)
    assert "more characters; --json has all" in text
    assert "\x1b" not in text
    whole = json.loads(shown.as_json())
    assert whole["templates"][1]["rendered"].endswith("why :")
    assert whole["judges"][0]["reply"]["usage"]["prompt_tokens"] > 0


NUMBERS = st.floats(-10, 10).map(lambda value: round(value, 3))


@given(
    st.data(),
    st.dictionaries(st.sampled_from(["a", "b", "min", "e5", "x1", "größe"]), NUMBERS, min_size=1),
)
def test_a_formula_with_its_numbers_put_in_has_the_same_value(
    data: st.DataObject, values: dict[str, float]
) -> None:
    """The filled text is read back by the language itself."""
    operands = [*values, "2e5", "1.e5", ".5e1", "min(1, 2)", "-a" if "a" in values else "-1"]
    tokens = data.draw(st.lists(st.sampled_from(operands), min_size=1, max_size=5))
    signs = data.draw(st.lists(st.sampled_from(["+", "-", "*", "/", "^"]), min_size=5, max_size=5))
    source = tokens[0] + "".join(
        f" {sign} {token}" for sign, token in zip(signs, tokens[1:], strict=False)
    )
    formula = Formula.compile(source, list(values))
    shown = explain_formula(formula, values)
    plain = Formula.compile(shown.filled, [])
    if shown.problem:
        with pytest.raises(FormulaFailure):
            plain.evaluate({})
    else:
        assert plain.evaluate({}) == shown.value
