"""A judge's agreement with human labels and with itself, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.dataset.results.agreement import Distance, JudgeAgreement, Matching
from graders_engine.report.formatting import (
    format_correlation,
    format_interval,
    format_number,
    format_percent,
    format_rows,
)
from graders_engine.report.terminal.screen import Heading
from graders_engine.report.visible import one_line
from graders_engine.report.width import columns_of, padded
from graders_engine.statistics.agreement import Calibration

_MAX_PAIRS = 12
"""Rows of the confusion table that are printed."""
_LABEL_WIDTH = 30
"""The longest label, in columns."""


def agreement_lines(agreement: JudgeAgreement) -> list[str]:
    """Agreement with people, next to that of a constant judge; repeated answers; calibration."""
    return [
        *_rows(agreement),
        *(_matching(agreement.matching, agreement.passing) if agreement.matching else ()),
        *(_distance(agreement.distance) if agreement.distance else ()),
        *_repeats(agreement),
        *(_calibration(agreement.distance.calibration) if agreement.distance else ()),
    ]


def _rows(agreement: JudgeAgreement) -> Iterator[str]:
    without = f"; {agreement.unanswered:,} more without an answer" if agreement.unanswered else ""
    yield f"{format_rows(agreement.rows)} with a judge answer and a human label{without}"


def _matching(matching: Matching, passing: float | None) -> Iterator[str]:
    agreement = matching.agreement
    constant = one_line(matching.constant, _LABEL_WIDTH)
    yield ""
    yield (
        f"agreement   {format_percent(agreement.value)}, 95 % interval {format_interval(agreement)}, "
        f"Cohen's kappa {format_correlation(matching.kappa)}"
    )
    if passing is not None:
        yield f"            on whether a number passes: it is at least {format_number(passing)}"
    yield (
        f"            {format_percent(matching.constant_agreement)}, kappa 0, "
        f"for a judge that always says '{constant}'"
    )
    yield ""
    yield Heading("judge / human, rows")
    pairs = [
        (f"{one_line(judge, _LABEL_WIDTH)} / {one_line(human, _LABEL_WIDTH)}", rows)
        for judge, human, rows in matching.confusion[:_MAX_PAIRS]
    ]
    width = max(columns_of(name) for name, _ in pairs)
    for name, rows in pairs:
        yield f"  {padded(name, width)}  {rows:,}"
    if len(matching.confusion) > _MAX_PAIRS:
        yield f"  and {len(matching.confusion) - _MAX_PAIRS:,} other pairs"


def _distance(distance: Distance) -> Iterator[str]:
    error, bias = distance.absolute_error, distance.bias
    yield ""
    yield f"distance    {format_number(error.value)} on average, 95 % interval {format_interval(error)}"
    yield f"            quadratic kappa {format_correlation(distance.kappa)}"
    yield (
        f"            {format_number(distance.constant_error)}, kappa 0, "
        f"for a judge that always says {format_number(distance.constant)}"
    )
    yield (
        f"            correlation {format_correlation(distance.pearson)} (Pearson), "
        f"{format_correlation(distance.spearman)} (Spearman)"
    )
    yield f"bias        {bias.value:+.4f} judge minus human, 95 % interval {format_interval(bias)}"


def _repeats(agreement: JudgeAgreement) -> Iterator[str]:
    if agreement.flips is None:
        return
    flips = agreement.flips
    yield ""
    yield f"repeats     answers differ on {format_percent(flips.flipped)} of {format_rows(flips.rows)}"
    against_majority = format_percent(flips.against_majority)
    yield f"            {against_majority} of a row's answers are not its most frequent one"
    alpha = (
        "unknown: all answers are the same" if agreement.alpha is None else f"{agreement.alpha:.2f}"
    )
    yield f"            Krippendorff's alpha {alpha}"


def _calibration(calibration: Calibration) -> Iterator[str]:
    yield ""
    yield Heading(f"calibration, expected error {format_number(calibration.expected_error)}")
    yield "  judge says       rows    judge mean     human mean"
    for bin_ in calibration.bins:
        span = f"{format_number(bin_.low)} to {format_number(bin_.high)}"
        yield f"  {span:<14}{bin_.rows:>7,}  {bin_.judge:>12.4f}  {bin_.human:>13.4f}"
