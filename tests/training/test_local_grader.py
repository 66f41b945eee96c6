"""A job's grader that asks a model of this machine: what another job has trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine.inference.gpu import gpu_for_training, leave
from graders_engine.jobs.grader_models import models_for_grader
from graders_engine.language import strict_json
from graders_engine.models.judges import JudgeSettings
from graders_engine.settings import EngineSettings
from graders_engine.settings_json import as_json
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.store import Store
from graders_engine.training.reward import Rewards, Tally
from graders_engine.training.rows import Row
from graders_engine.training.trainer import JobSpec, TrainingFailed, TrainingPaused
from tests.inference.echoing import ROOT, lay_out
from tests.inference.tuned import names_of, trained_job

ROWS = [Row(line, {"messages": []}) for line in range(3)]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with Store(tmp_path / "store") as opened:
        yield opened
    leave(tmp_path / "store" / "inference")


@pytest.fixture
def settings(tmp_path: Path) -> str:
    """As the worker of a job gets them."""
    return as_json(EngineSettings(judges=JudgeSettings(config=lay_out(tmp_path)))).decode()


def rewards_of(store: Store, job: StoredJob, settings: str, model: str) -> Rewards:
    asked = [{"role": "user", "content": "How good? {{sample.output_text}}"}]
    grader = {
        "type": "score_model",
        "name": "rated",
        "model": model,
        "input": asked,
        "range": [0, 10],
    }
    spec = JobSpec(
        job.id, "reinforcement", "", None, 1e-3, 8, "", None, {}, 1, grader=grader, settings=settings
    )  # fmt: skip
    return Rewards(spec, models_for_grader(store, job, settings))


def graded(rewards: Rewards, *texts: str) -> tuple[list[float | None], Tally]:
    tally = Tally()
    return rewards.grade(tally, 1, "train", ROWS[: len(texts)], texts), tally


def test_a_tuned_model_rewards_the_rollouts_of_another_job(store: Store, settings: str) -> None:
    judge = names_of(trained_job(store))[0]
    rewards = rewards_of(store, trained_job(store), settings, judge)
    try:
        found, tally = graded(rewards, "7", "3", "9")
    finally:
        rewards.close()
    assert found == [7.0, 3.0, 9.0]
    used = tally.usage[judge]
    assert (used.prompt_tokens, used.completion_tokens) == (9, 12)


def test_a_judge_that_is_taken_back_pauses_the_job_and_rewards_nothing(
    store: Store, settings: str
) -> None:
    judge = names_of(trained_job(store, "research"))[0]
    (shared,) = store.permissions.add(judge, ["default"])
    rewards = rewards_of(store, trained_job(store), settings, judge)
    try:
        assert graded(rewards, "7")[0] == [7.0]
        store.permissions.delete(judge, shared.id)
        with pytest.raises(TrainingPaused) as caught:
            graded(rewards, "7")
    finally:
        rewards.close()
    assert "this project may not use it" in caught.value.reason


def test_another_projects_judge_fails_the_job(store: Store, settings: str) -> None:
    judge = names_of(trained_job(store, "research"))[0]
    with pytest.raises(TrainingFailed) as caught:
        rewards_of(store, trained_job(store), settings, judge)
    assert caught.value.param == "method.reinforcement.grader"


def test_a_broken_judge_is_an_outage_and_never_a_zero(store: Store, settings: str) -> None:
    made = trained_job(store)
    (store.job_folder(made.id) / "step-10" / "model" / "broken").touch()
    rewards = rewards_of(store, trained_job(store), settings, names_of(made)[0])
    try:
        found, tally = graded(rewards, "7", "3")
        assert found == [None, None]
        with pytest.raises(TrainingPaused):
            rewards.require_sense(tally)
    finally:
        rewards.close()


def test_a_judge_on_the_gpu_that_its_job_trains_on_pauses_the_job_at_once(
    store: Store, settings: str
) -> None:
    judge = names_of(trained_job(store))[0]
    place = store.folder / "inference"
    rewards = rewards_of(store, trained_job(store), settings, judge)
    try:
        with gpu_for_training(place):
            (place / "on-gpu").touch()
            with pytest.raises(TrainingPaused) as caught:
                graded(rewards, "7")
        assert "on the GPU that this job trains on" in caught.value.reason
        assert graded(rewards, "7")[0] == [7.0]
    finally:
        rewards.close()


def test_a_worker_reads_its_settings_without_the_models_of_this_machine(settings: str) -> None:
    given: dict[str, Any] = strict_json.decode(settings)
    assert "local" not in given["judges"]
