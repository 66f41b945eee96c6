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

from collections.abc import Callable
from typing import Any

from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

from graders_engine.adapters.reward import GraderReward
from graders_engine.outcome import RowOutcome

_REASONS = {
    "sample": "invalid_response_format",
    "grader": "scoring_failed",
    "judge": "grader_failed",
}


def grader_scorer(
    grader: Any, *, item: Callable[[TaskState, Target], Any] | None = None, **settings: Any
) -> Scorer:
    """A scorer with the mean and its standard error, under the grader's name.

    Args:
        grader: as for GraderReward.
        item: makes the item, in place of the metadata with `input` and `target`.
        settings: as for GraderReward.
    """
    reward = GraderReward(grader, **settings)

    @scorer(metrics=[mean(), stderr()], name=reward.name)
    def made() -> Scorer:
        async def score(state: TaskState, target: Target) -> Score:
            row = (item or _item_of)(state, target)
            return _score_of(reward, await reward.agrade(state.output.completion, row), state)

        return score

    return made()


@scorer(metrics=[mean(), stderr()])
def grader(path: str) -> Scorer:
    """The scorer of a grader's file, by the name `graders_engine/grader`."""
    return grader_scorer(path)


def _item_of(state: TaskState, target: Target) -> dict[str, Any]:
    return {**state.metadata, "input": state.input_text, "target": target.text}


def _score_of(reward: GraderReward, row: RowOutcome, state: TaskState) -> Score:
    value, blame = reward.value(row), row.blame
    parts = {
        "status": row.status,
        "sub_rewards": row.sub_rewards,
        "flags": row.flags,
        "seconds": row.seconds,
    }
    given: dict[str, Any] = {
        "answer": state.output.completion,
        "explanation": "\n".join(row.flags.values()) or None,
        "reason": blame and _REASONS.get(blame, "grader_failed"),
        "metadata": parts,
    }
    return Score.unscored(**given) if value is None else Score(value=value, **given)
