"""What a benchmark reports: one number, its unit, and the bar it is held against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Attributes:
        name: what was measured, in a few words.
        value: the number, in `unit`.
        unit: "ms", "us/row", "x" (a ratio), "MB", "rows/s", ...
        bar: the limit the project sets itself, in `unit`; None where there is none.
        at_least: True when the value must not fall below the bar, False when it must not exceed it.
    """

    name: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = False

    @property
    def held(self) -> bool | None:
        """Whether the bar is met; None without a bar."""
        if self.bar is None:
            return None
        return self.value >= self.bar if self.at_least else self.value <= self.bar
