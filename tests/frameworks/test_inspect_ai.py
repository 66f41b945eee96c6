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
from inspect_ai.solver import Generate, Solver, TaskState, generate, solver

from graders_engine.adapters.inspect_ai import grader, grader_scorer
from graders_engine.adapters.outputs import of_inspect
from tests.frameworks.conftest import called, score_model, two_checks
from tests.frameworks.heads import examples, run


@pytest.fixture(autouse=True)
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mock model counts tokens with an encoding that is downloaded; bytes do as well."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    encoding = tiktoken.Encoding("bytes", pat_str=".", mergeable_ranks=ranks, special_tokens={})
    monkeypatch.setattr(tiktoken, "get_encoding", lambda _: encoding)
    monkeypatch.setattr(tiktoken, "encoding_for_model", lambda _: encoding)


def test_the_example_of_the_head_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = examples("inspect_ai", tmp_path)
    assert metric(run(block, tmp_path)["log"]).name == "exact"


@solver
def gives(output: ModelOutput) -> Solver:
    """A solver whose output is this one."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state.output = output
        return state

    return solve


def evaluated(
    tmp_path: Path, scorer: Any, *targets: str, output: ModelOutput | None = None
) -> EvalLog:
    outputs = [ModelOutput.from_content("mockllm/model", "paris") for _ in targets]
    samples = [Sample(input=target, target=target, metadata={"level": 1}) for target in targets]
    (log,) = evaluate(
        Task(dataset=samples, scorer=scorer, solver=gives(output) if output else generate()),
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


def output(text: str, stop: Any = "stop", error: str | None = None) -> ModelOutput:
    return ModelOutput.from_content("mockllm/model", text, stop_reason=stop, error=error)


@pytest.mark.parametrize(
    ("given", "mean", "unscored", "reason", "flags"),
    [
        (output("Paris", "max_tokens"), 1.0, 0, None, ["truncated_observation_error"]),
        (output("Paris", "model_length"), 1.0, 0, None, ["truncated_observation_error"]),
        (output("I cannot.", "content_filter"), 0.0, 0, "refusal", []),
        (output(" ", "unknown"), 0.0, 0, "no_response", []),
        (output("", "stop"), 0.0, 0, "no_response", ["unresponsive_reward_error"]),
        (output("", "stop", "HTTP 413"), None, 1, "no_response", ["other_error"]),
        (output("HTTP 413", "model_length", "HTTP 413"), None, 1, "no_response", ["other_error"]),
        (output("Sorry.", "content_filter", "blocked"), None, 1, "refusal", ["other_error"]),
        (ModelOutput(error="no connection"), None, 1, "no_response", ["other_error"]),
    ],
)
def test_how_an_output_ends_counts(
    tmp_path: Path, given: Any, mean: Any, unscored: int, reason: Any, flags: list[str]
) -> None:
    check = two_checks("{{item.target}}")["graders"]["exact"]
    log = evaluated(tmp_path, grader_scorer(check), "Paris", output=given)
    assert metric(log).unscored_samples == unscored
    if mean is not None:
        assert metric(log).metrics["mean"].value == mean
    (found,) = (log.samples or [])[0].scores.values()
    assert (found.reason, list(found.metadata["flags"])) == (reason, flags)
    assert found.answer == given.completion


def test_tool_calls_are_graded(tmp_path: Path) -> None:
    call = ModelOutput.for_tool_call("mockllm/model", "add", {"a": "é"}, content="")
    log = evaluated(tmp_path, grader_scorer(called('{\\"a\\": \\"é\\"}')), "Paris", output=call)
    (found,) = (log.samples or [])[0].scores.values()
    assert (metric(log).metrics["mean"].value, found.reason) == (1.0, None)


def test_a_completion_that_a_solver_replaced_is_graded() -> None:
    given = output("thinking")
    given.completion = "Paris"
    assert of_inspect(given) == "Paris"
