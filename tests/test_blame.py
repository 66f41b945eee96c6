"""Every failure says whose fault it is, and with that whether a mean counts the row."""

from __future__ import annotations

from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.errors import BackendFailure
from graders_engine.models.base import ModelReply
from graders_engine.models.retry import RetryPolicy
from graders_engine.models.scripted import Answer, Scripted
from graders_engine.outcome import BLAMES, Blame
from graders_engine.sandbox.base import Limits
from tests.judges.rows import SCORE, judging, scored

TEXT = {"type": "string_check", "operation": "eq"}
CHECK = {**TEXT, "input": "{{sample.output_text}}", "reference": "{{item.label}}"}
JSON_CHECK = {**TEXT, "input": "{{sample.output_json.a}}", "reference": "{{item.label}}"}
TURNED = {**TEXT, "input": "{{item.label}}", "reference": "{{sample.output_json.a}}"}
BOTH = {**TEXT, "input": "{{sample.output_json.a}} {{item.label}}", "reference": "x"}
SIMILAR = {**JSON_CHECK, "type": "text_similarity", "evaluation_metric": "fuzzy_match"}
del SIMILAR["operation"]
TOOLS = {**CHECK, "input": "{{sample.output_tools[0].function.arguments.city}}"}
GOOD = {"item": {"label": "x"}, "model_sample": '{"a": "x"}'}


def python(body: str) -> dict[str, Any]:
    return {"type": "python", "source": f"def grade(sample, item):\n    {body}\n"}


def multi(formula: str, parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "multi", "calculate_output": formula, "graders": parts}


CASES: list[tuple[str, dict[str, Any], Any, Blame | None]] = [
    ("a reward", JSON_CHECK, GOOD, None),
    ("text that is not JSON", JSON_CHECK, {**GOOD, "model_sample": "x"}, "sample"),
    ("a key that the output lacks", JSON_CHECK, {**GOOD, "model_sample": "{}"}, "sample"),
    ("no tool call", TOOLS, GOOD, "sample"),
    ("a key that the item lacks", JSON_CHECK, {**GOOD, "item": {}}, "row"),
    ("both, the sample first", JSON_CHECK, {"item": {}, "model_sample": "x"}, "row"),
    ("both, the item first", TURNED, {"item": {}, "model_sample": "x"}, "row"),
    ("both in one template", BOTH, {"item": {}, "model_sample": "x"}, "row"),
    ("both in a similarity", SIMILAR, {"item": {}, "model_sample": "x"}, "row"),
    ("a row that is a number", CHECK, 3, "row"),
    ("no output", CHECK, {"item": {}}, "row"),
    ("an output that is a number", CHECK, {"item": {}, "model_sample": 3}, "row"),
    ("code that raises", python("raise KeyError('a')"), GOOD, "grader"),
    ("code that gives a text", python("return '1'"), GOOD, "grader"),
    ("code that takes too long", python("while True: pass"), GOOD, "grader"),
    ("a formula without a value", multi("1 / a", {"a": CHECK}), {**GOOD, "model_sample": "y"}, "grader"),
    (
        "a part that the sample fails, and a formula that fails by it",
        multi("1 / a", {"a": JSON_CHECK}), {**GOOD, "model_sample": "x"}, "grader",
    ),
    (
        "one part by the sample, one by the row",
        multi("a + b", {"a": JSON_CHECK, "b": CHECK}), {"item": {}, "model_sample": "x"}, "row",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Any:
    with Engine(limits=Limits(wall_s=2.0)) as engine:
        yield engine


@pytest.mark.parametrize(
    ("grader", "row", "blame"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_whose_fault_a_failure_is(
    grader: dict[str, Any], row: Any, blame: Blame | None, engine: Engine
) -> None:
    (graded,) = engine.score(grader, [row])
    assert graded.blame == blame
    assert graded.status == ("scored" if blame is None else "invalid")
    assert graded.served is not None


JUDGED: list[tuple[str, Answer, Blame | None]] = [
    ("a verdict", 0.5, None),
    ("a refusal", ModelReply("", "m", refusal="no"), "judge"),
    ("an answer that was cut off", ModelReply('{"steps": [', "m", finish="length"), "judge"),
    ("an answer that is no verdict", ModelReply("well", "m"), "judge"),
    ("a verdict that is no number", '{"steps": [], "result": "x"}', "judge"),
    ("no answer", BackendFailure("no connection"), "infrastructure"),
]


@pytest.mark.parametrize(
    ("answer", "blame"), [case[1:] for case in JUDGED], ids=[c[0] for c in JUDGED]
)
def test_a_judge_is_to_blame_for_what_it_answers_and_an_outage_for_no_answer(
    answer: Answer, blame: Blame | None
) -> None:
    graded = scored(Scripted(answer), retry=RetryPolicy(attempts=1))
    assert graded.blame == blame
    assert graded.status == {None: "scored", "infrastructure": "failed"}.get(blame, "invalid")
    assert (graded.served is None) == (blame == "infrastructure")


def test_a_multi_takes_the_gravest_blame_of_its_parts() -> None:
    parts = {"a": JSON_CHECK, "b": CHECK, "c": python("raise ValueError"), "d": SCORE}
    grader = multi("a + b + c + d", parts)
    rows: list[tuple[dict[str, Any], Answer, Blame | None]] = [
        ({"item": {}, "model_sample": "x"}, BackendFailure("away"), "infrastructure"),
        ({"item": {}, "model_sample": "x"}, ModelReply("", "m", refusal="no"), "judge"),
        ({"item": {}, "model_sample": "x"}, 1.0, "row"),
        ({"item": {"label": "x"}, "model_sample": "x"}, 1.0, "grader"),
    ]
    for row, answer, blame in rows:
        with Engine(judges=judging(Scripted(answer), retry=RetryPolicy(attempts=1))) as engine:
            (graded,) = engine.score(grader, [row])
        assert graded.blame == blame
    assert [blame for _, _, blame in rows] == list(BLAMES[:0:-1])


def test_what_is_served_without_a_reward_is_the_invalid_grade_of_a_multi(engine: Engine) -> None:
    grader = {**multi("a", {"a": JSON_CHECK}), "invalid_grade": -1.5}
    (graded,) = engine.score(grader, [{**GOOD, "model_sample": "x"}])
    assert (graded.blame, graded.served) == ("sample", -1.5)
