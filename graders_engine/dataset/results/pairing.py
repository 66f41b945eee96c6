"""Which rows of two runs belong together: by line of one data set, by a value, or by equal items."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from graders_engine.dataset.results.changes import changes
from graders_engine.dataset.results.columns import RunColumns
from graders_engine.dataset.results.data import open_data_of
from graders_engine.dataset.results.meta import DATA_CHANGED
from graders_engine.dataset.rows.identity import ITEM, RowPath, first_item, require_path
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.statistics.estimate import Ints

LINE = "line"
"""How rows of one data set are paired: by line and sample."""
SMALLEST_SHARE = 0.5
"""Of the smaller run, the share of rows that must have a partner; with fewer, the data sets are others."""
_IDS = (f"{ITEM}.id", "id")
"""Where rows that are paired by themselves may have an id."""
_WITH_OTHER_IDS = ("chat", "evals")
"""Shapes whose rows have an `id` of the output: every run has another."""
_NO_KEY = 0


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the data sets of two runs are now, and how to pair their rows.

    Attributes:
        before: the first run's data set; None where it was.
        after: the second run's.
        by: the path to a value that the rows of a pair share; None to find a way.
        force: pair by line if a data set cannot be read, and compare however few rows have a partner.
    """

    before: Path | None = None
    after: Path | None = None
    by: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Pairing:
    """The rows of two runs that belong together.

    Attributes:
        by: "line", "item" (equal items), or the path to the value that the rows of a pair share.
        before: of each pair, the index of the first run's row, in ascending order.
        after: of each pair, the index of the second run's row.
        groups: of each pair, a number that it shares with the pairs of the same prompt.
        other_items: pairs whose items differ; None if the items were not read.
        unchecked: why nothing shows that the rows of a pair are the same; empty if something does.
    """

    by: str
    before: Ints
    after: Ints
    groups: Ints
    other_items: int | None = None
    unchecked: str = ""


def pair_rows(first: RunColumns, second: RunColumns, sources: Sources) -> Pairing:
    """Pair the rows of two runs.

    Runs of one data set are paired by line and sample. Others are paired by what their data sets hold: by the
    value at the path that is given, or else by an id that each line has alone, if most of the items with
    equal ids are equal, too, or else by equal items. Rows with the same key are paired in their order.

    Raises:
        DataSetError: the rows cannot be paired, or too few have a partner.
        InvalidRequest: there is no such path.
    """
    for run in (first, second):
        run.require_single()
    pairing = _pair(first, second, sources)
    matched, smaller = len(pairing.before), min(len(first.lines), len(second.lines))
    if not matched:
        raise DataSetError(f"{first.path} and {second.path} have no row in common.{_hint(pairing)}")
    if matched < SMALLEST_SHARE * smaller and not sources.force:
        raise DataSetError(
            f"Only {matched:,} of {len(first.lines):,} rows of {first.path} are among the "
            f"{len(second.lines):,} of {second.path} (paired by {pairing.by}): these are different data sets."
            f"{_hint(pairing)} Pass --force to compare these {matched:,} all the same."
        )
    return pairing


def _hint(pairing: Pairing) -> str:
    if pairing.by != ITEM:
        return ""
    return " Rows were paired by equal item; name a value that the rows of a pair share with --by PATH."


def _pair(first: RunColumns, second: RunColumns, sources: Sources) -> Pairing:
    by = None if sources.by is None else sources.by.strip()
    if by is None and _same_data(first.meta, second.meta):
        return _by_line(first, second)
    try:
        here = _read_keys(first, by, sources.before, "--data-a")
        there = _read_keys(second, by, sources.after, "--data-b")
    except DataSetError as error:
        if by is not None or not sources.force:
            force = (
                ""
                if by is not None
                else (" --force pairs by line number and cannot check that the rows are the same.")
            )
            raise DataSetError(
                f"The rows cannot be paired. {error} If the data set was moved, pass its path with --data-a "
                f"or --data-b.{force}"
            ) from None
        _require_same_groups(first, second)
        return _by_line(first, second, unchecked=str(error))
    return _by_keys(first, second, here, there, by)


def _same_data(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two runs are of one data set; the outputs that were joined with it may differ."""
    if any("data" not in meta or meta.get(DATA_CHANGED) for meta in (one, other)):
        return False
    facts = _data_facts(one)
    return bool(facts.get("head")) and not any(changes(facts, _data_facts(other)))


def _data_facts(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of a run's data set, except its path and the outputs joined with it."""
    return {key: value for key, value in meta["data"].items() if key not in ("path", "outputs")}


def _by_line(first: RunColumns, second: RunColumns, unchecked: str = "") -> Pairing:
    here, there = first.matched(second)
    groups = _groups(first, second, here, there, first.lines[here])
    return Pairing(LINE, here, there, groups, unchecked=unchecked)


def _groups(first: RunColumns, second: RunColumns, here: Ints, there: Ints, others: Ints) -> Ints:
    """The groups of pairs: the named ones of the first run, or else of the second, or else those given."""
    for groups in (first.groups[here], second.groups[there]):
        if (groups < 0).any():
            return np.where(groups < 0, groups, others)
    return others


def _require_same_groups(first: RunColumns, second: RunColumns) -> None:
    """Check, of rows that cannot be read, that those on the same lines have the same named groups."""
    here, there = first.matched(second)
    names = list(zip(first.group_names(here), second.group_names(there), strict=True))
    differing = sum(one != other for one, other in names if one is not None and other is not None)
    if differing:
        raise DataSetError(
            f"The rows cannot be paired by line: {differing:,} of {len(names):,} belong to another prompt in "
            f"{second.path} than in {first.path}."
        )


@dataclass(slots=True)
class _Keys:
    """What the lines of a data set are paired by, as 64-bit hashes; `_NO_KEY` for a line without one.

    Two of a million different values have the same hash with a probability below one in ten million.
    """

    lines: array[int] = field(default_factory=lambda: array("q"))
    by_path: dict[str, array[int]] = field(default_factory=dict)

    def of(self, path: str, run: RunColumns) -> Ints:
        """The key of each row of a run."""
        lines = np.frombuffer(self.lines, dtype=np.int64)
        keys = np.frombuffer(self.by_path[path], dtype=np.int64)
        if not len(lines):
            return np.zeros(len(run.lines), dtype=np.int64)
        places = np.minimum(np.searchsorted(lines, run.lines), len(lines) - 1)
        return np.where(lines[places] == run.lines, keys[places], _NO_KEY)

    def single(self, path: str) -> bool:
        """Whether every line has a key, and no other line has the same."""
        keys = np.frombuffer(self.by_path[path], dtype=np.int64)
        return bool(len(keys)) and bool(keys.all()) and len(np.unique(keys)) == len(keys)


def _read_keys(run: RunColumns, by: str | None, data: Path | None, option: str) -> _Keys:
    """Read a run's data set once.

    Raises:
        DataSetError: it cannot be read, or is not that of the run.
        InvalidRequest: no row has a value at the path.
    """
    if change := run.meta.get(DATA_CHANGED):
        raise DataSetError(f"{run.path} has not the results of one data set. {change}")
    try:
        data_set = open_data_of(run.meta, data, option=option)
    except InvalidRequest as error:  # the recorded options, not those of this command
        raise DataSetError(f"{data or run.path}: {error}") from None
    names = [by] if by is not None else list(_IDS)
    if by is None and data_set.shape.name in _WITH_OTHER_IDS:
        names.remove("id")
    paths = {name: RowPath(name, "--by") for name in dict.fromkeys([ITEM, *names])}
    if by is not None:
        require_path(paths[by], data_set.records, data_set.shape)
    keys = _Keys(by_path={name: array("q") for name in paths})
    for raw in data_set.records.read():
        item = first_item(data_set.shape.split(raw))
        keys.lines.append(raw.line)
        for name, path in paths.items():
            value = None if item is None else path.name_of(raw.row, item)
            keys.by_path[name].append(_NO_KEY if value is None else _number(value))
    return keys


def _number(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _by_keys(
    first: RunColumns, second: RunColumns, here: _Keys, there: _Keys, by: str | None
) -> Pairing:
    if by is not None:
        return _paired_by(by, first, second, here, there)
    best = _paired_by(ITEM, first, second, here, there)
    for path in _IDS:
        if all(path in keys.by_path and keys.single(path) for keys in (here, there)):
            found = _paired_by(path, first, second, here, there)
            same_items = len(found.before) - (found.other_items or 0)
            if len(found.before) >= len(best.before) and 2 * same_items >= len(found.before) > 0:
                return found
    return best


def _paired_by(
    path: str, first: RunColumns, second: RunColumns, here: _Keys, there: _Keys
) -> Pairing:
    one, other = here.of(path, first), there.of(path, second)
    numbers = (
        np.unique(np.concatenate((one, other)), return_inverse=True)[1].ravel().astype(np.int64)
    )
    before, after = numbers[: len(one)], numbers[len(one) :]
    spread = 1 + len(numbers)
    _, in_before, in_after = np.intersect1d(
        before * spread + _occurrences(before, first),
        after * spread + _occurrences(after, second),
        assume_unique=True,
        return_indices=True,
    )
    known = one[in_before] != _NO_KEY
    in_before, in_after = in_before[known], in_after[known]
    order = np.argsort(in_before)
    in_before, in_after = in_before[order], in_after[order]
    item, other_item = here.of(ITEM, first)[in_before], there.of(ITEM, second)[in_after]
    # Rows of one prompt share the key, or the item while each has an id of its own.
    prompts = min((one[in_before], item), key=lambda keys: len(np.unique(keys)))
    prompts = np.unique(prompts, return_inverse=True)[1].ravel().astype(np.int64)
    groups = _groups(first, second, in_before, in_after, prompts)
    return Pairing(path, in_before, in_after, groups, int((item != other_item).sum()))


def _occurrences(keys: Ints, run: RunColumns) -> Ints:
    """Of each row, how many earlier rows have the same key."""
    order = np.lexsort((run.samples, run.lines, keys))
    ordered = keys[order]
    begins = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    sizes = np.diff(np.append(begins, len(ordered)))
    counts = np.empty(len(keys), dtype=np.int64)
    counts[order] = np.arange(len(keys)) - np.repeat(begins, sizes)
    return counts
