"""How a run ended: whether it counts as a success, and what is to be said of it besides its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from graders_engine.dataset.results.tally import Tally
from graders_engine.errors import InvalidRequest
from graders_engine.outcome import BLAMES, SERVED
from graders_engine.statistics.rounding import ROUNDING

_NOTHING = 1e-12
"""A mean of rewards whose sum is zero may differ from it by less."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits on the numbers of a run; None is no limit.

    Attributes:
        fail_under: lowest mean reward, of the model as training would see it.
        max_invalid: largest share of invalid rows, in percent of all rows.
        max_failed: likewise of failed rows.

    Raises:
        InvalidRequest: a limit is not a number, or no percentage.
    """

    fail_under: float | None = None
    max_invalid: float | None = None
    max_failed: float | None = None

    def __post_init__(self) -> None:
        if self.fail_under is not None and not math.isfinite(self.fail_under):
            raise InvalidRequest(f"--fail-under must be a number, not {self.fail_under}.")
        for name, limit in (("invalid", self.max_invalid), ("failed", self.max_failed)):
            if limit is not None and not 0 <= limit <= 100:
                raise InvalidRequest(
                    f"--max-{name} is a percentage from 0 to 100, not {limit:g}: --max-{name} 5%."
                )

    def missed(self, tally: Tally) -> Iterator[str]:
        """A sentence for each limit that a run does not keep; one without rows keeps none."""
        mean = tally.mean
        lowest = self.fail_under
        if lowest is not None and not _reaches(mean, lowest):
            reached = "there is none" if mean is None else f"{mean:.6g}"
            yield f"The mean reward is below {lowest:g} (--fail-under): {reached}."
        for name, count, limit in (
            ("invalid", tally.invalid, self.max_invalid),
            ("failed", tally.failed, self.max_failed),
        ):
            if limit is not None and 100 * count > limit * tally.rows * (1 + ROUNDING):
                yield (
                    f"More than {limit:g} % of the rows are {name} (--max-{name}): {count:,} of "
                    f"{tally.rows:,}, {100 * count / tally.rows:.4g} %."
                )


def _reaches(mean: float | None, lowest: float) -> bool:
    """Whether a mean is at least so high, but for the last bits of a sum; one without a value never is."""
    if mean is None or not math.isfinite(mean):
        return False
    return mean >= lowest - ROUNDING * abs(lowest) - _NOTHING


def what_was_there(tally: Tally) -> str:
    """How much of a run had been graded before; empty for a new run."""
    if not tally.earlier:
        return ""
    if tally.earlier < tally.rows:
        return f"{tally.earlier:,} rows had been graded before; {tally.rows - tally.earlier:,} were left."
    graded = (
        f"only rows that had failed were retried ({tally.retried:,})"
        if tally.retried
        else "nothing was graded"
    )
    return f"Already complete: {graded}."


def why_unscored(tally: Tally) -> str:
    """Why a run without a scored row is no success; empty if a row is scored."""
    if tally.scored:
        return ""
    if not tally.rows:
        return "Nothing was scored: the data set has no rows."
    if tally.served:
        by = " and ".join(
            f"{tally.blames[blame]:,} by the {blame}"
            for blame in BLAMES
            if blame in SERVED and tally.blames[blame]
        )
        return (
            f"Nothing was scored: no row has a complete grade, {by}; in the mean, what fails counts as 0 or "
            "invalid_grade."
        )
    none = "the only row has no" if tally.rows == 1 else f"none of {tally.rows:,} rows has a"
    return f"Nothing was scored: {none} reward."


def how_to_retry(tally: Tally) -> str:
    """What to do about rows that failed or have no verdict; empty without any."""
    sentences = []
    if outages := tally.failed - tally.without_output:
        failed = "1 row" if outages == 1 else f"{outages:,} rows"
        sentences.append(
            f"{failed} failed by an outage: the same command with --retry-failed retries them."
        )
    if count := tally.no_verdict:
        rows, it = ("1 row has", "it") if count == 1 else (f"{count:,} rows have", "them")
        sentences.append(
            f"{rows} an answer of a judge without a verdict, which is not kept: once the judge is mended, "
            f"the same command with --overwrite asks again for {it}, and with a cache of replies for no "
            "other."
        )
    if count := tally.without_output:
        have = "1 row has" if count == 1 else f"{count:,} rows have"
        first = tally.first_without_output.rstrip(".")
        them = "it" if count == 1 else "them"
        sentences.append(
            f"{have} an error in place of an output (first: {first}): sample {them} again, and grade the new "
            "file."
        )
    return " ".join(sentences)
