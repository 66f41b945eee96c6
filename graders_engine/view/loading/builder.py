"""Reads a results file into columns of numbers, block by block."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, methodcaller
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from graders_engine.dataset.results.columns import STANDINGS
from graders_engine.dataset.results.line import MAX_LINE_BYTES, MAX_SUB_REWARDS, results_in
from graders_engine.errors import NO_ROW, DataSetError
from graders_engine.outcome import SERVED, Blame, Flag
from graders_engine.report.histogram import BARS, Histogram, counts_of, histogram
from graders_engine.statistics.estimate import Floats, Ints, group_numbers
from graders_engine.statistics.rounding import ROUNDING
from graders_engine.view import cache
from graders_engine.view.columns import ARRAYS, read_names
from graders_engine.view.loading.lines import (
    ABSENT,
    KeptLine,
    decode_any,
    decoder_for,
    is_served,
)
from graders_engine.view.searching.fold import SEPARATOR, fold

MAX_FLAG_SETS = 100_000
"""Different sets of flags in a file; the engine's flags give no more than 2 to the power of 15."""
_STANDING = {blame: number for number, (_, blame) in enumerate(STANDINGS)}
_COUNTED = np.array([blame is None or blame in SERVED for _, blame in STANDINGS])
_FAILED = _STANDING["infrastructure"]


class _Odd(Exception):
    """Raised for lines that the one reader of results has to look at: it says what is wrong with them."""


class Builder:
    """Writes the columns of a results file into a folder.

    Args:
        folder: where to.
        before: what `known` gave for the first lines, with the folder that has their columns.
    """

    def __init__(self, folder: Path, before: tuple[Path, Mapping[str, Any]] | None = None) -> None:
        self._folder = folder
        self._rows, self._details_bytes = 0, 0
        self._keys: list[str] = []
        self._sets: dict[tuple[str, ...], int] = {(): 0}
        self._groups: dict[str, int] = {}
        if before is not None:
            old, known = before
            shutil.copytree(old, folder, dirs_exist_ok=True)
            self._rows, self._keys = known["rows"], list(known["keys"])
            self._details_bytes = known["details_bytes"]
            self._sets = {tuple(names): number for number, names in enumerate(known["flag_sets"])}
            self._groups = {name: n for n, name in enumerate(read_names(folder))}
        for name in (*ARRAYS, "details", "details_starts"):
            (folder / name).touch()
        self._decode = decoder_for(self._keys)

    def add(self, text: bytes, at: int) -> None:
        """Add whole lines.

        Args:
            text: the lines.
            at: their offset in the file.

        Raises:
            msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError, _Odd: one is no result.
            DataSetError: there are too many keys or flags.
        """
        ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + (at + 1)
        try:
            lines: list[KeptLine] = self._decode(text)
        except msgspec.ValidationError:
            self._add_keys(decode_any(text))
            lines = self._decode(text)
        if len(lines) != len(ends):
            raise _Odd
        standings = self._standings(lines)
        rewards = np.array([line.reward for line in lines], np.float64)  # None becomes NaN
        served = np.array([line.served for line in lines], np.float64)
        scored = standings == 0
        if np.isnan(rewards[scored]).any():
            raise _Odd
        flag_sets = [self._flag_set(line) if line.flags else 0 for line in lines]
        hosted = np.where(scored, rewards, np.nan_to_num(served, nan=0.0))
        hosted[standings == _FAILED] = np.nan
        for place in np.flatnonzero(flag_sets).tolist():
            if lines[place].flags.get(Flag.OTHER, "").startswith(NO_ROW) and not scored[place]:
                hosted[place] = np.nan
        samples = np.array([line.sample for line in lines], np.int32)
        columns: dict[str, NDArray[Any]] = {
            "lines": np.array([line.line for line in lines], np.int64),
            "samples": np.maximum(samples, 1).astype(np.int64),
            "numbers": samples,
            "groups": self._group_column(lines),
            "rewards": np.where(scored, rewards, np.nan),
            "counted": np.where(_COUNTED[standings], np.where(scored, rewards, served), np.nan),
            "hosted": hosted,
            "seconds": np.array([line.seconds for line in lines]),
            "standings": standings,
            "flag_sets": np.array(flag_sets, np.int32),
            "ends": ends.astype(np.int64),
        }
        for name, column in columns.items():
            self._append(name, column)
        self._add_sub_rewards(lines)
        self._add_details([line for line in lines if line.flags])
        self._rows += len(lines)

    @staticmethod
    def _standings(lines: Sequence[KeptLine]) -> NDArray[np.int8]:
        try:
            return np.array(
                [
                    0
                    if line.status == "scored"
                    else _FAILED
                    if line.status == "failed"
                    else _INVALID[line.blame]
                    for line in lines
                ],
                np.int8,
            )
        except KeyError:  # an older version wrote it, or nothing that a run writes
            raise _Odd from None

    def _flag_set(self, line: KeptLine) -> int:
        found = self._sets.setdefault(tuple(line.flags), len(self._sets))
        if found >= MAX_FLAG_SETS:
            raise DataSetError(f"The results have more than {MAX_FLAG_SETS:,} sets of flags.")
        return found

    def _group_column(self, lines: Sequence[KeptLine]) -> Ints:
        groups = self._groups
        return np.array(
            [
                line.line if line.group is None else ~groups.setdefault(line.group, len(groups))
                for line in lines
            ],
            np.int64,
        )

    def _add_keys(self, lines: Sequence[KeptLine]) -> None:
        for key in dict.fromkeys(key for line in lines for key in line.sub_rewards):
            if key in self._keys:
                continue
            if len(self._keys) >= MAX_SUB_REWARDS:
                raise DataSetError(
                    f"The results have more than {MAX_SUB_REWARDS} different sub-rewards."
                )
            for name in ("sub", "counted"):
                self._append(f"{name}-{len(self._keys)}", np.full(self._rows, np.nan))
            self._keys.append(key)
        self._decode = decoder_for(self._keys)

    def _add_sub_rewards(self, lines: Sequence[KeptLine]) -> None:
        parts = [line.sub_rewards for line in lines]
        for number, key in enumerate(self._keys):
            in_dictionaries = isinstance(parts[0], dict)
            read = methodcaller("get", key, ABSENT) if in_dictionaries else attrgetter(f"f{number}")
            values = list(map(read, parts))
            column = np.array(values, np.float64)  # None becomes NaN
            self._append(f"sub-{number}", column)
            for place in np.flatnonzero(np.isnan(column)).tolist():
                if values[place] is None and is_served(lines[place], key):
                    column[place] = 0.0
            self._append(f"counted-{number}", column)

    def _add_details(self, lines: Sequence[KeptLine]) -> None:
        texts = [fold("\n".join(filter(None, line.flags.values()))) + SEPARATOR for line in lines]
        ends = np.cumsum([self._details_bytes, *map(len, texts)])
        self._append("details_starts", ends[:-1].astype(np.int64))
        self._details_bytes = int(ends[-1])
        with (self._folder / "details").open("ab") as file:
            file.writelines(texts)

    def _append(self, name: str, column: NDArray[Any]) -> None:
        with (self._folder / name).open("ab") as file:
            file.write(column.tobytes())

    def finish(self) -> dict[str, Any]:
        """Write what is computed of all lines; what `known.json` has to have besides."""
        write_names(self._folder, self._groups)
        known: dict[str, Any] = {
            "rows": self._rows,
            "keys": self._keys,
            "flag_sets": [list(names) for names in self._sets],
            "details_bytes": self._details_bytes,
            "grouped": bool(self._groups),
        }
        counted = cache.mapped(self._folder / "counted", np.float64, self._rows)
        bars = histogram(counts_of(counted[~np.isnan(counted)]), BARS)
        known["histogram"] = None if bars is None else [bars.edges, bars.counts]
        (self._folder / "bars").write_bytes(bars_of(counted, bars).tobytes())
        if self._groups:
            groups, numbers = (
                cache.mapped(self._folder / name, ARRAYS[name], self._rows)
                for name in ("groups", "numbers")
            )
            (self._folder / "codes").write_bytes(codes_of(groups, numbers).tobytes())
        return known


_INVALID: dict[Blame | None, int] = {
    blame: number for blame, number in _STANDING.items() if blame is not None
}


def write_names(folder: Path, names: Mapping[str, int]) -> None:
    """Write the names of the groups, in the order of their numbers."""
    (folder / "names").write_text(json.dumps(list(names)), encoding="ascii")


def bars_of(counted: Floats, bars: Histogram | None) -> NDArray[np.int8]:
    """The bar of each row, as `Histogram.bar_of` has it; -1 for rows in no mean."""
    found = np.full(len(counted), -1, np.int8)
    if bars is None:
        return found
    present = ~np.isnan(counted)
    values, edges = counted[present], np.array(bars.edges)
    if bars.single:
        right = np.searchsorted(edges, values).clip(1 if len(edges) > 1 else 0, len(edges) - 1)
        left = np.maximum(right - 1, 0)
        with np.errstate(over="ignore"):  # of huge rewards: infinite is the farther one
            nearer = np.abs(edges[left] - values) <= np.abs(edges[right] - values)
        found[present] = np.where(nearer, left, right)
    else:
        slack = ROUNDING * np.maximum(1.0, np.abs(values))
        at = np.searchsorted(edges, values + slack, side="right") - 1
        found[present] = at.clip(0, len(bars.counts) - 1)
    return found


def codes_of(groups: Ints, numbers: NDArray[np.int32]) -> NDArray[np.int32]:
    """Of each row, the number of its prompt among all, in the order in which `Digest.groups` has them.

    Args:
        groups: as in `RunColumns`.
        numbers: of the samples among those of their lines; 0 for a line without a list of them.
    """
    named = groups < 0
    if named.all():
        return (~groups).astype(np.int32)  # each name has rows, and they are numbered without gaps
    own = ~np.arange(len(groups))
    listed = np.flatnonzero(~named & (numbers > 0))  # samples of a line without a name
    _, first, which = np.unique(groups[listed], return_index=True, return_inverse=True)
    own[listed] = ~listed[first][which.ravel()]
    return group_numbers(np.where(named, ~groups, own)).astype(np.int32)


def read_results(
    path: Path, builder: Builder, start: int, end: int, report: Callable[[int], object]
) -> int:
    """Read the whole lines of a results file between two offsets.

    Args:
        path: the JSONL file.
        builder: takes them.
        start: where to begin.
        end: how far to read.
        report: called with the offset that was reached.

    Returns:
        The offset after the last whole line.

    Raises:
        DataSetError: it cannot be read, or a line is not a result.
    """
    try:
        return _read_blocks(path, builder, start, end, report)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError, OSError, _Odd):
        pass
    # Rare: which line it is and what is wrong with it, the reader of all results says.
    for number, (_, result) in enumerate(results_in(path), 1):
        try:
            lacking = result.counted is None and result.status == "scored"
        except DataSetError as error:
            raise DataSetError(f"{path}: {error}") from None
        if lacking or result.line > 1 << 62 or result.sample > 1 << 30:
            what = "is scored, but has no reward" if lacking else "has too large a number"
            raise DataSetError(f"{path}, line {number}, is not a result: it {what}.")
    raise DataSetError(f"The results cannot be read: {path} changed while it was read.")


def _read_blocks(
    path: Path, builder: Builder, start: int, end: int, report: Callable[[int], object]
) -> int:
    held = b""
    for block in cache.blocks(path, start, end):
        whole = block.rfind(b"\n") + 1
        if not whole:
            held += block
            if len(held) >= MAX_LINE_BYTES:
                raise _Odd
            continue
        text, held = held + block[:whole], block[whole:]
        builder.add(text, start)
        start += len(text)
        report(start)
    if not start and held and not held.startswith(b'{"line":'[: len(held)]):
        raise _Odd
    return start
