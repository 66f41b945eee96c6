"""verl's own loader and reward manager score rollouts by a grader; an outage raises, and is no NaN."""

from __future__ import annotations

import asyncio
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import verl
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from verl import DataProto
from verl.trainer.ppo.reward import load_reward_manager

from graders_engine import NoReward
from tests.frameworks.conftest import score_model, two_checks
from tests.frameworks.heads import examples, run

ANSWERS = ("Paris", "paris", "Oslo")


class Letters:
    """A tokenizer of numbers to answers."""

    def decode(self, tokens: Any, *, skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        return ANSWERS[int(tokens[0])]


def manager(function: str, grader: Any, **settings: Any) -> Any:
    reward = {
        "custom_reward_function": {
            "path": "pkg://graders_engine.adapters.verl",
            "name": function,
            "reward_kwargs": {"grader": grader, **settings},
        },
        "reward_manager": {"source": "register", "name": "naive"},
    }
    config = OmegaConf.create({"reward": reward, "data": {}})
    return load_reward_manager(config, Letters())


@pytest.fixture
def blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The blocks of the head, in a folder with its grader."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    return examples("verl", tmp_path)


def test_the_command_line_of_the_head_is_read_over_the_configuration_of_verl(
    blocks: list[str],
) -> None:
    overrides = os.path.expandvars(blocks[0]).split()
    folder = Path(next(iter(verl.__path__))) / "trainer" / "config"
    with initialize_config_dir(str(folder), version_base=None):
        config = compose("ppo_trainer", overrides=overrides)
    rows = scored(load_reward_manager(config, Letters()))
    assert [row["reward_score"] for row in rows] == [1.0, 0.0, 0.0]


def test_the_call_of_the_head_runs(blocks: list[str], tmp_path: Path) -> None:
    run(blocks[1], tmp_path)


def rollouts() -> list[Any]:
    return [
        DataProto.from_dict(
            tensors={
                "prompts": torch.zeros((1, 1), dtype=torch.long),
                "responses": torch.tensor([[number]]),
                "attention_mask": torch.ones((1, 2), dtype=torch.long),
            },
            non_tensors={
                "data_source": np.array(["capitals"], dtype=object),
                "reward_model": np.array([{"ground_truth": "Paris"}], dtype=object),
                "extra_info": np.array([{"level": np.int64(1)}], dtype=object),
            },
        )
        for number in range(len(ANSWERS))
    ]


def scored(of: Any) -> list[dict[str, Any]]:
    async def all_of_them() -> list[dict[str, Any]]:
        return list(await asyncio.gather(*(of.run_single(rollout) for rollout in rollouts())))

    of.loop = asyncio.new_event_loop()
    return of.loop.run_until_complete(all_of_them())  # type: ignore[no-any-return] # verl's is untyped


@pytest.mark.parametrize("function", ["compute_score", "acompute_score"])
@pytest.mark.parametrize("as_path", [True, False])
def test_rollouts_have_rewards_and_the_same_numbers(
    function: str, as_path: bool, tmp_path: Path
) -> None:
    grader: Any = two_checks("{{item.ground_truth}}")
    if as_path:
        path = tmp_path / "grader.json"
        path.write_text(json.dumps(grader))
        grader = str(path)
    rows = scored(manager(function, grader))
    assert [row["reward_score"] for row in rows] == [1.0, 0.5, 0.0]
    keys = ["score", "scored", "invalid", "failed", "exact", "loose"]
    assert [list(row["reward_extra_info"]) for row in rows] == [keys] * 3


def test_the_row_s_own_values_are_in_the_item() -> None:
    check = two_checks("{{item.level}} {{item.data_source}}")["graders"]["exact"]
    grader = {**check, "input": "1 capitals"}
    assert [row["reward_score"] for row in scored(manager("compute_score", grader))] == [1.0] * 3


def test_a_part_without_a_reward_is_nan_under_its_own_key() -> None:
    grader = two_checks("{{item.ground_truth}}")
    grader["graders"]["exact"]["input"] = "{{sample.output_json.city}}"
    (first, *_) = scored(manager("compute_score", grader))
    assert first["reward_score"] == 0.5
    assert math.isnan(first["reward_extra_info"]["exact"])


def test_an_outage_raises() -> None:
    of = manager("acompute_score", score_model("{{item.level}}"), judges="http://127.0.0.1:9/v1")
    with pytest.raises(NoReward):
        scored(of)
