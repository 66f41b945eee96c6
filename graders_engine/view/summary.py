"""The numbers of some rows of a run; those of all equal the ones that `graders report --json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from graders_engine.dataset.results.allowed import allowed_rewards
from graders_engine.dataset.results.columns import STANDINGS
from graders_engine.outcome import BLAMES, Blame, Status
from graders_engine.report.histogram import Histogram
from graders_engine.report.numbers import PARTS
from graders_engine.report.run_json import estimate_json
from graders_engine.statistics.estimate import (
    Clusters,
    Estimate,
    Floats,
    clusters_of,
    estimate_clusters,
)
from graders_engine.view.columns import ViewColumns
from graders_engine.view.query import STATUSES, Mask, Span

Rows = slice | NDArray[np.intp]
Codes = NDArray[np.int32] | None
_SMALL = float(1 << 20)
"""Sums of so large whole numbers are exact."""


class Bar(NamedTuple):
    """A bar of the histogram.

    Attributes:
        low: its lower end; equal to the upper one for a single value; None for the rows in no mean.
        high: its upper end.
        range: what selects its rows: the value of `reward=` in an address; empty where nothing does.
        scored: its rows of this status.
        invalid: the same.
        failed: the same.
    """

    low: float | None
    high: float | None
    range: str
    scored: int
    invalid: int
    failed: int


class SubMean(NamedTuple):
    """The mean of a sub-reward over the rows that count in it (`ResultLine.counted_parts`)."""

    value: float
    rows: int


class Summary(NamedTuple):
    """The numbers of some rows of a run.

    Attributes:
        rows: how many.
        mean: the mean of the rewards that count (`ResultLine.counted`); None without any.
        statuses: how many rows have each status.
        blames: how many rows have each blame.
        histogram: in the bars of the whole run, and a last one of the rows in no mean where the run has such.
        sub_rewards: the means of the first parts, at most as many as a report has; without those of no row.
    """

    rows: int
    mean: Estimate | None
    statuses: dict[Status, int]
    blames: dict[Blame, int]
    histogram: list[Bar]
    sub_rewards: dict[str, SubMean]

    def as_json(self) -> dict[str, Any]:
        """As the routes send it."""
        return {
            "rows": self.rows,
            "mean": estimate_json(self.mean),
            "statuses": self.statuses,
            "blames": self.blames,
            "histogram": [bar._asdict() for bar in self.histogram],
            "sub_rewards": {key: mean._asdict() for key, mean in self.sub_rewards.items()},
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """The numbers again, from what `as_json` gave.

        Raises:
            KeyError, TypeError, AttributeError: it gave something else.
        """
        return cls(
            found["rows"],
            None if found["mean"] is None else Estimate(**found["mean"]),
            {status: found["statuses"][status] for status in STATUSES},
            {blame: found["blames"][blame] for blame in BLAMES},
            [Bar(**bar) for bar in found["histogram"]],
            {key: SubMean(**mean) for key, mean in found["sub_rewards"].items()},
        )


@np.errstate(over="ignore", invalid="ignore")  # a sum of huge rewards is infinite, as in reports
def summarise(columns: ViewColumns, mask: Mask | None = None) -> Summary:
    """The numbers of the rows of a mask; of all rows without one."""
    rows: Rows = slice(None) if mask is None else np.flatnonzero(mask)
    standings, bars = columns.standings[rows], columns.bars[rows]
    codes = None if columns.codes is None else columns.codes[rows]
    counts = np.bincount(standings, minlength=len(STANDINGS)).tolist()
    statuses: dict[Status, int] = dict.fromkeys(STATUSES, 0)
    blames: dict[Blame, int] = dict.fromkeys(BLAMES, 0)
    for (status, blame), count in zip(STANDINGS, counts, strict=True):
        statuses[status] += count
        if blame is not None:
            blames[blame] += count
    allowed = allowed_rewards(columns.meta)
    values, clustered = _clustered(columns.counted[rows], codes)
    return Summary(
        len(standings),
        None if clustered is None else estimate_clusters(clustered, values, allowed.reward),
        statuses,
        blames,
        _histogram(columns.histogram, bars, standings),
        {
            key: mean
            for key in columns.keys[:PARTS]
            if (mean := _sub_mean(columns.counted_parts(key)[rows], codes)) is not None
        },
    )


def _clustered(column: Floats, codes: Codes) -> tuple[Floats, Clusters | None]:
    """The values that there are, and their sums by prompt."""
    present = ~np.isnan(column)
    values = column[present]
    if not len(values):
        return values, None
    return values, clusters_of(values, None if codes is None else codes[present])


def _sub_mean(column: Floats, codes: Codes) -> SubMean | None:
    """The mean over the rows that have a value, to the last digit as reports have it."""
    values = column[~np.isnan(column)]
    if not len(values):
        return None
    if (np.abs(values) <= _SMALL).all() and (values == np.rint(values)).all():
        # Sums of whole numbers are exact in any order, so those by prompt need not be made.
        return SubMean(float(values.sum() / float(len(values))), len(values))
    clustered = _clustered(column, codes)[1]
    return None if clustered is None else SubMean(clustered.mean, len(values))


def _histogram(found: Histogram | None, bars: Any, standings: Any) -> list[Bar]:
    kinds = np.array([STATUSES.index(status) for status, _ in STANDINGS])[standings]
    count = 0 if found is None else len(found.counts)
    tallied = np.bincount((bars.astype(np.int64) + 1) * 3 + kinds, minlength=(count + 1) * 3)
    in_none, *in_bars = tallied.reshape(-1, 3).tolist()
    drawn = []
    if found is not None:
        ends = zip(found.edges, found.edges, strict=True) if found.single else pairwise(found.edges)
        for at, ((low, high), rows) in enumerate(zip(ends, in_bars, strict=True)):
            last = found.single or at == count - 1
            drawn.append(Bar(low, high, str(Span(low, high, not last)), *rows))
    if any(in_none):
        drawn.append(Bar(None, None, "", *in_none))
    return drawn
