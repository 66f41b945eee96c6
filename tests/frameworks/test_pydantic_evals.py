"""A Pydantic Evals data set is scored by a grader; an outage is no score."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

from pydantic_evals import Case, Dataset

from graders_engine.adapters.pydantic_evals import GraderEvaluator
from tests.frameworks.conftest import score_model, two_checks
from tests.frameworks.heads import examples


def test_the_example_of_the_head_runs(tmp_path: Path) -> None:
    (block,) = examples("pydantic_evals", tmp_path)
    # In a process of its own: its form without async leaves an event loop open.
    script = f"{block}\nassert not report.failures\n"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr


def evaluated(evaluator: GraderEvaluator, *expected: str) -> Any:
    cases = [Case(name=name, inputs=name, expected_output=name) for name in expected]
    data_set = Dataset(name="capitals", cases=cases, evaluators=[evaluator])
    # Its form without async leaves an event loop open.
    return asyncio.run(data_set.evaluate(lambda _: "paris", progress=False))


def test_the_reward_and_the_parts_are_scores_of_a_case() -> None:
    grader = two_checks("{{item.expected_output}}")
    report = evaluated(GraderEvaluator(grader), "Paris", "Oslo")
    scores = [{name: score.value for name, score in case.scores.items()} for case in report.cases]
    assert scores == [
        {"mix": 0.5, "mix.exact": 0.0, "mix.loose": 1.0},
        {"mix": 0.0, "mix.exact": 0.0, "mix.loose": 0.0},
    ]


def test_an_outage_is_a_failure_and_in_no_average(judge_settings: dict[str, Any]) -> None:
    evaluator = GraderEvaluator(score_model("{{item.inputs}}"), judge_settings)
    report = evaluated(evaluator, "up", "down")
    assert [list(case.scores) for case in report.cases] == [["judge"], []]
    (failure,) = report.cases[1].evaluator_failures
    assert (failure.name, "is down" in failure.error_message) == ("judge", True)
    assert report.averages().scores == {"judge": 0.5}
