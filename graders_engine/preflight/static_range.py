"""The rewards that a grader can give, by its form alone."""

from __future__ import annotations

from typing import NamedTuple

from graders_engine.graders.base import GraderSpec
from graders_engine.graders.label_model import LabelModelGrader
from graders_engine.graders.score_model import ScoreModelGrader
from graders_engine.graders.string_check import StringCheckGrader
from graders_engine.graders.text_similarity import TextSimilarityGrader


class Interval(NamedTuple):
    """All numbers from `low` to `high`."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """How far its ends are from each other."""
        return self.high - self.low


def range_of(spec: GraderSpec) -> Interval | None:
    """The rewards that a grader can give; None if its form does not say."""
    if isinstance(spec, (StringCheckGrader, TextSimilarityGrader, LabelModelGrader)):
        return Interval(0.0, 1.0)
    if isinstance(spec, ScoreModelGrader):
        low, high = spec.range or (0.0, 1.0)
        return Interval(low, high)
    return None
