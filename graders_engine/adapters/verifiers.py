"""A reward of verifiers' tasks, which prime-rl trains with.

In a file, such as `rewards.py`, where `grader.json` is a string_check of the output and `{{item.answer}}`::

    from graders_engine.adapters.verifiers import reward_function

    answer = reward_function("@grader.json")

and in the task's configuration::

    import verifiers.v1 as vf

    config = vf.TaskConfig(rewards={"answer": {"fn": "rewards.py:answer", "weight": 1.0}})
    task = vf.Task(vf.WireTaskData(prompt="The capital of France?", answer="Paris"), config)

`await task.score(trace)` then sets `trace.rewards["answer"]`. The item is the task's data; the output is the
last reply, with its tool calls. Parts of a multi and the shares of rows that were scored, invalid and
failed are metrics. Run with verifiers 0.4.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

from graders_engine.adapters.outputs import of_verifiers
from graders_engine.adapters.reward import GraderReward


def reward_function(grader: Any, **settings: Any) -> Callable[..., Awaitable[float]]:
    """An async function of `task` and `trace` that gives the reward.

    Args:
        grader: as for GraderReward.
        settings: as for GraderReward; `failed` is "raise", since verifiers takes no None.
    """
    reward = GraderReward(grader, **{"failed": "raise", **settings})

    async def graded(task: Any, trace: Any) -> float:
        outcome = await reward.agrade(of_verifiers(trace), task.model_dump())
        for key, number in reward.numbers(outcome).items():
            if not math.isnan(number):
                trace.record_metric(f"{reward.name}/{key}", number)
        value = reward.value(outcome)
        return math.nan if value is None else value

    graded.__name__ = reward.name
    return graded
