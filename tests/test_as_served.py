"""Templates that the hosted service took, and the strict grammar refuses: what becomes of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graders_engine import Engine, InvalidGrader
from graders_engine.errors import GradingError
from graders_engine.graders.templates import templates_in
from graders_engine.language.as_served import LenientTemplate, compile_as_served
from graders_engine.language.scope import Scope, scope_of
from graders_engine.language.span import SourceError
from graders_engine.language.template import Template
from graders_engine.settings import EngineSettings
from tests import forked

Case = dict[str, Any]
CASES: list[Case] = json.loads(
    (Path(__file__).parent / "compliance" / "as_served.json").read_text(encoding="utf-8")
)
OUTPUT = "{{sample.output_text}}"


def grader(template: str, reference: str = "x") -> dict[str, Any]:
    return {
        "type": "string_check", "name": "c", "operation": "eq", "input": template, "reference": reference,
    }  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_what_the_strict_grammar_refuses_is_run_as_it_was_served(case: Case) -> None:
    template, expected = case["template"], case.get("result", "")
    row = {"item": {**case.get("item", {}), "expected": expected}, "model_sample": case["sample"]}
    given = grader(template, "{{item.expected}}")
    with pytest.raises(SourceError):
        Template.compile(template)
    with Engine() as strict, pytest.raises(InvalidGrader):
        strict.run(given, **row)
    with Engine(templates="as_served") as engine:
        (outcome,) = engine.score(given, [row])
        response = engine.run(given, **row)
    if "result" in case:
        assert compile_as_served(template).render(scope_of(**row)) == expected
        assert (outcome.reward, response.reward) == (1.0, 1.0)
        return
    failure = case["failure"]
    assert (outcome.reward, outcome.served, outcome.blame) == (None, 0.0, failure["blame"])
    assert list(outcome.flags) == [failure["flag"]]
    assert failure["names"] in outcome.flags[failure["flag"]]
    assert response.reward == 0.0
    assert list(response.flags) == [failure["flag"]]


PIECES = st.lists(
    st.sampled_from(
        [
            "{{", "}}", "{", "}", "item", "sample", ".a", ".output_text", "[0]", '["a"]', " ", "\n", "|", "'",
            '"', "x",
        ]
    ),
    max_size=14,
).map("".join)  # fmt: skip
VARIABLES = st.sampled_from(
    ["{{item.a}}", "{{ item.a }}", '{{item["a"]}}', "{{sample.output_text}}", "{{item.l[0]}}", "{{item.l.1}}"]
)  # fmt: skip
SCOPE = scope_of({"a": "A", "l": [1, {"b": None}]}, model_sample="out {{item.a}}")


def rendered(template: Template, scope: Scope) -> str:
    try:
        return template.render(scope)
    except GradingError as error:
        return f"{type(error).__name__}: {error}"


@settings(max_examples=300)
@given(PIECES | st.lists(PIECES | VARIABLES, max_size=5).map("".join))
def test_a_template_that_is_valid_either_way_renders_the_same(source: str) -> None:
    lenient = compile_as_served(source)
    try:
        strict = Template.compile(source)
    except SourceError:
        assert isinstance(lenient, LenientTemplate)
        assert lenient.faulty or lenient.unclosed
        return
    assert not isinstance(lenient, LenientTemplate)
    assert rendered(lenient, SCOPE) == rendered(strict, SCOPE)


@settings(max_examples=200)
@given(st.lists(VARIABLES | st.sampled_from(["text ", "{ ", "} ", "\n"]), max_size=5).map("".join))
def test_an_unclosed_variable_changes_nothing_before_it(source: str) -> None:
    strict = Template.compile(f"{source} ")
    lenient = compile_as_served(f"{source} {{{{item.a}}")
    assert rendered(lenient, SCOPE) == rendered(strict, SCOPE) + "{{item.a}"


@pytest.mark.parametrize(
    "source",
    [
        "{{a" * 60_000, "{{a" * 60_000 + "}}", "{{a}}" * 40_000, '{{"' * 60_000, "{{'\"" * 40_000,
        "{" * 150_000, '{{"' + "a" * 150_000 + "{{'" * 9_000,
    ],
    ids=["unclosed", "closed at the end", "faulty", "quotes", "both quotes", "braces", "one quote"],
)  # fmt: skip
def test_a_long_hostile_template_is_compiled_and_described_briefly(source: str) -> None:
    with Engine(templates="as_served") as engine:
        warnings = engine.validate(grader(source)).warnings
    assert 0 < sum(len(str(warning)) for warning in warnings) < 5_000


def test_validation_says_what_becomes_of_each_template() -> None:
    multi = {
        "type": "multi",
        "calculate_output": "(a + b) / 2",
        "graders": {"a": grader("{{foo}} {{bar}} {{item.a}"), "b": grader(OUTPUT)},
    }
    with Engine(templates="as_served") as engine:
        faulty, unclosed = engine.validate(multi).warnings
        sound = engine.validate(grader(OUTPUT)).warnings
    assert (faulty.param, unclosed.param, sound) == ("graders.a.input", "graders.a.input", ())
    assert "no row has a value for it" in faulty.message
    assert "unknown namespace `foo`" in faulty.detail
    assert "and 1 more" in faulty.detail
    assert "it is text" in unclosed.message
    assert "\n                ^^" in unclosed.detail


def test_the_other_parts_of_a_multi_keep_their_rewards() -> None:
    multi = {
        "type": "multi",
        "calculate_output": "(a + b) / 2",
        "graders": {"a": grader("{{foo}}"), "b": grader(OUTPUT)},
    }
    with Engine(templates="as_served") as engine:
        (outcome,) = engine.score(multi, [{"item": {}, "model_sample": "x"}])
    assert outcome.sub_rewards == {"a": None, "b": 1.0}
    assert (outcome.reward, outcome.counted, outcome.blame) == (0.5, 0.5, "grader")


JUDGE = {
    "type": "score_model", "model": "m",
    "input": [
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "Grade {{sample.output_text}"}, "{{ foo }}"],
        }
    ],
}  # fmt: skip


def test_a_judge_is_not_asked_about_a_row_without_its_text() -> None:
    asked = []

    class Judge:
        signature = "none"

        async def complete(self, request: Any) -> Any:
            asked.append(request)
            raise AssertionError

        async def close(self) -> None:
            pass

    with Engine(templates="as_served", judges=Judge()) as engine:
        response = engine.run(JUDGE, model_sample="a")
        compiled = engine.compile(JUDGE)
    assert (response.reward, list(response.flags), asked) == (0.0, ["invalid_variable_error"], [])
    assert [type(one).__name__ for _, one in templates_in(compiled.spec)] == ["LenientTemplate"] * 2


def test_the_setting_is_of_two_words_and_goes_with_the_others() -> None:
    assert EngineSettings().templates == "strict"
    settings = EngineSettings(templates="as_served")
    with Engine.from_settings(settings) as engine:
        assert engine.settings == settings
    with pytest.raises(ValueError, match="templates must be 'strict' or 'as_served'"):
        EngineSettings(templates="lenient")  # type: ignore[arg-type] # that is the mistake


def graders(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forked.graders(*arguments, folder=folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    padding = "x" * 1_500  # more than 4 MiB in all: worker processes grade what is that large
    rows = [
        {"item": {"n": n, "padding": padding}, "model_sample": f"{{{{sample.output_text}} {n}"}
        for n in range(3_000)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "g.json").write_text(json.dumps(grader(OUTPUT, "{{sample.output_text} {{item.n}}")))
    (tmp_path / "faulty.json").write_text(json.dumps(grader("{{ item.n | upper }}")))
    return tmp_path


AS_SERVED = ("--templates", "as_served")


def test_worker_processes_run_templates_as_served_and_the_warning_is_printed_once(
    folder: Path,
) -> None:
    score = ("score", "g.json", "--data", "rows.jsonl", "--out", "r.jsonl", "--workers", "2")
    refused = graders(folder, *score)
    assert (refused.returncode, "Invalid 'reference'" in refused.stderr) == (2, True)
    done = graders(folder, *score, *AS_SERVED)
    assert "mean reward  1.0000  over 3,000 rows" in done.stdout, done.stderr
    assert done.stderr.count("it is text") == 1
    meta = json.loads((folder / "r.jsonl.meta.json").read_text())
    assert meta["settings"]["templates"] == "as_served"
    resumed = graders(folder, *score)
    assert (resumed.returncode, "Invalid 'reference'" in resumed.stderr) == (2, True)
    reported = graders(folder, "report", "r.jsonl", "--json")
    assert json.loads(reported.stdout)["settings"]["templates"] == "as_served"
    explained = graders(folder, "explain", "r.jsonl", "7")
    assert "reward   1.0  scored" in explained.stdout, explained.stderr


def test_a_grader_without_such_templates_has_the_same_results_under_either_setting(
    folder: Path,
) -> None:
    (folder / "g.json").write_text(json.dumps(grader(OUTPUT)))
    score = ("score", "g.json", "--data", "rows.jsonl", "--out", "r.jsonl")
    assert graders(folder, *score, *AS_SERVED).returncode == 0
    resumed = graders(folder, *score)
    assert (resumed.returncode, "over 3,000 rows" in resumed.stdout) == (0, True)
    assert "templates" not in json.loads((folder / "r.jsonl.meta.json").read_text())["settings"]


def test_rows_without_a_value_are_all_graded_and_told_of_before_the_mean(folder: Path) -> None:
    done = graders(
        folder, "score", "faulty.json", "--data", "rows.jsonl", "--out", "r.jsonl", *AS_SERVED
    )
    assert done.returncode == 1
    first, second, *_ = done.stdout.splitlines()
    assert first.startswith(
        "100.0 % of 3,000 rows have no complete grade because of the grader: its code, formula or template"
    )
    assert second.startswith("mean reward  0.0000  over 3,000 rows")
    assert "invalid_variable_error  3,000" in done.stdout
    assert done.stderr.count("no row has a value for it") == 1


def test_validate_warns_and_looks_up_what_can_be_looked_up(folder: Path) -> None:
    assert graders(folder, "validate", "faulty.json").returncode == 2
    done = graders(folder, "validate", "faulty.json", *AS_SERVED)
    assert (done.returncode, done.stderr.count("warning:")) == (0, 1)
    looked = graders(folder, "validate", "faulty.json", "--data", "rows.jsonl", *AS_SERVED)
    assert looked.returncode == 1
    assert "item.n | upper  fails in all 3,000 rows" in looked.stderr
