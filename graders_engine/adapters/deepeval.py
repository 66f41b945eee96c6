"""A metric for DeepEval.

Where `grader.json` is a string_check of the output and `{{item.expected_output}}`::

    from deepeval import evaluate, test_case
    from graders_engine.adapters.deepeval import GraderMetric
    case = test_case.LLMTestCase(input="Capital?", actual_output="Paris", expected_output="Paris")
    ran = evaluate([case], [GraderMetric("@grader.json", threshold=0.8)])
    assert ran.test_results[0].success

The item is the metadata, and over it `input`, `expected_output`, `context` and `retrieval_context` if set. A
row that failed raises: with `ErrorConfig(ignore_errors=True)` it has no score. Run with deepeval 4.3.
"""

from __future__ import annotations

from typing import Any

from deepeval.metrics import BaseMetric

from graders_engine.adapters.outputs import item_of_deepeval, of_deepeval
from graders_engine.adapters.reward import GraderReward


class GraderMetric(BaseMetric):
    """A grader as a metric: `score` is the reward, `score_breakdown` a multi's parts, `reason` the flags.

    Args:
        grader, settings: as for GraderReward; `failed` is "raise".
        threshold: the least reward of a test that passes.
    """

    def __init__(self, grader: Any, threshold: float = 0.5, settings: Any = None) -> None:
        # DeepEval makes a metric of these arguments for each case: all share this one's engine.
        if settings or not isinstance(grader, GraderReward):
            grader = GraderReward(grader, **{"failed": "raise", **(settings or {})})
        self.grader, self.threshold = grader, threshold

    def measure(self, test_case: Any, *_: Any, **__: Any) -> float | None:
        """The reward of a case."""
        return self._take(self.grader.grade(*self._row(test_case)))

    async def a_measure(self, test_case: Any, *_: Any, **__: Any) -> float | None:
        """The reward of a case."""
        return self._take(await self.grader.agrade(*self._row(test_case)))

    def _row(self, case: Any) -> tuple[Any, dict[str, Any]]:
        # Nothing of the case before is left where this one raises.
        for key in ("score", "error", "success", "reason", "score_breakdown"):
            setattr(self, key, None)
        return of_deepeval(case), item_of_deepeval(case)

    def _take(self, row: Any) -> float | None:
        self.score_breakdown, self.reason = row.sub_rewards, self.grader.reason(row)
        value: float | None = self.grader.value(row)
        self.score = value
        return value

    __name__ = property(lambda self: self.grader.name)
