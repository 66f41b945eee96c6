"""The rollouts of a job in numbers, and those to look at; what was read of the file is not read again."""

from __future__ import annotations

import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import BinaryIO, NamedTuple, cast

import msgspec

from graders_engine.files import READING

MOST, MOST_WITHOUT = 5, 3
"""Of the best and the worst rollouts, and of those without a reward, so many are picked."""
CHUNK = 1 << 20
_TAIL = 512
"""Bytes before the place that was read to; they are others if the file is another one."""
MAX_LINE_BYTES = 16 << 20
"""A longer line is no rollout."""


class _Line(msgspec.Struct, gc=False):
    """What is read of each line; the rest of it is gone over."""

    step: int
    split: str
    row: int
    reward: float | None


class Position(NamedTuple):
    """Where a rollout stands in the file.

    Attributes:
        line: its number, from 1.
        start: the offset of a line before it.
        behind: how many lines behind that one it is.
    """

    line: int
    start: int
    behind: int


class Picked(NamedTuple):
    """A rollout that was picked: its reward, its step, whose row it answers, and where it stands."""

    reward: float | None
    step: int
    split: str
    row: int
    position: Position


class _Extremes:
    """The rollouts with the highest rewards, one a row; of equal ones the newest.

    Args:
        sign: -1 for the lowest rewards.
    """

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._of_row: dict[tuple[str, int], Picked] = {}

    def add(
        self, new: Sequence[_Line], rewards: Sequence[float], picked: Callable[[int], Picked]
    ) -> None:
        """Take rollouts in that are newer than all before.

        Args:
            new: the rollouts.
            rewards: of them, or the lowest number there is.
            picked: makes what is kept of one, by its position.
        """
        least = self._least
        order = [at for at in range(len(new) - 1, -1, -1) if rewards[at] >= least]
        order.sort(key=rewards.__getitem__, reverse=True)  # equal ones stay in their order
        seen: set[tuple[str, int]] = set()
        for at in order:
            row = (new[at].split, new[at].row)
            if row not in seen:
                seen.add(row)
                self._keep(row, rewards[at], at, picked)
                if len(seen) == MOST:  # what follows is behind all of these
                    return

    def _keep(
        self, row: tuple[str, int], rank: float, at: int, picked: Callable[[int], Picked]
    ) -> None:
        own = self._of_row.get(row)
        if rank < (self._least if own is None else self._rank(own)[0]):
            return
        self._of_row[row] = picked(at)
        if len(self._of_row) > MOST:
            del self._of_row[min(self._of_row, key=lambda one: self._rank(self._of_row[one]))]

    @property
    def _least(self) -> float:
        """The lowest rank that may be among them."""
        if len(self._of_row) < MOST:
            return -sys.float_info.max
        return min(map(self._rank, self._of_row.values()))[0]

    def _rank(self, one: Picked) -> tuple[float, int]:
        return self._sign * (one.reward or 0.0), one.position.line

    @property
    def found(self) -> list[Picked]:
        """The rollouts, the most extreme first."""
        return sorted(self._of_row.values(), key=self._rank, reverse=True)


class Rollouts:
    """The rollouts in a file that grows.

    Args:
        path: of the file, which need not be there.

    Attributes:
        counts: how many there are, by split.
        unscored: how many of them have no reward, by split.
        unreadable: lines that are no rollouts.
        is_whole: whether the file was read to its end at the last look.
        problem: why it cannot be read; empty if it can.
        done: bytes that were read.
        of: bytes of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._forget()

    def _forget(self) -> None:
        self.counts: Counter[str] = Counter()
        self.unscored: Counter[str] = Counter()
        self.unreadable = self.done = self.of = self._lines = 0
        self.is_whole, self.problem = False, ""
        self._tail = b""
        self._best, self._worst = _Extremes(1), _Extremes(-1)
        self._without: deque[Picked] = deque(maxlen=MOST_WITHOUT)

    def look(self, seconds: float | None = None) -> None:
        """Read on, to the end of the file or for about so many seconds."""
        end = None if seconds is None else monotonic() + seconds
        try:
            self._look(end)
        except OSError as error:
            self._forget()
            self.is_whole = True
            if not isinstance(error, FileNotFoundError):  # there is none before the first step
                self.problem = f"The rollouts cannot be read: {error.strerror}."

    def _look(self, end: float | None) -> None:
        with _opened(self._path) as file:
            self.of = os.fstat(file.fileno()).st_size
            if not self._continues(file):
                size = self.of
                self._forget()
                self.of = size
            file.seek(self.done)
            rest = b""
            self.is_whole = False
            while chunk := file.read(CHUNK):
                rest = self._take(rest + chunk)
                if len(rest) > MAX_LINE_BYTES or (end is not None and monotonic() > end):
                    break
            else:
                self.is_whole = True

    def _continues(self, file: BinaryIO) -> bool:
        """Whether the file still begins with what was read of it."""
        if self.of < self.done:
            return False
        file.seek(self.done - len(self._tail))
        return file.read(len(self._tail)) == self._tail

    def _take(self, read: bytes) -> bytes:
        """Take the whole lines in; what is left of the last one."""
        cut = read.rfind(b"\n") + 1
        if cut:
            lines = _decoded(read[:cut])
            self._add(lines)
            self._lines += len(lines)
            self.done += cut
            self._tail = (self._tail + read[:cut])[-_TAIL:]
        return read[cut:]

    def _add(self, lines: Sequence[_Line | None]) -> None:
        found = [(at, line) for at, line in enumerate(lines) if line is not None]
        self.unreadable += len(lines) - len(found)
        self.counts.update([line.split for _, line in found])
        scored = [(at, line) for at, line in found if line.reward is not None]
        if len(scored) < len(found):
            without = [(at, line) for at, line in found if line.reward is None]
            self.unscored.update([line.split for _, line in without])
            self._without.extend(self._picked(*one) for one in without[-MOST_WITHOUT:])
        new = [line for _, line in scored]
        for sign, extremes in ((1, self._best), (-1, self._worst)):
            rewards = [sign * (line.reward or 0.0) for line in new]
            extremes.add(new, rewards, lambda number: self._picked(*scored[number]))

    def _picked(self, at: int, line: _Line) -> Picked:
        position = Position(self._lines + at + 1, self.done, at)
        return Picked(line.reward, line.step, line.split, line.row, position)

    @property
    def total(self) -> int:
        """All rollouts."""
        return self.counts.total()

    @property
    def best(self) -> list[Picked]:
        """The rollouts with the highest rewards, one a row; of equal ones the newest."""
        return self._best.found

    @property
    def worst(self) -> list[Picked]:
        """Those with the lowest ones, in the same way; none that is among the best."""
        best = {one.position for one in self.best}
        return [one for one in self._worst.found if one.position not in best]

    @property
    def without(self) -> list[Picked]:
        """The newest ones without a reward."""
        return [*self._without][::-1]

    def read(self, position: Position) -> bytes:
        """The line of a rollout; empty if it is not there any more.

        Raises:
            OSError: it cannot be read.
        """
        with _opened(self._path) as file:
            file.seek(position.start)
            for _ in range(position.behind):
                file.readline()
            return file.readline(MAX_LINE_BYTES)


def _opened(path: Path) -> BinaryIO:
    """A file for reading, but no link: a worker makes none."""
    return cast(BinaryIO, os.fdopen(os.open(path, READING), "rb"))


_decoder = msgspec.json.Decoder(_Line)


def _decoded(lines: bytes) -> Sequence[_Line | None]:
    """Lines as rollouts; None for those that are none."""
    try:
        found = _decoder.decode_lines(lines)
        if len(found) == lines.count(b"\n"):  # else there are empty ones
            return found
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    return [_decoded_line(line) for line in lines.split(b"\n")[:-1]]


def _decoded_line(line: bytes) -> _Line | None:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
