"""A judge held against people, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.dataset.results.agreement import Distance, JudgeAgreement, Matching
from graders_engine.report.formatting import correlation, interval, percent, written
from graders_engine.report.visible import one_line, visible
from graders_engine.statistics.agreement import Calibration

_PAIRS = 12
"""Pairs of answers that are shown."""
_LABEL = 30
"""Columns of a label, at most."""


def render(found: JudgeAgreement) -> str:
    """What the judge is worth: agreement, beside a judge that always says the same; its repeats."""
    lines = [
        *_rows(found),
        *(_matching(found.matching, found.passing) if found.matching else ()),
        *(_distance(found.distance) if found.distance else ()),
        *_repeats(found),
        *(_calibration(found.distance.calibration) if found.distance else ()),
    ]
    return visible("\n".join(lines))


def _rows(found: JudgeAgreement) -> Iterator[str]:
    without = f"; {found.unanswered:,} more without an answer" if found.unanswered else ""
    rows = "1 row" if found.rows == 1 else f"{found.rows:,} rows"
    yield f"{rows} with the judge's answer and a label of people{without}"


def _matching(matching: Matching, passing: float | None) -> Iterator[str]:
    of = "" if passing is None else f" on what passes (at least {written(passing)})"
    agreement = matching.agreement
    constant = one_line(matching.constant, _LABEL)
    yield ""
    yield (
        f"agreement   {percent(agreement.value)}{of}, 95 % interval {interval(agreement)}, "
        f"Cohen's kappa {correlation(matching.kappa)}"
    )
    yield (
        f"            {percent(matching.constant_agreement)}, kappa 0, for a judge that always says "
        f"'{constant}'"
    )
    yield ""
    yield "judge / people, rows"
    names = [
        f"{one_line(judge, _LABEL)} / {one_line(human, _LABEL)}"
        for judge, human, _ in matching.confusion[:_PAIRS]
    ]
    for name, (_, _, rows) in zip(names, matching.confusion, strict=False):
        yield f"  {name:<{max(map(len, names))}}  {rows:,}"
    if len(matching.confusion) > _PAIRS:
        yield f"  and {len(matching.confusion) - _PAIRS:,} other pairs"


def _distance(distance: Distance) -> Iterator[str]:
    error, bias = distance.absolute_error, distance.bias
    yield ""
    yield (
        f"distance    {written(error.value)} on average, 95 % interval {interval(error)}, quadratic kappa "
        f"{correlation(distance.kappa)}"
    )
    yield (
        f"            {written(distance.constant_error)}, kappa 0, for a judge that always says "
        f"{written(distance.constant)}"
    )
    yield (
        f"            correlation {correlation(distance.pearson)} (Pearson), "
        f"{correlation(distance.spearman)} (Spearman)"
    )
    yield f"bias        {bias.value:+.4f} judge minus people, 95 % interval {interval(bias)}"


def _repeats(found: JudgeAgreement) -> Iterator[str]:
    if found.flips is None:
        return
    flips = found.flips
    yield ""
    yield (
        f"repeats     {percent(flips.flipped)} of {flips.rows:,} rows got answers that differ; "
        f"{percent(flips.against_majority)} of a row's answers are not its most frequent one"
    )
    alpha = "unknown: all answers are the same" if found.alpha is None else f"{found.alpha:.2f}"
    yield f"            Krippendorff's alpha {alpha}"


def _calibration(calibration: Calibration) -> Iterator[str]:
    yield ""
    yield f"calibration, expected error {written(calibration.expected_error)}"
    yield "  judge says       rows  judge's mean  people's mean"
    for bin_ in calibration.bins:
        span = f"{written(bin_.low)} to {written(bin_.high)}"
        yield f"  {span:<14}{bin_.rows:>7,}  {bin_.judge:>12.4f}  {bin_.human:>13.4f}"
