"""Where a fault stands in a source text, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_WIDTH = 100
"""Columns of a source line that are shown; a longer line is cut around the fault."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a source text.

    Attributes:
        source: the whole text.
        start: offset of the first character at fault; the text's length when its end is at fault.
        end: offset behind the last one.
    """

    source: str
    start: int
    end: int

    @property
    def line(self) -> int:
        """Line of the fault, counted from 1."""
        return self.source.count("\n", 0, self.start) + 1

    @property
    def column(self) -> int:
        """Column of the fault in characters, counted from 1."""
        return self.start - self.source.rfind("\n", 0, self.start)

    def caret(self) -> str:
        """The source line with carets under the fault, cut to a screen's width."""
        head = self.source.rfind("\n", 0, self.start) + 1
        tail = self.source.find("\n", self.start)
        line = self.source[head : tail if tail >= 0 else len(self.source)]
        at = self.start - head
        cut = max(0, at - _WIDTH // 2)
        shown = line[cut : cut + _WIDTH]
        before, after = "… " if cut else "", " …" if cut + _WIDTH < len(line) else ""
        width = max(1, min(self.end - self.start, len(shown) - (at - cut)))
        # A tab or a control character would move the caret: each is shown as one blank.
        shown = "".join(char if char.isprintable() else " " for char in shown)
        return f"{before}{shown}{after}\n{' ' * (len(before) + at - cut)}{'^' * width}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a source text.

    Attributes:
        reason: what is wrong, a clause without a full stop.
        span: where.
        kind: the class of the mistake, one word.
    """

    reason: str
    span: Span
    kind: str = "syntax"

    def __str__(self) -> str:
        """The reason with its place, then the line and the caret."""
        return (
            f"{self.reason} (line {self.span.line}, column {self.span.column})\n{self.span.caret()}"
        )


class SourceError(ValueError):
    """Raised when a source text does not follow its language.

    Attributes:
        faults: every mistake that could be told apart, at least one, in the order they stand.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))
