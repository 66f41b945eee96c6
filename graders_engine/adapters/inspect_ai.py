"""A scorer for Inspect AI.

Where `grader.json` is a string_check of the output and `{{item.target}}`::

    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from graders_engine.adapters.inspect_ai import grader_scorer

    samples = [Sample(input="Say hello.", target="Default output from mockllm/model")]
    (log,) = eval(Task(dataset=samples, scorer=grader_scorer("@grader.json")), model="mockllm/model")
    assert log.results.scores[0].metrics["mean"].value == 1.0

Finished logs: `inspect score LOG.eval --scorer graders_engine/grader -S path=grader.json`. The item is the
sample's metadata; `input` and `target` are the sample's, whatever its metadata has there. A row that failed,
as one with `output.error`, is unscored, and in no metric. Run with inspect-ai 0.3.285.
"""

from __future__ import annotations

from typing import Any

from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

from graders_engine.adapters.outputs import of_inspect, reason_for_inspect
from graders_engine.adapters.reward import GraderReward


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
        row = await reward.agrade(of_inspect(state.output), item(state, target) if item else given)
        reason = reason_for_inspect(state.output, row.blame)
        about = {key: getattr(row, key) for key in ("status", "sub_rewards", "flags", "seconds")}
        found: dict[str, Any] = {"answer": state.output.completion, "metadata": about}
        found |= {"explanation": reward.reason(row), "reason": reason}
        value = reward.value(row)
        return Score.unscored(**found) if value is None else Score(value=value, **found)

    return scorer(metrics=[mean(), stderr()], name=reward.name)(lambda: score)()


@scorer(metrics=[mean(), stderr()])
def grader(path: str) -> Scorer:
    """The scorer of a grader's file, by the name `graders_engine/grader`."""
    return grader_scorer(path)
