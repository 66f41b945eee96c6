"""A results file as columns of numbers in the cache, mapped into memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from graders_engine.dataset.results.columns import STANDINGS, RunColumns
from graders_engine.dataset.results.line import ResultLine, decode_result, lines_of, row_name
from graders_engine.errors import DataSetError
from graders_engine.report.histogram import Histogram
from graders_engine.report.row_texts import RowKey, keys_of
from graders_engine.statistics.estimate import Floats, Ints
from graders_engine.view import cache

ARRAYS: dict[str, type[np.generic]] = {
    "lines": np.int64,
    "samples": np.int64,
    "numbers": np.int32,
    "groups": np.int64,
    "rewards": np.float64,
    "counted": np.float64,
    "hosted": np.float64,
    "seconds": np.float64,
    "standings": np.int8,
    "flag_sets": np.int32,
    "ends": np.int64,
}
"""The columns of every results file."""


def read_names(folder: Path) -> list[str]:
    """The names of the groups."""
    names: list[str] = json.loads((folder / "names").read_bytes())
    return names


class ResultsChanged(DataSetError):
    """Raised when a results file is not the one that was read: it will be read again."""


class ViewColumns(RunColumns):
    """A results file as columns of numbers, mapped from the cache; it serves wherever a `RunColumns` does.

    Attributes:
        numbers: of the samples among those of their lines; 0 for a line without a list of them.
        seconds: of the grading of each row.
        flag_sets: of each row, an index into `sets`.
        sets: sets of flags.
        ends: the offset in the results file of each row's end.
        histogram: the rewards that count in the mean.
        bars: of each row, its bar; -1 for a row in no mean.
        codes: of each row, the number of its prompt; None if rows are no samples of prompts.
        lengths: the characters of each row's sample, NaN where that is not known; None until they are read,
            from the data set.
        folder: where the arrays are.

    Raises:
        ValueError, KeyError, TypeError, OSError: the cache is odd.
    """

    def __init__(
        self, path: Path, meta: dict[str, Any], folder: Path, known: Mapping[str, Any]
    ) -> None:
        self.path, self.meta, self.folder = path, meta, folder
        self._rows: int = known["rows"]
        self._names: list[str] = known["keys"]
        if self.details_path.stat().st_size != known["details_bytes"]:
            raise ValueError("the details are not whole")
        for name in ARRAYS:
            setattr(self, name, self._mapped(name, ARRAYS[name]))
        self.bars: NDArray[np.int8] = self._mapped("bars", np.int8)
        self.codes: NDArray[np.int32] | None = (
            self._mapped("codes", np.int32) if known["grouped"] else None
        )
        self._sub_rewards = {
            key: self._mapped(f"sub-{number}", np.float64) for number, key in enumerate(self._names)
        }
        self._counted_parts = {
            key: self._mapped(f"counted-{number}", np.float64)
            for number, key in enumerate(self._names)
        }
        self.sets = [tuple(names) for names in known["flag_sets"]]
        self.lengths: Floats | None = None
        found = known["histogram"]
        self.histogram = None if found is None else Histogram(tuple(found[0]), tuple(found[1]))

    numbers: NDArray[np.int32]
    seconds: Floats
    flag_sets: NDArray[np.int32]
    ends: Ints

    def __len__(self) -> int:
        return self._rows

    def _mapped(self, name: str, dtype: type[np.generic]) -> NDArray[Any]:
        return cache.mapped(self.folder / name, dtype, self._rows)

    @property
    def keys(self) -> list[str]:
        """The keys of the sub-rewards."""
        return self._names

    def sub_rewards(self, key: str) -> Floats:
        """The sub-rewards of one key, of each row; NaN for rows without one."""
        found: Floats | None = self._sub_rewards.get(key)
        return np.full(self._rows, np.nan) if found is None else found

    def counted_parts(self, key: str) -> Floats:
        """What counts of the part with one key, of each row; NaN for rows that are not in its mean."""
        found: Floats | None = self._counted_parts.get(key)
        return np.full(self._rows, np.nan) if found is None else found

    def known_lengths(self) -> Floats:
        """The characters of each row's sample; NaN where that is not known.

        Raises:
            DataSetError: they were not read.
        """
        if self.lengths is None:
            raise DataSetError("The lengths of the samples were not read.")
        return self.lengths

    def group_names(self, indexes: Ints) -> list[str | None]:
        """The names of the groups of these rows; None for a row without one."""
        names = self._group_names
        return [None if group >= 0 else names[~group] for group in self.groups[indexes].tolist()]

    @cached_property
    def _group_names(self) -> list[str]:
        return read_names(self.folder)

    def result(self, index: int) -> ResultLine:
        """The whole result of a row, read again from the file.

        Raises:
            ResultsChanged: it is not there any more.
        """
        start = int(self.ends[index - 1]) if index else 0
        lines = lines_of(self.path)
        try:
            with lines.open("rb") as file:
                file.seek(start)
                found = decode_result(file.read(int(self.ends[index]) - start))
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ResultsChanged(f"{lines} was changed: {error}") from None
        if not self._is_of(found, index):
            raise ResultsChanged(
                f"{lines} was changed: row {self.name_of(index)} is not as it was."
            )
        return found

    def _is_of(self, result: ResultLine, index: int) -> bool:
        """Whether a result is the one that was read: its time alone is hardly ever that of another one."""
        reward = np.nan if result.counted is None else result.counted
        return (
            result.name == self.name_of(index)
            and result.seconds == self.seconds[index]
            and result.status == STANDINGS[self.standings[index]][0]
            and np.array_equal(reward, self.counted[index], equal_nan=True)
        )

    def name_of(self, index: int) -> str:
        """The name of a row: "68#2"."""
        return row_name(int(self.lines[index]), int(self.numbers[index]))

    def index_of(self, row: RowKey) -> int | None:
        """The index of a row; None if the results have none. "68" is also the one sample of its line.

        Raises:
            DataSetError: they have several.
        """
        rows = np.flatnonzero(self.lines == row.line)
        numbers = self.numbers[rows].tolist()
        for key in sorted(keys_of(row.line, row.sample or 1), key=lambda key: key != row):
            if numbers.count(key.sample) > 1:
                name = row_name(*key)
                raise DataSetError(
                    f"{self.path} has several results for row {name}: which is meant?"
                )
            if key.sample in numbers:
                return int(rows[numbers.index(key.sample)])
        return None

    @property
    def details_path(self) -> Path:
        """The file with the folded details of the flags of each row that has flags."""
        return self.folder / "details"

    @property
    def details_starts_path(self) -> Path:
        """The file with the offsets of these."""
        return self.folder / "details_starts"

    def details(self) -> tuple[bytes, Ints]:
        """The folded details of the flags of each row that has flags, and their offsets.

        Raises:
            OSError: the cache was removed.
        """
        return self.details_path.read_bytes(), np.fromfile(self.details_starts_path, np.int64)

    def flag_counts(self, rows: NDArray[np.integer[Any]] | None = None) -> dict[str, int]:
        """How many rows have each flag, in the order in which they first occur.

        Args:
            rows: indexes of the rows that count; None for all.
        """
        counts: dict[str, int] = {}
        sets = self.flag_sets if rows is None else self.flag_sets[rows]
        of_sets = np.bincount(sets, minlength=len(self.sets)).tolist()
        for names, count in zip(self.sets, of_sets, strict=True):
            for name in names:
                counts[name] = counts.get(name, 0) + count
        return counts
