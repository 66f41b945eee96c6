"""How numbers and rows are written in reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graders_engine.dataset.results.line import ResultLine

if TYPE_CHECKING:  # what it stands on takes a while to import
    from graders_engine.statistics.estimate import Estimate


def written(value: float) -> str:
    """A number as short as four digits behind the point allow."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.4f}".rstrip("0") if 1e-3 <= abs(value) < 1e6 else f"{value:.3g}"


def reward_of(value: float | None) -> str:
    """A reward, or a dash where there is none."""
    return "-" if value is None else written(value)


def correlation(value: float | None) -> str:
    """A correlation, or a dash where one of the two does not vary."""
    # + 0.0: a minus before a 0 says nothing
    return "-" if value is None else f"{round(value, 2) + 0.0:.2f}"


def interval(estimate: Estimate) -> str:
    """The two ends, or that the data cannot tell them."""
    if estimate.low is None or estimate.high is None:
        return "unknown"
    return f"{estimate.low:.4f} to {estimate.high:.4f}"


def percent(share: float) -> str:
    """A share of 1 in percent."""
    return f"{100 * share:.1f} %"


def share_of(count: int, total: int) -> str:
    """A count's share of a total in percent."""
    return percent(count / total) if total else "-"


def place(result: ResultLine) -> str:
    """A row's line, and which of its samples it is."""
    return f"{result.line}" + (f" #{result.sample + 1}" if result.sample else "")


def money(amount: float) -> str:
    """An amount in the prices' unit."""
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.4f}"
