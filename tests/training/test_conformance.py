"""TRL's trainer does what every trainer behind the port does; and a whole job of it in a worker."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from pathlib import Path

import pytest

from graders_engine.storage.jobs import StoredJob
from graders_engine.training.trainer import JobSpec
from graders_engine.training.trl_trainer import TRLTrainer
from tests.jobs.conformance import TrainerConformance
from tests.jobs.made import Bench
from tests.training.jobs import MANY_E, PREFERENCE, TURNS, job, prompts


class TestTRL(TrainerConformance):
    trainer = TRLTrainer

    @pytest.fixture(params=["supervised", "dpo", "reinforcement"])
    def spec(self, base: Path, tmp_path: Path, request: pytest.FixtureRequest) -> JobSpec:
        rows = {"supervised": [TURNS] * 5, "dpo": [PREFERENCE] * 5, "reinforcement": prompts(5)}
        return job(
            base, tmp_path / "given", request.param, rows[request.param], grader=MANY_E,
            valid=rows[request.param][:2],
            hyperparameters={
                "n_epochs": 4, "batch_size": 2, "eval_interval": 4, "eval_samples": 2,
                "compute_multiplier": 0.5,
            },
        )  # fmt: skip


def test_a_reinforcement_job_in_a_worker_succeeds_with_a_curve_that_is_the_mean_of_its_rollouts(
    base: Path, tmp_path: Path
) -> None:
    spec = job(
        base, tmp_path, "reinforcement", prompts(), grader=MANY_E, valid=prompts(2),
        hyperparameters={"n_epochs": 20, "batch_size": 4, "eval_interval": 20, "eval_samples": 2},
    )  # fmt: skip
    bench = Bench(tmp_path / "store")
    job_id = bench.job(steps=1)
    values = {name: getattr(spec, name) for name in JobSpec.__slots__}
    bench.store.jobs.note(job_id, ("queued",), spec={**values, "id": job_id})
    done: StoredJob = bench.finish(job_id, trainer="graders_engine.training.trl_trainer:TRLTrainer")
    assert (done.status, done.error) == ("succeeded", None)
    folder = bench.store.job_folder(job_id)
    curve = list(csv.DictReader((folder / "step_metrics.csv").read_text().splitlines()))
    assert float(curve[-1]["train_reward"]) > float(curve[0]["train_reward"]) + 0.5
    rewards = defaultdict(list)
    for line in (folder / "rollouts.jsonl").read_text().splitlines():
        one = json.loads(line)
        if one["split"] == "train":
            rewards[one["step"]].append(one["reward"])
    assert [float(row["train_reward"]) for row in curve] == [
        math.fsum(rewards[int(row["step"])]) / 32 for row in curve
    ]
