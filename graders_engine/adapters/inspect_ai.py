"""A scorer for Inspect AI.

::

    from inspect_ai import Task
    from graders_engine.adapters.inspect_ai import grader_scorer

    Task(dataset=samples, scorer=grader_scorer("@grader.json", judges="http://127.0.0.1:8001/v1"))

Finished logs: `inspect score LOG.eval --scorer graders_engine/grader -S path=grader.json`. The item is the
sample's metadata with `input` and `target`. A row that failed is unscored, and in no metric. Run with
inspect-ai 0.3.285.
"""

from __future__ import annotations

from typing import Any

from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

from graders_engine.adapters.reward import GraderReward

_REASONS = {"sample": "invalid_response_format", "grader": "scoring_failed", None: None}


def grader_scorer(grader: Any, *, item: Any = None, **settings: Any) -> Scorer:
    """A scorer with the mean and its standard error, under the grader's name.

    Args:
        grader: as for GraderReward.
        item: a function of the state and the target that makes the item.
        settings: as for GraderReward.
    """
    reward = GraderReward(grader, **settings)

    async def score(state: TaskState, target: Target) -> Score:
        given = {**state.metadata, "input": state.input_text, "target": target.text}
        answer = state.output.completion
        row = await reward.agrade(answer, item(state, target) if item else given)
        about = {key: getattr(row, key) for key in ("status", "sub_rewards", "flags", "seconds")}
        found: dict[str, Any] = {
            "answer": answer,
            "explanation": reward.reason(row),
            "metadata": about,
        }
        found["reason"] = _REASONS.get(row.blame, "grader_failed")
        value = reward.value(row)
        return Score.unscored(**found) if value is None else Score(value=value, **found)

    return scorer(metrics=[mean(), stderr()], name=reward.name)(lambda: score)()


@scorer(metrics=[mean(), stderr()])
def grader(path: str) -> Scorer:
    """The scorer of a grader's file, by the name `graders_engine/grader`."""
    return grader_scorer(path)
