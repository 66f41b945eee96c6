"""The rewards that the form of a run's grader allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from graders_engine.errors import InvalidGrader
from graders_engine.language.formula_range import UNBOUNDED, Interval


class Allowed(NamedTuple):
    """What a run's rewards can be.

    Attributes:
        reward: the lowest and the highest; None if that is unknown.
        parts: the same by key of a multi; without those of which it is unknown.
    """

    reward: Interval | None
    parts: Mapping[str, Interval]


def allowed_rewards(meta: Mapping[str, Any]) -> Allowed:
    """What the rewards of a run can be, by what is recorded of it."""
    # Not above: what reads results starts faster without the graders.
    from graders_engine.graders.multi import MultiGrader
    from graders_engine.graders.parse import parse
    from graders_engine.graders.static_range import part_range, range_of

    try:
        spec = parse(meta.get("grader"), check_sources=False, templates="as_served")
    except InvalidGrader:  # not recorded, or by another version of this package
        return Allowed(None, {})
    ranges = (
        {key: part_range(part).interval for key, part in spec.graders.items()}
        if isinstance(spec, MultiGrader)
        else {}
    )
    return Allowed(
        range_of(spec), {key: range_ for key, range_ in ranges.items() if range_ != UNBOUNDED}
    )
