"""The reward functions of verl.

Where `grader.json` is a string_check of the output and `{{item.ground_truth}}`, on the command line::

    reward.custom_reward_function.path=pkg://graders_engine.adapters.verl
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.grader=$PWD/grader.json

or in Python::

    from graders_engine.adapters.verl import compute_score
    assert compute_score("maths", "42", "42", {"level": 1}, grader="grader.json")["score"] == 1.0

The item is `extra_info` with `data_source` and `ground_truth`. With judges or python name `acompute_score`.
Reward managers: `naive`, `dapo` or `gdpo`; `rate_limited` makes 0.0 of every exception. Run with verl 0.9.1.
"""

from __future__ import annotations

from typing import Any

from graders_engine.adapters.reward import GraderReward, shared_reward

_OF_VERL = ("reward_router_address", "reward_model_tokenizer")  # where it serves a reward model


def compute_score(*given: Any, **named: Any) -> dict[str, Any]:
    """The reward as `score`, and the same numbers for each row: its status, a multi's parts (NaN if none).

    A row that failed raises NoReward: NaN would spoil the advantages of its whole group.

    Args:
        given: as `named`, in the order of verl's arguments.
        named: `data_source`, `solution_str`, `ground_truth` and `extra_info` from verl; `grader` as for
            GraderReward, best a path on Hydra's command line; and settings of GraderReward.
    """
    reward, text, item = _read(*given, **named)
    row = reward.grade(text, item)
    return _scored(reward, row)


async def acompute_score(*given: Any, **named: Any) -> dict[str, Any]:
    """`compute_score` for graders that wait: verl runs the other one in a few threads."""
    reward, text, item = _read(*given, **named)
    row = await reward.agrade(text, item)
    return _scored(reward, row)


def _scored(reward: GraderReward, row: Any) -> dict[str, Any]:
    numbers = {"part_score" if key == "score" else key: n for key, n in reward.numbers(row).items()}
    return {"score": reward.value(row), **numbers}


def _read(
    data_source: Any, solution_str: str, ground_truth: Any, extra_info: Any = None, **named: Any
) -> tuple[GraderReward, str, dict[str, Any]]:
    own = {name: value for name, value in named.items() if name not in _OF_VERL}
    item = {**(extra_info or {}), "data_source": data_source, "ground_truth": ground_truth}
    return shared_reward(own.pop("grader"), {"failed": "raise", **own}), solution_str, item
