"""Whether rewards follow the length of the samples: correlations, and means by quarter of length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graders_engine.dataset.results.allowed import allowed_rewards
from graders_engine.report.run_json import estimate_json
from graders_engine.statistics.correlation import spearman
from graders_engine.statistics.estimate import Floats, Ints, clusters_of, estimate_clusters
from graders_engine.view.columns import ViewColumns
from graders_engine.view.context import Request, View
from graders_engine.view.query import Sort, Span, parse_query

Codes = NDArray[np.int32]
"""Of each row, the number of its prompt."""
QUARTERS = (0.25, 0.5, 0.75)
_DECIMALS = 9
"""Differences from a prompt's mean are rounded to so many: else rounding would give equal ones an order."""


def lengths_json(view: View, request: Request) -> dict[str, Any]:
    """Rewards by length of the sample, of the rows that a query asks for: `GET api/runs/{run}/lengths`.

    Raises:
        StillReading: the lengths are being read, or the search has not ended.
        DataSetError: they are not known.
    """
    run = view.opened(request)
    selection = run.rows(replace(parse_query(request.query), sort=Sort("length"), page=1, row=None))
    columns = run.columns
    rows = np.arange(selection.count) if selection.order is None else selection.order
    lengths, rewards = columns.known_lengths()[rows], columns.counted[rows]
    both = ~(np.isnan(lengths) | np.isnan(rewards))
    state = selection.search
    return {
        "rows": int(both.sum()),
        "of": selection.count,
        "unknown": int(np.isnan(lengths).sum()),
        "done": state is None or state.done,
        **by_length(columns, rows[both].astype(np.int64), lengths[both], rewards[both]),
    }


def by_length(columns: ViewColumns, rows: Ints, lengths: Floats, rewards: Floats) -> dict[str, Any]:
    """The correlations, and the means by quarter of length.

    Args:
        columns: the run.
        rows: indexes of rows with a length and a reward.
        lengths: of each, the characters of its sample.
        rewards: of each, the reward that counts in the mean.
    """
    codes = None if columns.codes is None else columns.codes[rows]
    return {
        "correlation": spearman(rewards, lengths),
        "within": None if codes is None else _within(codes, lengths, rewards),
        "quarters": [*_quarters(columns, rows, lengths, rewards)],
    }


def _within(codes: Codes, lengths: Floats, rewards: Floats) -> dict[str, Any]:
    """The correlation among the samples of the same prompt: of what exceeds the prompt's mean."""
    sizes = np.bincount(codes)
    several = sizes[codes] > 1
    return {
        "correlation": spearman(
            _centred(rewards[several], codes[several]), _centred(lengths[several], codes[several])
        ),
        "rows": int(several.sum()),
        "prompts": int((sizes > 1).sum()),
    }


def _centred(values: Floats, codes: Codes) -> Floats:
    """Values less the mean of their prompt."""
    if not len(values):
        return values
    means = np.bincount(codes, values) / np.maximum(np.bincount(codes), 1)
    found: Floats = np.round(values - means[codes], _DECIMALS)
    return found


def _quarters(
    columns: ViewColumns, rows: Ints, lengths: Floats, rewards: Floats
) -> Iterator[dict[str, Any]]:
    """The mean reward by quarter of length; equal lengths are in the same one, so there may be fewer."""
    if not len(rows):
        return
    ends = np.unique(np.quantile(lengths, QUARTERS, method="inverted_cdf"))
    quarters = np.searchsorted(ends, lengths, side="left")
    allowed = allowed_rewards(columns.meta).reward
    for quarter in np.unique(quarters).tolist():
        here = quarters == quarter
        low, high = float(lengths[here].min()), float(lengths[here].max())
        codes = None if columns.codes is None else columns.codes[rows[here]]
        values = rewards[here]
        mean = estimate_clusters(clusters_of(values, codes), values, allowed)
        yield {
            "low": low,
            "high": high,
            "range": str(Span(low, high)),
            "rows": len(values),
            "mean": estimate_json(mean),
        }
