"""A metric for DeepEval.

::

    from deepeval import evaluate
    from deepeval.test_case import LLMTestCase
    from graders_engine.adapters.deepeval import GraderMetric

    cases = [LLMTestCase(input="The capital of France?", actual_output="Paris", expected_output="Paris")]
    evaluate(cases, [GraderMetric("@grader.json", threshold=0.8)])

The item is `input`, `expected_output`, `context`, `retrieval_context` and the case's own metadata. A row that
failed raises: with `ErrorConfig(ignore_errors=True)` it has an error and no score. Run with deepeval 4.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepeval.metrics import BaseMetric
from deepeval.test_case import LLMTestCase

from graders_engine.adapters.reward import GraderReward
from graders_engine.outcome import RowOutcome

_COLUMNS = ("input", "expected_output", "context", "retrieval_context")


class GraderMetric(BaseMetric):
    """A grader as a metric: `score` is the reward, `score_breakdown` a multi's parts, `reason` the flags.

    Args:
        grader: as for GraderReward.
        threshold: the least reward of a test that passes.
        settings: as for GraderReward; `failed` is "raise".
    """

    def __init__(
        self, grader: Any, threshold: float = 0.5, settings: Mapping[str, Any] | None = None
    ) -> None:
        # DeepEval makes a metric of the same arguments for each case: all share this one's engine.
        shared = isinstance(grader, GraderReward) and not settings
        self.grader = (
            grader if shared else GraderReward(grader, **{"failed": "raise", **(settings or {})})
        )
        self.threshold = threshold

    def measure(self, test_case: LLMTestCase, *_: Any, **__: Any) -> float | None:
        """The reward of a case."""
        return self._taken(self.grader.grade(test_case.actual_output, _item_of(test_case)))

    async def a_measure(self, test_case: LLMTestCase, *_: Any, **__: Any) -> float | None:
        """The reward of a case."""
        return self._taken(await self.grader.agrade(test_case.actual_output, _item_of(test_case)))

    def _taken(self, row: RowOutcome) -> float | None:
        self.score_breakdown = row.sub_rewards
        self.reason = "\n".join(row.flags.values()) or None
        self.score = self.grader.value(row)
        self.success = self.score is not None and self.score >= self.threshold
        return self.score

    def is_successful(self) -> bool:
        """Whether the last case has at least this reward, and no error."""
        return self.error is None and bool(self.success)

    @property
    def __name__(self) -> str:
        """The grader's name."""
        return self.grader.name


def _item_of(case: LLMTestCase) -> dict[str, Any]:
    return {**(case.metadata or {}), **{key: getattr(case, key) for key in _COLUMNS}}
