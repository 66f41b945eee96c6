"""Where the items of a run are: the bytes of each row and of its result, and its status."""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from graders_engine.evals.run.criteria import Criteria, GradedRow, status_of
from graders_engine.language import strict_json
from graders_engine.processes import read_at

INDEX, STATUSES = "items.index", "items.status"
"""Of each item two numbers of eight bytes, where its row and its result begin; and one letter."""
LETTERS = {"pass": b"p", "fail": b"f", "error": b"e"}
NAMES = {letter: name for name, letter in LETTERS.items()}
NO_RESULT = (1 << 64) - 1
"""Where the result of an item begins that has none, because the run ended before it was graded."""
_RECORD = 16
_BLOCK = 1 << 16
_READ = 1 << 20

_decode = msgspec.json.Decoder(GradedRow).decode


def read_result(line: bytes) -> GradedRow:
    """What a line of a results file says of the criteria."""
    try:
        return _decode(line)
    except (
        msgspec.DecodeError,
        UnicodeError,
    ):  # a lone surrogate in a text that does not count here
        return msgspec.convert(strict_json.decode(line), GradedRow)


@dataclass(slots=True)
class Counts:
    """How many items had which status, and how many met each criterion.

    Attributes:
        items: by status.
        met: by criterion, how many items passed and how many failed it.
        clamped: by the key of a criterion, in how many items its judge's number was outside its range.
    """

    items: dict[str, int]
    met: list[list[int]]
    clamped: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Items that were graded."""
        return sum(self.items.values())


class IndexWriter:
    """Follows the results of a run while they are written.

    Args:
        folder: of the run.
        rows: the file that is graded.
        results: its results; it need not be there yet.
        criteria: of the eval.

    Attributes:
        counts: of the results so far.
    """

    def __init__(self, folder: Path, rows: Path, results: Path, criteria: Criteria) -> None:
        self.counts = Counts(dict.fromkeys(LETTERS, 0), [[0, 0] for _ in criteria.all])
        self._criteria, self._results = criteria, results
        self._line = self._row_start = self._row_end = self._read_to = 0
        self._parts = [folder / f"{name}.part" for name in (INDEX, STATUSES)]
        self._whole = False
        with ExitStack() as files:
            self._rows = files.enter_context(rows.open("rb", buffering=_READ))
            self._index, self._statuses = [
                files.enter_context(part.open("wb", buffering=0)) for part in self._parts
            ]
            self._files = files.pop_all()

    def advance(self) -> bool:
        """Take in the results that were written since the last call; whether there were any.

        Raises:
            OSError: a file cannot be read or written.
        """
        before = self._read_to
        if self._results.exists():
            with self._results.open("rb") as file:
                file.seek(self._read_to)
                rest = b""
                while block := file.read(_READ):
                    *lines, rest = (rest + block).split(b"\n")
                    self._add(lines)
        if not self._whole:  # what an earlier worker wrote is read by others until now
            self._give_names()
        return self._read_to > before

    def _give_names(self) -> None:
        """Let others read what is written; Windows gives no file that is open another name."""
        for file, part in zip((self._index, self._statuses), self._parts, strict=True):
            file.close()
            part.replace(part.with_suffix(""))
        self._index, self._statuses = [
            self._files.enter_context(part.with_suffix("").open("ab", buffering=0))
            for part in self._parts
        ]
        self._whole = True

    def _add(self, lines: list[bytes]) -> None:
        places, letters = array("Q"), bytearray()
        verdicts_of, counts, met = self._criteria.verdicts, self.counts.items, self.counts.met
        for line in lines:
            result = read_result(line)
            verdicts = verdicts_of(result)
            status = status_of(verdicts)
            counts[status] += 1
            if result.clamped:
                self.counts.clamped.update(result.clamped.keys())
            for criterion, verdict in zip(met, verdicts, strict=True):
                if verdict is not None:
                    criterion[not verdict] += 1
            places.extend((self._place_of(result.line), self._read_to))
            letters += LETTERS[status]
            self._read_to += len(line) + 1
        _write_all(self._index.fileno(), places.tobytes())
        _write_all(self._statuses.fileno(), letters)

    def add_ungraded(self, rows: int) -> None:
        """Take in the rows that follow the last result: they have none, and count as errors.

        Args:
            rows: how many rows there are, with those that are graded.

        Raises:
            OSError: a file cannot be written.
        """
        places, first = array("Q"), self._line + 1
        for line in range(first, rows + 1):
            places.extend((self._place_of(line), NO_RESULT))
        count = max(0, rows + 1 - first)
        self.counts.items["error"] += count
        _write_all(self._index.fileno(), places.tobytes())
        _write_all(self._statuses.fileno(), LETTERS["error"] * count)

    def _place_of(self, line: int) -> int:
        """Where a line of the rows begins; lines are asked for in their order."""
        while self._line < line:
            self._row_start = self._row_end
            self._row_end += len(self._rows.readline())
            self._line += 1
        return self._row_start

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._files.close()


def _write_all(file: int, data: bytes | bytearray) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


class IndexReader:
    """The index of a run, as far as it is written. Use it as a `with` block.

    Args:
        folder: of the run.

    Attributes:
        count: how many items there are.
    """

    def __init__(self, folder: Path) -> None:
        self.count = 0
        self._files = ExitStack()
        try:
            self._index = self._files.enter_context((folder / INDEX).open("rb"))
            self._statuses = self._files.enter_context((folder / STATUSES).open("rb"))
        except FileNotFoundError:
            return
        sizes = [os.fstat(file.fileno()).st_size for file in (self._index, self._statuses)]
        self.count = min(sizes[0] // _RECORD, sizes[1])

    def place(self, number: int) -> tuple[int, int]:
        """Where the row and the result of an item begin."""
        places = array("Q")
        places.frombytes(read_at(self._index.fileno(), _RECORD, number * _RECORD))
        return places[0], places[1]

    def status(self, number: int) -> str:
        """The status of an item."""
        return NAMES[read_at(self._statuses.fileno(), 1, number)]

    def numbers(self, start: int, *, down: bool, status: str | None) -> Iterator[int]:
        """The numbers of the items from this one on, up or down, of one status or of any."""
        if status is None:
            yield from range(start, -1, -1) if down else range(start, self.count)
            return
        letter = LETTERS[status]
        for first, letters in self._blocks(start, down=down):
            at = letters.rfind(letter) if down else letters.find(letter)
            while at >= 0:
                yield first + at
                at = letters.rfind(letter, 0, at) if down else letters.find(letter, at + 1)

    def _blocks(self, start: int, *, down: bool) -> Iterator[tuple[int, bytes]]:
        """The letters from an item on, in blocks, each with the number of its first item."""
        file = self._statuses.fileno() if self.count else -1
        while not down and start < self.count:
            size = min(_BLOCK, self.count - start)
            yield start, read_at(file, size, start)
            start += size
        while down and start >= 0:
            first = max(0, start + 1 - _BLOCK)
            yield first, read_at(file, start + 1 - first, first)
            start = first - 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._files.close()
