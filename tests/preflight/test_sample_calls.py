"""The user's samples count among the calls of judges, and some are graded again."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine, ModelRequest, Scripted
from tests.preflight.ask import SUMS, ask, found, only
from tests.preflight.graders import HEAD, judge, python

ROWS = SUMS[:30]
JUDGE = judge("{{item.answer}} / {{sample.output_text}}", range=[0, 1])


def samples(each: int = 8) -> list[dict[str, Any]]:
    return [{"item": row, "model_sample": row["answer"] if n % 2 else f"no {n}"}
            for row in ROWS for n in range(each)]  # fmt: skip


class Counted:
    """A judge that gives a score for the two texts of its message, and counts its requests."""

    def __init__(self, score: Callable[[str, str], float]) -> None:
        self.score, self.requests = score, 0

    def __call__(self, request: ModelRequest) -> str:
        self.requests += 1
        right, _, given = str(getattr(request.messages[-1].parts[0], "text", "")).partition(" / ")
        return json.dumps({"steps": [], "result": self.score(right, given)})

    def engine(self) -> Engine:
        return Engine(judges=Scripted(self))


def test_no_sample_is_graded_by_a_judge_where_no_calls_are_allowed(tmp_path: Path) -> None:
    counted = Counted(lambda right, given: float(right == given))
    report = ask(tmp_path, JUDGE, ROWS, samples=samples(), engine=counted.engine(), max_calls=0)
    assert counted.requests == 0
    for check in ("baseline-floor", "no-signal", "too-few-samples", "truncated-samples"):
        assert report.not_checked[check] == "no calls of judges are left (--max-calls)"
    assert not found(report, "samples-unmatched")


@pytest.mark.parametrize("most", [200, 300, 2000])
def test_calls_for_samples_stay_within_the_plan_and_whole_groups_are_graded(
    tmp_path: Path, most: int
) -> None:
    counted = Counted(lambda right, given: float(right == given))
    report = ask(
        tmp_path, JUDGE, ROWS, samples=samples(), engine=counted.engine(), max_calls=most,
        reference_field="answer",
    )  # fmt: skip
    assert counted.requests == report.inputs.plan.calls <= most
    assert set(Counter(one.prompt for one in report.inputs.samples).values()) == {8}
    graded = len(report.inputs.samples)
    if most < 2000:
        assert (
            f"nly {graded} of 240 samples were graded (--max-calls)"
            in only(report, "too-few-samples").message
        )
    else:
        assert graded == 240


def test_samples_whose_rewards_change_are_unstable_though_right_answers_are_not(
    tmp_path: Path,
) -> None:
    grader = python(
        "import random\n" + HEAD + '    right = sample["output_text"] == item["answer"]\n'
        "    return 1.0 if right else random.random()\n"
    )
    report = ask(tmp_path, grader, ROWS, samples=samples(), reference_field="answer")
    finding = only(report, "unstable")
    assert finding.numbers == {"regraded": 80, "changed": 25}  # 30 right answers, 50 samples
    assert {Path(place.file).name for place in finding.where} == {"samples.jsonl"}


def test_samples_are_graded_again_where_no_right_answer_is_known(tmp_path: Path) -> None:
    grader = python(
        "import random\n" + HEAD + '    return random.random() if sample["output_text"] else 0.0\n'
    )
    rows = [{"messages": row["messages"]} for row in ROWS]
    given = [{"item": row, "model_sample": "x"} for row in rows]
    assert only(ask(tmp_path, grader, rows, samples=given), "unstable").numbers["regraded"] == 30
    assert "no reference answers" in ask(tmp_path, grader, rows).not_checked["unstable"]


def test_noise_is_compared_with_what_differs_between_answers_to_one_prompt(tmp_path: Path) -> None:
    noise = random.Random(1)  # noqa: S311 - no secret

    def score(right: str, given: str) -> float:
        hard = 0.6 if int(right) % 2 else 0.1  # prompts differ much, answers to one prompt hardly
        return hard + 0.01 * given.startswith("no") + noise.uniform(0, 0.2)

    counted = Counted(lambda right, given: 1.0 if right == given else score(right, given))
    given = [{**one, "model_sample": f"no {n}"} for n, one in enumerate(samples())]
    alone = ask(tmp_path, JUDGE, ROWS, engine=counted.engine(), reference_field="answer",
                max_calls=5000)  # fmt: skip
    assert not found(alone, "unstable")
    report = ask(tmp_path, JUDGE, ROWS, samples=given, engine=counted.engine(),
                 reference_field="answer", max_calls=5000)  # fmt: skip
    assert only(report, "unstable").numbers["reliability"] < 0.5


def test_samples_show_the_scale_of_code_where_no_right_answer_is_known(tmp_path: Path) -> None:
    rows = [{"messages": row["messages"], "key": str(row["answer"])} for row in ROWS]
    grader = python(HEAD + '    return 5.0 * (sample["output_text"] == item["key"] + "!")\n')
    given = [{"item": row, "model_sample": f"{row['key']}{'!' * (n % 2)}"} for row in rows
             for n in range(8)]  # fmt: skip
    report = ask(tmp_path, grader, rows, samples=given)
    assert [one.id for one in report.findings if one.severity == "warning"] == []
    assert report.measured["baseline"]["mean"] == pytest.approx(2.5)
    assert {"baseline-floor", "baseline-ceiling", "no-signal"} <= {*report.fine}
