"""The scripted trainer does what every trainer behind the port does."""

from __future__ import annotations

from pathlib import Path

import pytest

from graders_engine.training.trainer import JobSpec
from tests.jobs.conformance import TrainerConformance
from tests.jobs.scripted import ScriptedTrainer


class TestScripted(TrainerConformance):
    trainer = ScriptedTrainer

    @pytest.fixture(params=["supervised", "reinforcement"])
    def spec(
        self, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> JobSpec:
        monkeypatch.chdir(tmp_path)
        return JobSpec(
            id="ftjob-1", method=request.param, model_path="", lora=None, learning_rate=1.0,
            max_completion_tokens=1, training_file="", validation_file=None,
            hyperparameters={"steps": 10, "eval_interval": 4}, seed=3,
        )  # fmt: skip
