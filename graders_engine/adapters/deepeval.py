"""A metric for DeepEval.

::

    from deepeval import evaluate, test_case
    from graders_engine.adapters.deepeval import GraderMetric

    cases = [test_case.LLMTestCase(input="Capital?", actual_output="Paris", expected_output="Paris")]
    evaluate(cases, [GraderMetric("@grader.json", threshold=0.8)])

The item is `input`, `expected_output`, `context`, `retrieval_context` and the case's own metadata. A row that
failed raises: with `ErrorConfig(ignore_errors=True)` it has an error and no score. Run with deepeval 4.3.
"""

from __future__ import annotations

from typing import Any

from deepeval.metrics import BaseMetric

from graders_engine.adapters.reward import GraderReward

_COLUMNS = ("input", "expected_output", "context", "retrieval_context")


class GraderMetric(BaseMetric):
    """A grader as a metric: `score` is the reward, `score_breakdown` a multi's parts, `reason` the flags.

    Args:
        grader: as for GraderReward.
        threshold: the least reward of a test that passes.
        settings: as for GraderReward; `failed` is "raise".
    """

    def __init__(self, grader: Any, threshold: float = 0.5, settings: Any = None) -> None:
        # DeepEval makes a metric of these arguments for each case: all share this one's engine.
        if settings or not isinstance(grader, GraderReward):
            grader = GraderReward(grader, **{"failed": "raise", **(settings or {})})
        self.grader, self.threshold = grader, threshold

    def measure(self, test_case: Any, *_: Any, **__: Any) -> float | None:
        """The reward of a case."""
        return self._take(self.grader.grade(test_case.actual_output, _item_of(test_case)))

    async def a_measure(self, test_case: Any, *_: Any, **__: Any) -> float | None:
        """The reward of a case."""
        return self._take(await self.grader.agrade(test_case.actual_output, _item_of(test_case)))

    def _take(self, row: Any) -> float | None:
        value: float | None = self.grader.value(row)
        self.score_breakdown, self.reason = row.sub_rewards, self.grader.reason(row)
        self.score = value
        return value

    __name__ = property(lambda self: self.grader.name)


def _item_of(case: Any) -> dict[str, Any]:
    return {**(case.metadata or {}), **{key: getattr(case, key) for key in _COLUMNS}}
