"""The reward functions of verl.

::

    reward.custom_reward_function.path=pkg://graders_engine.adapters.verl
    reward.custom_reward_function.name=compute_score     # with judges or python: acompute_score
    +reward.custom_reward_function.reward_kwargs.grader=/data/grader.json

In Python::

    compute_score("maths", "42", "42", {"level": 1}, grader="grader.json")["score"]

The item is `extra_info` with `data_source` and `ground_truth`. Take the reward manager `naive`, `dapo` or
`gdpo`: `rate_limited` makes 0.0 of every exception. Run with verl 0.9.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graders_engine.adapters.reward import GraderReward, shared_reward


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    *,
    grader: Any,
    reward_router_address: object = None,
    reward_model_tokenizer: object = None,
    **settings: Any,
) -> dict[str, Any]:
    """The reward as `score`, and the same numbers for each row: a multi's parts (NaN where none), its status.

    Args:
        data_source: the data set's name.
        solution_str: the model's text.
        ground_truth: the reference answer.
        extra_info: other columns of the row.
        grader: as for GraderReward; a path is best on Hydra's command line.
        reward_router_address: not used; verl passes both where it serves a reward model.
        reward_model_tokenizer: not used.
        settings: as for GraderReward.

    Raises:
        NoReward: the row failed; as NaN it would spoil its whole group's advantages.
    """
    reward = shared_reward(grader, {"failed": "raise", **settings})
    outcome = reward.grade(solution_str, _item(data_source, ground_truth, extra_info))
    return {"score": reward.value(outcome), **reward.numbers(outcome)}


async def acompute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    *,
    grader: Any,
    reward_router_address: object = None,
    reward_model_tokenizer: object = None,
    **settings: Any,
) -> dict[str, Any]:
    """`compute_score` for graders that wait: verl runs the other in a few threads."""
    reward: GraderReward = shared_reward(grader, {"failed": "raise", **settings})
    outcome = await reward.agrade(solution_str, _item(data_source, ground_truth, extra_info))
    return {"score": reward.value(outcome), **reward.numbers(outcome)}


def _item(source: str, truth: Any, extra: Mapping[str, Any] | None) -> dict[str, Any]:
    return {**(extra or {}), "data_source": source, "ground_truth": truth}
