"""Inspect AI's evaluation takes a grader for a scorer; an outage is unscored, and in no metric."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from inspect_ai import Task, score
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog
from inspect_ai.model import ModelOutput, get_model

from graders_engine.adapters.inspect_ai import grader, grader_scorer
from tests.frameworks.conftest import score_model, two_checks


@pytest.fixture(autouse=True)
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mock model counts tokens with an encoding that is downloaded; bytes do as well."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    encoding = tiktoken.Encoding("bytes", pat_str=".", mergeable_ranks=ranks, special_tokens={})
    monkeypatch.setattr(tiktoken, "get_encoding", lambda _: encoding)
    monkeypatch.setattr(tiktoken, "encoding_for_model", lambda _: encoding)


def evaluated(tmp_path: Path, scorer: Any, *targets: str, answer: str = "paris") -> EvalLog:
    outputs = [ModelOutput.from_content("mockllm/model", answer) for _ in targets]
    samples = [Sample(input=target, target=target, metadata={"level": 1}) for target in targets]
    (log,) = evaluate(
        Task(dataset=samples, scorer=scorer),
        model=get_model("mockllm/model", custom_outputs=outputs),
        log_dir=str(tmp_path),
        display="none",
        max_samples=1,
    )
    assert log.status == "success", log.error
    return log


def metric(log: EvalLog) -> Any:
    assert log.results
    return log.results.scores[0]


def test_rewards_have_a_mean_and_parts_stand_in_the_metadata(tmp_path: Path) -> None:
    log = evaluated(tmp_path, grader_scorer(two_checks("{{item.target}}")), "Paris", "Oslo")
    assert (metric(log).name, metric(log).metrics["mean"].value) == ("mix", 0.25)
    (found,) = (log.samples or [])[0].scores.values()
    assert found.metadata["sub_rewards"] == {"exact": 0.0, "loose": 1.0}


def test_an_outage_is_unscored_and_in_no_metric(
    tmp_path: Path, judge_settings: dict[str, Any]
) -> None:
    scorer = grader_scorer(score_model("{{item.input}}"), **judge_settings)
    log = evaluated(tmp_path, scorer, "up", "down", "up")
    assert metric(log).metrics["mean"].value == 0.5
    assert (metric(log).scored_samples, metric(log).unscored_samples) == (2, 1)
    (found,) = (log.samples or [])[1].scores.values()
    assert (found.reason, "is down" in found.explanation) == ("grader_failed", True)


def test_what_the_model_is_to_blame_for_counts_with_its_reason(tmp_path: Path) -> None:
    check = two_checks("{{item.target}}")["graders"]["exact"] | {
        "input": "{{sample.output_json.a}}"
    }
    log = evaluated(tmp_path, grader_scorer(check), "Paris")
    assert metric(log).metrics["mean"].value == 0.0
    (found,) = (log.samples or [])[0].scores.values()
    assert found.reason == "invalid_response_format"


def test_a_finished_log_is_scored_by_a_graders_file(tmp_path: Path) -> None:
    file = tmp_path / "grader.json"
    file.write_text(json.dumps(two_checks("{{item.target}}")))
    log = evaluated(tmp_path, grader_scorer(two_checks("{{item.input}}")), "Paris")
    scored = score(log, grader(str(file)), display="none")
    assert metric(scored).metrics["mean"].value == 0.5
