"""A job in two processes on this machine: as in one, but each has a half of each step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine.training.trainer import TrainingFailed
from tests.training.jobs import MANY_E, TURNS, job, prompts, trained

CONFIG = """
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_CPU
num_machines: 1
num_processes: 2
machine_rank: 0
main_training_function: main
mixed_precision: 'no'
use_cpu: true
rdzv_backend: static
same_network: true
"""


@pytest.fixture
def accelerate(tmp_path: Path) -> str:
    path = tmp_path / "accelerate.yaml"
    path.write_text(CONFIG)
    return str(path)


def test_two_processes_share_each_step_and_resume_without_a_difference(
    base: Path, tmp_path: Path, accelerate: str
) -> None:
    spec: Any = job(
        base, tmp_path, "reinforcement", prompts(5), grader=MANY_E, valid=prompts(2),
        accelerate=accelerate, hyperparameters={
            "n_epochs": 2, "batch_size": 2, "eval_interval": 3, "eval_samples": 2, "compute_multiplier": 0.5,
        },
    )  # fmt: skip
    unbroken = trained(spec, tmp_path / "unbroken")
    assert [one.step for one in unbroken.steps] == [1, 2, 3, 4, 5]
    assert [step for step, _, _ in unbroken.kept] == [3, 5]
    for step in unbroken.steps:
        rewards = [
            one.reward for one in unbroken.found if (one.step, one.split) == (step.step, "train")
        ]
        assert len(rewards) == unbroken.plans[0].rollouts_per_step == 8
        assert step.train["reward_mean"] == pytest.approx(sum(filter(None, rewards)) / 8)
    first = trained(spec, tmp_path / "first", pause_at=2)
    assert (first.newest().folder / "state" / "rng_state_1.pth").exists()
    second = trained(spec, tmp_path / "second", first.newest())
    assert [*first.curve(), *second.curve()] == unbroken.curve()
    assert second.weights() == unbroken.weights()


def test_what_fails_in_a_process_fails_the_job(base: Path, tmp_path: Path, accelerate: str) -> None:
    spec = job(
        base, tmp_path, "supervised", [TURNS, {"messages": []}], accelerate=accelerate,
        hyperparameters={"n_epochs": 1, "batch_size": 2},
    )  # fmt: skip
    with pytest.raises(TrainingFailed, match="Line 2"):
        trained(spec, tmp_path / "kept")
