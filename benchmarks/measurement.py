"""What a benchmark reports: a number, its unit, and the bar that it should meet."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured number.

    Attributes:
        name: what was measured, in a few words.
        value: the number, in `unit`.
        unit: "ms", "us/row", "x" (a ratio), "MB", "rows/s", ...
        bar: the project's limit for the value, in `unit`; None for no limit.
        at_least: True if the bar is a lower limit, False if it is an upper limit.
    """

    name: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = False

    @property
    def meets_bar(self) -> bool | None:
        """Whether the value meets the bar; None without a bar."""
        if self.bar is None:
            return None
        return self.value >= self.bar if self.at_least else self.value <= self.bar
