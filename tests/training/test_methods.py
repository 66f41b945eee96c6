"""The three methods train the tiny model, with all weights and with adapters."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from graders_engine.training.trainer import TrainingFailed
from tests.training.jobs import MANY_E, PREFERENCE, TURNS, answer, job, prompts, trained


def test_a_supervised_job_learns_what_has_weight_1_and_not_what_has_weight_0(
    base: Path, tmp_path: Path
) -> None:
    spec = job(
        base, tmp_path, "supervised", [TURNS] * 8, learning_rate=2e-2, valid=[TURNS],
        hyperparameters={"n_epochs": 25, "batch_size": 4},
    )  # fmt: skip
    found = trained(spec, tmp_path / "kept")
    losses = [step.train["loss"] for step in found.steps]
    assert len(losses) == found.plans[0].total_steps == 50
    assert losses[-1] < 0.1 * losses[0]
    assert found.steps[-1].valid["loss"] < 0.1 * losses[0]
    assert found.kept[-1] == (50, found.steps[-1].valid, True)
    model = found.newest().folder / "model"
    assert answer(model, *TURNS["messages"][:3]) == "def"
    assert "abc" not in answer(model, *TURNS["messages"][:1])


def test_a_dpo_job_starts_at_the_logarithm_of_2_and_prefers_what_it_should(
    base: Path, tmp_path: Path
) -> None:
    spec = job(
        base, tmp_path, "dpo", [PREFERENCE] * 8, learning_rate=1e-3, valid=[PREFERENCE] * 2,
        hyperparameters={"n_epochs": 10, "batch_size": 4, "beta": 0.1},
    )  # fmt: skip
    steps = trained(spec, tmp_path / "kept").steps
    assert steps[0].train["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert steps[-1].train["loss"] < 0.4
    assert steps[-1].valid["loss"] < 0.4
    assert steps[-1].train["preference_accuracy"] == 1
    assert steps[-1].train["preference_margin"] > steps[0].train["preference_margin"]


def test_40_steps_of_a_reinforcement_job_raise_the_reward_by_a_half(
    base: Path, tmp_path: Path
) -> None:
    spec = job(
        base, tmp_path, "reinforcement", prompts(), grader=MANY_E, valid=prompts(3),
        hyperparameters={"n_epochs": 20, "batch_size": 4, "eval_interval": 20, "eval_samples": 2},
    )  # fmt: skip
    found = trained(spec, tmp_path / "kept")
    rewards = [step.train["reward_mean"] for step in found.steps]
    assert len(rewards) == 40
    assert rewards[-1] > rewards[0] + 0.5
    assert found.plans[0].rollouts_per_step == 32
    assert [step for step, _, _ in found.kept] == [20, 40]
    for step in found.steps:
        for split, numbers in (("train", step.train), ("valid", step.valid)):
            of_it = [one for one in found.found if (one.step, one.split) == (step.step, split)]
            assert len(of_it) == {"train": 32, "valid": 6 if numbers else 0}[split]
            if numbers:
                given = [one.reward for one in of_it if one.reward is not None]
                assert numbers["reward_mean"] == math.fsum(given) / len(of_it)
    seen = {one.row: one.item for one in found.found if one.split == "train"}
    assert seen == dict(enumerate(prompts(), 1))


@pytest.mark.parametrize("method", ["supervised", "dpo", "reinforcement"])
def test_adapters_are_trained_and_the_folder_loads_with_its_base(
    base: Path, tmp_path: Path, method: str
) -> None:
    rows = {"supervised": [TURNS] * 8, "dpo": [PREFERENCE] * 8, "reinforcement": prompts()}[method]
    spec = job(
        base, tmp_path, method, rows, lora={"r": 8, "alpha": 16}, learning_rate=5e-3,
        grader=MANY_E, hyperparameters={"n_epochs": 4, "batch_size": 4},
    )  # fmt: skip
    found = trained(spec, tmp_path / "kept")
    folder = found.newest().folder / "model"
    assert json.loads((folder / "adapter_config.json").read_text())["r"] == 8
    assert not (folder / "model.safetensors").exists()
    if method != "reinforcement":
        assert found.steps[-1].train["loss"] < found.steps[0].train["loss"]
    assert isinstance(answer(folder, {"role": "user", "content": "a"}), str)


def test_a_checkpoint_holds_no_pickle_of_settings_and_the_tokenizer_as_it_was(
    base: Path, tmp_path: Path
) -> None:
    found = trained(job(base, tmp_path, "supervised", [TURNS] * 4), tmp_path / "kept")
    folder = found.newest().folder
    assert {path.name for path in folder.iterdir()} == {"model", "state"}
    assert not [path for path in folder.rglob("*") if path.suffix == ".bin"]
    saved = json.loads((folder / "model" / "tokenizer.json").read_text())
    assert saved == json.loads((base / "tokenizer.json").read_text())


def test_weights_in_another_form_are_not_read(base: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for path in base.iterdir():
        name = "pytorch_model.bin" if path.suffix == ".safetensors" else path.name
        (other / name).write_bytes(path.read_bytes())
    with pytest.raises(TrainingFailed, match="no safetensors file") as failed:
        trained(job(other, tmp_path, "supervised", [TURNS]), tmp_path / "kept")
    assert (failed.value.code, failed.value.param) == ("model_not_loadable", "model")


def test_a_loss_that_is_no_number_fails_the_job_before_its_weights_are_kept(
    base: Path, tmp_path: Path
) -> None:
    spec: Any = job(base, tmp_path, "supervised", [TURNS] * 8, learning_rate=1e30)
    with pytest.raises(TrainingFailed) as failed:
        trained(spec, tmp_path / "kept")
    assert failed.value.code == "training_diverged"


def test_a_validation_file_may_have_more_rows_than_the_training_file(
    base: Path, tmp_path: Path
) -> None:
    spec = job(
        base, tmp_path, "reinforcement", prompts(2), grader=MANY_E, valid=prompts(6),
        hyperparameters={"n_epochs": 1, "batch_size": 2, "eval_samples": 2},
    )  # fmt: skip
    found = trained(spec, tmp_path / "kept")
    assert sorted(one.row for one in found.found if one.split == "valid") == sorted(
        [*range(1, 7)] * 2
    )
    assert "reward_mean" in found.steps[0].valid


@pytest.mark.parametrize("method", ["supervised", "dpo"])
def test_a_model_whose_weights_are_cut_off_fails_the_job_and_not_its_worker(
    base: Path, tmp_path: Path, method: str
) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(base, cut)
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1_000])
    rows = [PREFERENCE if method == "dpo" else TURNS] * 4
    with pytest.raises(TrainingFailed, match="base model cannot be loaded") as found:
        trained(job(cut, tmp_path / "job", method, rows), tmp_path / "kept")
    assert (found.value.code, found.value.param) == ("model_not_loadable", "model")


def test_weights_that_cannot_be_sampled_from_any_more_fail_the_job_as_diverged(
    base: Path, tmp_path: Path
) -> None:
    spec = job(
        base, tmp_path, "reinforcement", prompts(4), grader=MANY_E, learning_rate=1e30,
        hyperparameters={"n_epochs": 4, "batch_size": 2},
    )  # fmt: skip
    with pytest.raises(TrainingFailed) as failed:
        trained(spec, tmp_path / "kept")
    assert failed.value.code == "training_diverged"
    assert "learning_rate_multiplier" in failed.value.message
