"""MLflow's evaluation has the rewards and parts as feedback; an outage is an error, and in no mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pytest

from graders_engine.adapters.mlflow import grader_scorer
from tests.frameworks.conftest import score_model, two_checks
from tests.frameworks.heads import examples, run


@pytest.fixture(autouse=True)
def store(tmp_path: Any) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")


def test_the_example_of_the_head_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = examples("mlflow", tmp_path)
    assert run(block, tmp_path)["ran"].metrics == {"exact/mean": 1.0}


def rows(*answers: str) -> list[dict[str, Any]]:
    return [
        {"inputs": {"q": answer}, "outputs": "paris", "expectations": {"answer": answer}}
        for answer in answers
    ]


def test_rewards_and_parts_have_means() -> None:
    grader = two_checks("{{item.expectations.answer}}")
    ran = mlflow.genai.evaluate(data=rows("Paris", "Oslo"), scorers=[grader_scorer(grader)])
    assert ran.metrics["mix/mean"] == 0.25
    assert ran.metrics["mix/loose/mean"] == 0.5


@pytest.mark.parametrize("failed", ["none", "nan"])
def test_an_outage_is_in_no_mean(failed: Any, judge_settings: dict[str, Any]) -> None:
    scorer = grader_scorer(score_model("{{item.inputs.q}}"), failed=failed, **judge_settings)
    ran = mlflow.genai.evaluate(data=rows("up", "down", "up"), scorers=[scorer])
    assert ran.metrics["judge/mean"] == 0.5
    (failed,) = [feedback for feedback in _feedback(ran) if feedback.error]
    assert "is down" in failed.error.error_message


def _feedback(ran: Any) -> list[Any]:
    traces = mlflow.search_traces(run_id=ran.run_id, return_type="list")
    return [
        assessment
        for trace in traces
        for assessment in trace.info.assessments
        if hasattr(assessment, "error")
    ]
