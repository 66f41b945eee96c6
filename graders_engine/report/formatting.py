"""How reports format numbers, and how they name rows and statuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from graders_engine.dataset.results.reasons import Reason, most_frequent
from graders_engine.outcome import SERVED, Blame, Flag, details_line
from graders_engine.report.visible import one_line

if TYPE_CHECKING:  # numpy and scipy take a while to import
    from graders_engine.dataset.results.tally import Tally
    from graders_engine.statistics.estimate import Estimate

STATUS_MEANINGS = {
    "scored": "with a reward",
    "invalid": "no complete grade, for a reason that a retry does not change",
    "failed": "infrastructure; no reward, not a zero",
}
"""Each status of a row and what it means, in the order in which reports list them."""
BLAME_MEANINGS: dict[Blame, str] = {
    "sample": "the model's output is not JSON, or lacks what a template names; "
    "what fails counts as 0 or invalid_grade",
    "grader": "its code, formula or template gives no value, or a limit is passed; "
    "what fails counts as 0 or invalid_grade",
    "row": "its item lacks what a template names, or it or its output cannot be read; in no mean",
    "judge": "it refused, was cut off, or gave no verdict; in no mean",
    "infrastructure": "an outage, or an error in place of an output; in no mean",
}
"""Who can be to blame, and what that means for the row.

Where a part of a multi fails, the part is 0 in the formula; the whole counts as its `invalid_grade` if it has
one.
"""
_FLAG_MEANINGS: dict[str, str] = {
    Flag.UNRESPONSIVE_REWARD: "the output is empty",
    Flag.TRUNCATED_OBSERVATION: "the output was cut off",
}
"""Flags of the sample itself, which come without details."""
OF_SCORED = " of the scored"
"""After a heading of rewards, where invalid rows count in the mean, too, and are not among them."""
MAX_REASON = 200
"""Characters of a reason in a report."""
MOST_BLAMED = 0.05
"""A larger share of rows that anything but the sample is to blame for is said before the numbers."""
MOST_OF_SAMPLES = 0.5
"""Likewise for the sample: a model may often fail, but then a misspelt template is as likely."""


def format_number(value: float) -> str:
    """A number with up to four decimals; a very small or very large one with three significant digits."""
    if abs(value) < 1e6 and value == int(value):
        return str(int(value))
    if 1e-3 <= abs(value) < 1e6:
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return f"{value:.3g}"


def format_count(count: int) -> str:
    """A count with commas between the thousands."""
    return f"{count:,}"


def format_mean(value: float) -> str:
    """A mean with four decimals; a very large one with seven significant digits."""
    # + 0.0 turns -0.0 into 0.0
    return f"{round(value, 4) + 0.0:.4f}" if abs(value) < 1e7 else f"{value:.7g}"


def format_reward(value: float | None) -> str:
    """A reward, or a dash for None."""
    return "-" if value is None else format_number(value)


def format_correlation(value: float | None) -> str:
    """A correlation with two decimals, or a dash if one of the two variables is constant."""
    # + 0.0 turns -0.0 into 0.0: "-0.00" looks like a sign that means something
    return "-" if value is None else f"{round(value, 2) + 0.0:.2f}"


def format_interval(estimate: Estimate) -> str:
    """The ends of an estimate's interval, or "unknown" if the data do not give one."""
    if estimate.low is None or estimate.high is None:
        return "unknown"
    return f"{format_mean(estimate.low)} to {format_mean(estimate.high)}"


def format_percent(share: float) -> str:
    """A share between 0 and 1 as a percentage."""
    return f"{100 * share:.1f} %"


def format_share(count: int, total: int) -> str:
    """A count as a percentage of a total, or a dash if the total is 0."""
    return format_percent(count / total) if total else "-"


def much_blamed(
    blames: Mapping[Blame, int],
    rows: int,
    *,
    grouped: bool = False,
    reasons: Mapping[str, Reason] = MappingProxyType({}),
    outside: int = 0,
) -> Iterator[str]:
    """What must be known before a mean is read: a sentence on each blame that takes too many rewards.

    Args:
        blames: how many rows are not scored because of what.
        rows: how many rows there are.
        grouped: whether they are samples of rows.
        reasons: why rows cannot be read; one that most of those to blame have is said itself.
        outside: how many of them stand for outputs without a row.
    """
    common = next(iter(most_frequent(reasons, 1)), None)
    for blame, count in blames.items():
        if count > (MOST_OF_SAMPLES if blame == "sample" else MOST_BLAMED) * rows:
            share = format_share(count, rows)
            meaning = BLAME_MEANINGS[blame]
            if blame == "row" and common and 2 * common.rows > count:
                meaning = f"{one_line(common.described.rstrip('.'), MAX_REASON)}; in no mean"
            all_rows = format_rows(rows - outside, grouped=grouped)
            all_rows += " and the outputs without a row" if outside else ""
            have = "has" if rows == 1 else "have"
            # What is served may be a multi's number, without the part that failed.
            what = "complete grade" if blame in SERVED else "reward"
            yield f"{share} of {all_rows} {have} no {what} because of the {blame}: {meaning}"


def much_blamed_in(tally: Tally) -> Iterator[str]:
    """As `much_blamed`, of a run that is tallied."""
    yield from much_blamed(
        tally.blames,
        tally.rows,
        grouped=tally.grouped,
        reasons=tally.reasons,
        outside=tally.outside,
    )


def flag_reason(flag: str, details: str) -> str:
    """Why a flag is set, as one line: what its details say, or what it means where it has none."""
    return details_line(details) if details else _FLAG_MEANINGS.get(flag, "")


def row_reasons(tally: Tally) -> Iterator[str]:
    """Why rows cannot be graded, the most frequent reasons first, and how many rows have others."""
    listed = most_frequent(tally.reasons)
    for reason in listed:
        yield one_line(reason.described, MAX_REASON)
    others = tally.blames["row"] - sum(reason.rows for reason in listed)
    if listed and others:
        yield f"{others:,} for other reasons"


def clamped_numbers(tally: Tally) -> Iterator[str]:
    """A sentence on each judge whose numbers were outside its grader's range: their scale is another one."""
    for key, count in sorted(tally.clamped.items()):
        whose = f"of '{key}'" if key else "of the grader"
        rows = f"{count:,} of {format_rows(tally.rows, grouped=tally.grouped)}"
        yield f"in {rows} the judge's number was outside the range {whose}: the end of the range counts"


def parts_left_out(tally: Tally) -> Iterator[str]:
    """A sentence on each part of requests that a judge was not sent."""
    from graders_engine.models.dialects.dialect import (
        described,
    )  # not above: a run without judges needs none

    for (model, part), count in sorted(tally.left_out.items()):
        rows = f"{count:,} of {format_rows(tally.rows, grouped=tally.grouped)}"
        yield f"{model} was asked {described(part)} for {rows}"


COST_UNIT = " (in the unit of the prices)"
"""What follows a cost where nothing beside it says what it is in; the prices' currency is not known here."""


def format_cost(amount: float) -> str:
    """An amount in the currency of the prices, which is not known here."""
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.4f}"


def spending_line(spending: Mapping[str, Any]) -> str:
    """What the judges of a run that has no report took, of `Engine.spending`; empty for nothing."""
    if not spending["tokens"]:
        return ""
    cost = f", cost {spending['cost']:,.4g}{COST_UNIT}" if spending["cost"] else ""
    return f"The judges took {spending['tokens']:,} tokens{cost}."


def format_seconds(seconds: float) -> str:
    """A duration in seconds, milliseconds or microseconds."""
    if seconds >= 0.99995:
        return f"{seconds:,.2f} s"
    return f"{1e3 * seconds:,.1f} ms" if seconds >= 0.99995e-3 else f"{1e6 * seconds:,.1f} µs"


def format_rows(count: int, *, grouped: bool = False) -> str:
    """A count of rows: "1 row", "2 rows"; or of samples, where several are those of one row."""
    name = rows_name(grouped=grouped)
    return f"{count:,} {name.removesuffix('s') if count == 1 else name}"


def rows_name(*, grouped: bool) -> str:
    """What the rows of a run are called: "rows", or "samples" where several are those of one row."""
    return "samples" if grouped else "rows"


def format_prompts(count: int) -> str:
    """A count of prompts: "1 prompt", "2 prompts"."""
    return f"{count:,} prompt" if count == 1 else f"{count:,} prompts"


def format_range(low: int, high: int) -> str:
    """Two counts as a range: "4", "2 to 4"."""
    return f"{high:,}" if low == high else f"{low:,} to {high:,}"
