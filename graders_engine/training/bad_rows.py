"""The rows of a file that cannot be trained with: the first ones are named, and all are counted."""

from __future__ import annotations

from dataclasses import dataclass, field

NAMED = 10
"""Bad lines that are named."""
_MOST_CHARS = 1_000
"""Of what is wrong with a line: it may quote a key of any length."""


@dataclass(slots=True)
class BadRows:
    """What is wrong in a file.

    Attributes:
        count: how many rows are bad.
        named: (line, what is wrong) of the first ones.
    """

    count: int = 0
    named: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, fault: str) -> None:
        """Count a row that is bad."""
        self.count += 1
        if len(self.named) < NAMED:
            cut = fault if len(fault) <= _MOST_CHARS else f"{fault[:_MOST_CHARS]}…"
            self.named.append((line, cut))

    def mistake(self, rows: int) -> str:
        """A few sentences on them; lines with the same fault are named together.

        Args:
            rows: how many rows the file has.
        """
        by_fault: dict[str, list[str]] = {}
        for line, fault in self.named:
            by_fault.setdefault(fault, []).append(str(line))
        lines = " ".join(
            f"Line{'s' if len(same) > 1 else ''} {', '.join(same)}: {fault}"
            for fault, same in by_fault.items()
        )
        more = self.count - len(self.named)
        rest = f" And {more:,} more." if more else ""
        verb = "is" if self.count == 1 else "are"
        return f"{self.count:,} of {count_of(rows)} {verb} wrong. {lines}{rest}"


def count_of(rows: int) -> str:
    """`1 row`, `12 rows`."""
    return f"{rows:,} row{'' if rows == 1 else 's'}"
