"""The page of a run of an eval: its status, counts and criteria first, then the report of its rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graders_engine.report import formatting
from graders_engine.report.html import charts
from graders_engine.report.html.rendering import environment, policy_hash, style_of
from graders_engine.report.visible import one_line, shorten, start_of, visible
from graders_engine.version import __version__

STYLE = "eval-run.css"
"""The page's own style, after that of all pages."""
FILTERS = (
    formatting.format_count,
    formatting.format_number,
    formatting.format_percent,
    formatting.format_share,
    one_line,
    shorten,
    start_of,
)
"""The functions that the summary's templates use as filters, under the same names."""


@dataclass(frozen=True, slots=True)
class CriterionLine:
    """A testing criterion, and how many of the run's items met it.

    Attributes:
        name: of the criterion.
        type: of its grader; empty if it is not known.
        passed: items that met it; None if that is not known.
        failed: items that did not; None likewise.
        threshold: the score from which on it is met; None if it is not known.
    """

    name: str
    type: str
    passed: int | None
    failed: int | None
    threshold: float | None

    @property
    def rate(self) -> float | None:
        """The share of the items that met it; None if it could grade none."""
        if self.passed is None or self.failed is None or not self.passed + self.failed:
            return None
        return self.passed / (self.passed + self.failed)


@dataclass(frozen=True, slots=True)
class ItemLine:
    """An output item: its number, its status, the item and the output as text, what it did not meet."""

    number: str
    status: str
    item: str
    output: str
    unmet: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a page says of a run before anything else.

    Attributes:
        name: of the run.
        eval_name: of its eval.
        line: what else names it, on one line.
        status: queued, in_progress, completed, failed or canceled.
        counts: how many items have passed, failed and errored.
        criteria: in the order of the eval.
        meaning: a sentence on the status.
        error: (code, message) of a run that failed; empty without one.
        advice: what to do about the error.
        items: of a run that has no results file.
        items_left_out: how many more it has.
        refresh_s: after so many seconds a browser loads the page again; 0 for never.
        notes: sentences to be read before anything else.
        reasons: why items are errored, each with its number.
    """

    name: str
    eval_name: str
    line: str
    status: str
    counts: dict[str, int]
    criteria: Sequence[CriterionLine] = ()
    meaning: str = ""
    error: tuple[str, str] | tuple[()] = ()
    advice: str = ""
    items: Sequence[ItemLine] = ()
    items_left_out: int = 0
    refresh_s: int = 0
    notes: Sequence[str] = ()
    reasons: Sequence[str] = ()

    @property
    def graded(self) -> int:
        """Items that have passed or failed."""
        return self.counts["passed"] + self.counts["failed"]

    @property
    def total(self) -> int:
        """All items that the counts are of."""
        return sum(self.counts.values())

    @property
    def status_words(self) -> str:
        """The status as a person writes it."""
        return self.status.replace("_", " ")


def run_page(summary: RunSummary) -> str:
    """The page of a run that has no report of rewards, as text to be encoded as UTF-8; it runs nothing.

    Args:
        summary: what it says.
    """
    made = environment(FILTERS)
    style = style_of(made, STYLE)
    page = made.get_template("eval-run.html.jinja").render(
        run=summary,
        numbers=None,
        sections=[],
        charts=charts,
        engine=__version__,
        row_data=None,
        style=style,
        style_hash=policy_hash(style),
        script="",
        script_hash="",
    )
    return visible(page)
