"""Why rows cannot be graded, by the kind of reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One kind of reason.

    Attributes:
        rows: how many rows have it.
        words: those of the first of them.
        first: the name of this first row.
        alike: whether the others have the very same words; else names or numbers in them differ.
    """

    rows: int
    words: str
    first: str
    alike: bool = True

    def __add__(self, later: Reason) -> Reason:
        """The reason of these rows and of later ones."""
        alike = self.alike and later.alike and self.words == later.words
        return Reason(self.rows + later.rows, self.words, self.first, alike)

    @property
    def described(self) -> str:
        """How many rows have it, and its words, after the row that they are those of."""
        if self.rows == 1:
            return f"line {self.first}: {self.words}"
        kind = "" if self.alike else " of this kind"
        return f"{self.rows:,}{kind}, first on line {self.first}: {self.words}"


def most_frequent(reasons: Mapping[str, Reason], most: int = 3) -> list[Reason]:
    """The most frequent of these reasons; of equally frequent ones, those that came first."""
    return sorted(reasons.values(), key=lambda one: -one.rows)[:most]
