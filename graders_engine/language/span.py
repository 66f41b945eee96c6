"""Positions in a source text, and the syntax issues that are reported there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_WIDTH = 100
"""Columns of a source line that are printed; a longer line is cut around the issue."""


@dataclass(frozen=True, slots=True)
class Span:
    """A range of a source text.

    Attributes:
        source: the whole text.
        start: offset of the first character; the text's length for a span at its end.
        end: offset after the last character.
    """

    source: str
    start: int
    end: int

    @property
    def line(self) -> int:
        """Line of the first character, counted from 1."""
        return self.source.count("\n", 0, self.start) + 1

    @property
    def column(self) -> int:
        """Column of the first character, counted from 1."""
        return self.start - self.source.rfind("\n", 0, self.start)

    def caret(self) -> str:
        """The source line with carets under the span, cut to the width of a screen."""
        head = self.source.rfind("\n", 0, self.start) + 1
        tail = self.source.find("\n", self.start)
        line = self.source[head : tail if tail >= 0 else len(self.source)]
        at = self.start - head
        cut = max(0, at - _WIDTH // 2)
        excerpt = line[cut : cut + _WIDTH]
        before, after = "… " if cut else "", " …" if cut + _WIDTH < len(line) else ""
        width = max(1, min(self.end - self.start, len(excerpt) - (at - cut)))
        # A tab or a control character would move the caret: each is printed as one space.
        excerpt = "".join(char if char.isprintable() else " " for char in excerpt)
        return f"{before}{excerpt}{after}\n{' ' * (len(before) + at - cut)}{'^' * width}"


@dataclass(frozen=True, slots=True)
class SyntaxIssue:
    """One thing wrong with a source text.

    Attributes:
        reason: what is wrong, as a clause without a full stop.
        span: where it is.
        kind: the class of the issue, one word.
    """

    reason: str
    span: Span
    kind: str = "syntax"

    def __str__(self) -> str:
        """The reason with its line and column, then the source line with a caret."""
        return (
            f"{self.reason} (line {self.span.line}, column {self.span.column})\n{self.span.caret()}"
        )


class SourceError(ValueError):
    """Raised when a source text does not follow its language.

    Attributes:
        issues: all issues that could be found, at least one, in source order.
    """

    def __init__(self, issues: Sequence[SyntaxIssue]) -> None:
        self.issues = tuple(issues)
        super().__init__(self.issues)

    def __str__(self) -> str:
        """All issues, each with its line and a caret."""
        return "\n".join(str(issue) for issue in self.issues)
