"""The ladder of rewards: what the grader gives to right, wrong and empty answers, on one scale."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graders_engine.report.preflight_verdicts import answers_name

WIDTH = 100.0
"""Width of the scale, in SVG units."""
_MOST_CONSTANTS = 3
_ESCAPE = "\\"


@dataclass(frozen=True, slots=True)
class Rung:
    """A bar of the ladder.

    Attributes:
        kind: "right", "corruption", "other", "constant" or "attack"; its colour.
        label: what was answered.
        mean: the mean reward.
        low: lower end of its interval; None if unknown.
        high: upper end.
    """

    kind: str
    label: str
    mean: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Ladder:
    """Bars on one scale.

    Attributes:
        rungs: the bars.
        low: the left end of the scale.
        high: the right end.
        baseline: the mean of the base model; None if unknown.
    """

    rungs: Sequence[Rung]
    low: float
    high: float
    baseline: float | None = None

    def at(self, reward: float) -> float:
        """Where a reward is on the scale, from 0 to `WIDTH`."""
        width = self.high - self.low
        return round(WIDTH * (reward - self.low) / width, 2) if width else 0.0

    def bar(self, rung: Rung) -> tuple[float, float]:
        """(left end, width) of a bar, which begins at the reward 0."""
        ends = sorted((self.at(0.0), self.at(rung.mean)))
        return ends[0], round(max(ends[1] - ends[0], 0.4), 2)


def ladder_of(measured: Mapping[str, Any]) -> Ladder | None:
    """The ladder of what was measured; None if nothing was."""
    rungs = [*_rungs(measured)]
    if not rungs:
        return None
    scale, baseline = measured.get("scale") or {}, (measured.get("baseline") or {}).get("mean")
    seen = [0.0, *(rung.mean for rung in rungs), *(() if baseline is None else (baseline,))]
    seen += [end for rung in rungs for end in (rung.low, rung.high) if end is not None]
    seen += [scale[name] for name in ("lowest", "full") if name in scale]
    return Ladder(rungs, min(seen), max(seen), baseline)


def _rungs(measured: Mapping[str, Any]) -> Iterator[Rung]:
    right = measured.get("references") or {}
    if right.get("mean") is not None:
        yield Rung("right", answers_name(right), right["mean"], right.get("low"), right.get("high"))
    yield from _corruptions(measured.get("corruptions") or ())
    if floor := measured.get("floor"):
        yield Rung("other", "other rows' answers", floor["mean"])
    for constant in (measured.get("constants") or ())[:_MOST_CONSTANTS]:
        yield Rung("constant", f"always {as_written(constant['sample'])}", constant["mean"])
    for attack in sorted(measured.get("attacks") or (), key=lambda one: -one["mean"]):
        if attack["kind"] == "robustness":
            continue  # it shows whether the grader survives, not what it gives
        yield Rung("attack", attack["name"], attack["mean"], attack["low"], attack["high"])


def _corruptions(found: Sequence[Mapping[str, Any]]) -> Iterator[Rung]:
    """A bar for each operator, over all fields, those that earn the most first."""
    sums: dict[str, tuple[float, int]] = {}
    for one in found:
        total, count = sums.get(one["operator"], (0.0, 0))
        sums[one["operator"]] = total + one["mean"] * one["count"], count + one["count"]
    means = {name: total / count for name, (total, count) in sums.items()}
    for name in sorted(means, key=lambda name: -means[name]):
        yield Rung("corruption", name, means[name])


def as_written(sample: str) -> str:
    """A sample as the model would write it, from what was measured: JSON of a text, which may be cut."""
    start = sample.removesuffix("…").rstrip(_ESCAPE)
    for whole, end in ((sample, ""), (f'{start}"', "…")):
        try:
            value = json.loads(whole)
        except ValueError:
            continue
        if isinstance(value, str):
            return value + end if value else "(nothing)"
    return sample
