"""How long each sample of a data set is: read once, and kept in the cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from graders_engine.dataset.rows.records import RowRef
from graders_engine.report.row_texts import RowKey, whole_texts
from graders_engine.view.searching.folded import FoldedTexts, plain_samples
from graders_engine.view.texts import DataRows

# Scipy takes a while to import, and this is imported by a process that starts often.
if TYPE_CHECKING:
    from graders_engine.statistics.estimate import Floats, Ints

UNREAD = -1
"""The length of a sample that cannot be read."""


@dataclass(frozen=True, slots=True)
class StoredLengths:
    """The lengths of the samples of a data set.

    Attributes:
        firsts: of each line, how many samples are in the lines before it; and how many there are in all.
        chars: of each sample, the characters of its text as reports have it; or `UNREAD`.
    """

    firsts: Ints
    chars: Ints

    @classmethod
    def read(cls, path: Path) -> Self:
        """The lengths from their file.

        Raises:
            OSError: it is not there.
            ValueError: it is not whole.
        """
        numbers = np.fromfile(path, np.int64)
        lines = int(numbers[0]) if len(numbers) else -1
        firsts = numbers[1 : lines + 2]
        if lines < 0 or len(firsts) != lines + 1 or len(numbers) != lines + 2 + firsts[-1]:
            raise ValueError("the lengths are not whole")
        return cls(firsts, numbers[lines + 2 :])

    def of(self, lines: Ints, numbers: NDArray[np.int32]) -> Floats:
        """The lengths of rows; NaN for a sample that is not there, or cannot be read.

        Args:
            lines: of each row, the number of its line.
            numbers: of each row, the number of its sample among those of the line; 0 for the only one.
        """
        found = np.full(len(lines), np.nan)
        rows = np.flatnonzero((lines > 0) & (lines < len(self.firsts)))
        at = self.firsts[lines[rows] - 1] + np.maximum(numbers[rows], 1) - 1
        there = at < self.firsts[lines[rows]]
        rows, at = rows[there], at[there]
        known = self.chars[at] != UNREAD
        found[rows[known]] = self.chars[at[known]]
        return found


def stored_at(data: DataRows) -> Path:
    """The file with the lengths of a data set."""
    return data.folder.path / "lengths"


def store_lengths(texts: FoldedTexts, report: Callable[[int], object]) -> None:
    """Read how long the samples of a data set are, and keep it in the cache.

    Args:
        texts: the parts in which the data set is read.
        report: called with how many of them are read.

    Raises:
        OSError: the data set cannot be read, or the cache cannot be written.
    """
    found: list[Ints] = []
    counts: list[int] = []
    for number in range(texts.count):
        of_lines = _lengths(texts, number)
        counts += map(len, of_lines)
        found.append(np.fromiter(chain.from_iterable(of_lines), np.int64))
        report(number + 1)
    firsts = np.concatenate(([len(counts), 0], np.cumsum(counts, dtype=np.int64)))
    path = stored_at(texts.data)
    temporary = path.with_name(f"{path.name}.{token_hex(8)}.part")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(each.astype(np.int64).tobytes() for each in (firsts, *found))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _lengths(texts: FoldedTexts, number: int) -> list[list[int]]:
    """The lengths of the samples of each line of a part of the data set."""
    data = texts.data
    first, last = int(texts.bounds[number]) + 1, int(texts.bounds[number + 1])
    found: list[list[int]] = [[] for _ in range(first, last + 1)]
    with data.path.open("rb", buffering=0) as file:
        for raw in data.read(file, first, last):
            found[raw.line - first] = _lengths_of(data, raw)
    return found


def _lengths_of(data: DataRows, raw: RowRef) -> list[int]:
    samples = plain_samples(raw.row, data.shape.name)
    if samples is not None:
        return [*map(len, samples)]
    rows = ((RowKey(ref.line, ref.sample), ref.row) for ref in data.shape.split(raw))
    return [text.sample_chars if text.has_sample else UNREAD for _, text in whole_texts(rows)]
