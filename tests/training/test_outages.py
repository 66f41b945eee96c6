"""A grader that fails in the middle of a job: an outage is never a zero, and the job pauses or fails."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine.models.judges import JudgeSettings
from graders_engine.models.retry import RetryPolicy
from graders_engine.settings import EngineSettings
from graders_engine.settings_json import as_json
from graders_engine.training.trainer import JobSpec, TrainingFailed, TrainingPaused
from graders_engine.training.trl_trainer import TRLTrainer
from tests.judges.judge_server import Asked, JudgeServer, Reply, error, judge_server, verdict
from tests.training.jobs import job, prompts, trained
from tests.training.recorder import Recorder

STEP = 16
"""Rollouts of a step."""


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    with judge_server() as server:
        server.script = by_letters
        yield server


def by_letters(asked: Asked) -> Reply:
    """A reward that is the same for the same output."""
    text = str(asked.body["messages"][-1]["content"])
    return verdict(min(1.0, sum(map(str.isalpha, text)) / max(1, len(text))))


def spec_of(base: Path, folder: Path, judge: JudgeServer, **more: Any) -> JobSpec:
    """A job of 6 steps, graded by a judge that is asked once."""
    settings = EngineSettings(
        judges=JudgeSettings(endpoints={"default": judge.url}, retry=RetryPolicy(attempts=1))
    )
    grader = {
        "type": "score_model", "name": "judge", "model": "m", "range": [0, 1],
        "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    }  # fmt: skip
    return job(
        base, folder, "reinforcement", prompts(6), grader=grader, settings=as_json(settings).decode(),
        hyperparameters={
            "n_epochs": 2, "batch_size": 2, "eval_interval": 4, "eval_samples": 8,
        }, **more,
    )  # fmt: skip


def failing(turns: Iterator[bool], otherwise: Any = by_letters) -> Any:
    """A judge that fails when its turn says so."""
    return lambda asked: error(500, "down") if next(turns) else otherwise(asked)


def paused(spec: JobSpec, report: Recorder) -> str:
    with pytest.raises(TrainingPaused) as found:
        TRLTrainer().train(spec, None, report)
    return found.value.reason


def test_an_outage_for_half_of_a_step_pauses_the_job_behind_the_last_whole_step(
    base: Path, tmp_path: Path, judge: JudgeServer
) -> None:
    spec = spec_of(base, tmp_path, judge)
    unbroken = trained(spec, tmp_path / "unbroken")
    assert [one.step for one in unbroken.steps] == list(range(1, 7))
    down = itertools.chain([False] * (2 * STEP), itertools.cycle([True, False]))
    judge.script = failing(down)
    first = Recorder(tmp_path / "first")
    assert paused(spec, first).startswith("8 of 16 rollouts")
    assert [one.step for one in first.steps] == [1, 2]
    assert [step for step, _, _ in first.kept] == [2]
    assert {one.step for one in first.found} == {1, 2}
    judge.script = by_letters
    second = trained(spec, tmp_path / "second", first.newest())
    assert [*first.curve(), *second.curve()] == unbroken.curve()
    assert second.weights() == unbroken.weights()


def test_an_outage_in_the_first_step_leaves_nothing_to_keep(
    base: Path, tmp_path: Path, judge: JudgeServer
) -> None:
    judge.script = failing(itertools.cycle([True]))
    found = Recorder(tmp_path / "kept")
    assert "model_grader_server_error" in paused(spec_of(base, tmp_path, judge), found)
    assert (found.steps, found.kept, found.found) == ([], [], [])


def test_a_small_outage_is_trained_without_its_rollouts_and_never_as_zeros(
    base: Path, tmp_path: Path, judge: JudgeServer
) -> None:
    # All that have a reward have the same one: nothing can be learned, unless some count as zeros.
    judge.script = failing(itertools.cycle([True, *[False] * 7]), lambda asked: verdict(0.5))
    spec = spec_of(base, tmp_path, judge, valid=prompts(1))
    found = trained(spec, tmp_path / "kept")
    rewards = [one.reward for one in found.found]
    assert set(rewards) == {0.5, None}
    assert rewards.count(None) == len(rewards) / 8
    assert all(step.train["reward_mean"] == 0.5 for step in found.steps)
    assert all(step.data["local"]["train_unscored"] == 2 for step in found.steps)
    assert all(math.isfinite(step.train["loss"]) for step in found.steps)
    before = hashlib.sha256((base / "model.safetensors").read_bytes()).hexdigest()
    assert found.weights() == before


def test_an_outage_in_an_evaluation_leaves_out_its_numbers_and_pauses_behind_the_step(
    base: Path, tmp_path: Path, judge: JudgeServer
) -> None:
    spec = spec_of(base, tmp_path, judge, valid=prompts(2))
    unbroken = trained(spec, tmp_path / "unbroken")
    down = itertools.chain([False] * (4 * STEP), [True] * 8, itertools.cycle([False]))
    judge.script = failing(down)
    first = Recorder(tmp_path / "first")
    assert paused(spec, first).startswith("Validation: 8 of 16 rollouts")
    assert first.steps[-1].data["full_valid_mean_reward"] is None
    assert first.steps[-1].data["scores"]["valid_reward_mean"] is None
    assert first.steps[-1].valid == {}
    assert first.kept == [(4, {}, False)]
    second = trained(spec, tmp_path / "second", first.newest())
    curve = [(step, train) for step, train, _, _ in [*first.curve(), *second.curve()]]
    assert curve == [(step, train) for step, train, _, _ in unbroken.curve()]
    assert second.weights() == unbroken.weights()


def test_a_grader_that_keeps_failing_fails_the_job_with_its_traceback(
    base: Path, tmp_path: Path
) -> None:
    raises = "if item['n'] != '0': raise ValueError('mine')"
    source = f"def grade(sample, item):\n    {raises}\n    return 1"
    grader = {"type": "python", "name": "p", "source": source}
    spec = job(base, tmp_path, "reinforcement", prompts(4), grader=grader)
    report = Recorder(tmp_path / "kept")
    with pytest.raises(TrainingFailed) as failed:
        TRLTrainer().train(spec, None, report)
    assert failed.value.code == "grader_failing"
    assert "72 of the 96 rollouts" in failed.value.message
    assert "ValueError: mine" in failed.value.message
    assert [step.train["reward_mean"] for step in report.steps] == [0.25, 0.25]
    (errors,) = report.steps[0].data["errors"]["graders"]
    assert errors["train_python_grader_runtime_count"] == 24
    (warning,) = [one for one in report.warnings if "grader failed" in one]
    assert warning.startswith(
        "The grader failed on 24 of the 32 rollouts of step 1; they count with"
    )
    assert "ValueError: mine" in warning


def test_a_row_that_lacks_what_the_grader_reads_fails_the_job_with_its_line(
    base: Path, tmp_path: Path
) -> None:
    grader = {"type": "string_check", "name": "c", "input": "{{sample.output_text}}",
              "reference": "{{item.gone}}", "operation": "eq"}  # fmt: skip
    spec = job(base, tmp_path, "reinforcement", prompts(4), grader=grader)
    with pytest.raises(TrainingFailed, match=r"invalid training file\. Line \d: .*gone") as failed:
        trained(spec, tmp_path / "kept")
    assert failed.value.code == "invalid_training_file"
