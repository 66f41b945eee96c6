"""The rewards that a grader can give, by its form alone."""

from __future__ import annotations

from graders_engine.graders.base import GraderSpec
from graders_engine.graders.label_model import LabelModelGrader
from graders_engine.graders.multi import MultiGrader
from graders_engine.graders.score_model import ScoreModelGrader
from graders_engine.graders.string_check import StringCheckGrader
from graders_engine.graders.text_similarity import TextSimilarityGrader
from graders_engine.language.formula_range import UNBOUNDED, PartRange, range_of_formula
from graders_engine.language.formula_range import Interval as Interval


def range_of(spec: GraderSpec) -> Interval | None:
    """The rewards that a grader can give; None if its form does not say."""
    if isinstance(spec, MultiGrader):
        parts = {key: part_range(part) for key, part in spec.graders.items()}
        return range_of_formula(spec.calculate_output, parts)
    interval = part_range(spec).interval
    return None if interval == UNBOUNDED else interval


def part_range(spec: GraderSpec) -> PartRange:
    """What a grader without parts can give."""
    if isinstance(spec, (StringCheckGrader, LabelModelGrader)):
        return PartRange(Interval(0.0, 1.0), (0.0, 1.0))
    if isinstance(spec, TextSimilarityGrader):
        return PartRange(Interval(0.0, 1.0))
    if isinstance(spec, ScoreModelGrader):
        low, high = spec.range or (0.0, 1.0)
        return PartRange(Interval(low, high))
    return PartRange(UNBOUNDED)
