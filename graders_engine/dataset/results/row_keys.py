"""The values of a run's rows by which they are paired, read from its data set."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass, field

import numpy as np

from graders_engine.dataset.results.columns import RunColumns
from graders_engine.dataset.results.data import open_data_of
from graders_engine.dataset.results.meta import DATA_CHANGED
from graders_engine.dataset.rows.identity import ITEM, RowPath, first_item, require_path
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.statistics.estimate import Ints
from graders_engine.urls import Location

IDS = (f"{ITEM}.id", "id")
"""Where rows that are paired by themselves may have an id."""
_WITH_OTHERIDS = ("chat", "evals")
"""Shapes whose rows have an `id` of the output: every run has another."""
NO_KEY = 0


@dataclass(slots=True)
class RowKeys:
    """What the lines of a data set are paired by, as 64-bit hashes; `NO_KEY` for a line without one.

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
        return np.where(lines[places] == run.lines, keys[places], NO_KEY)

    def single(self, path: str) -> bool:
        """Whether every line has a key, and no other line has the same."""
        keys = np.frombuffer(self.by_path[path], dtype=np.int64)
        return bool(len(keys)) and bool(keys.all()) and len(np.unique(keys)) == len(keys)


def read_keys(run: RunColumns, by: str | None, data: Location | None, option: str) -> RowKeys:
    """Read a run's data set once.

    Raises:
        DataSetError: it cannot be read, or is not that of the run.
        InvalidRequest: no row has a value at the path.
    """
    if change := run.meta.get(DATA_CHANGED):
        raise DataSetError(f"{run.path} has not the results of one data set. {change}")
    try:
        data_set = open_data_of(run.meta, data, results=run.path, option=option)
    except InvalidRequest as error:  # the recorded options, not those of this command
        raise DataSetError(f"{data or run.path}: {error}") from None
    names = [by] if by is not None else list(IDS)
    if by is None and data_set.shape.name in _WITH_OTHERIDS:
        names.remove("id")
    paths = {name: RowPath(name, "--by") for name in dict.fromkeys([ITEM, *names])}
    if by is not None:
        require_path(paths[by], data_set.records, data_set.shape)
    keys = RowKeys(by_path={name: array("q") for name in paths})
    for raw in data_set.records.read():
        item = first_item(data_set.shape.split(raw))
        keys.lines.append(raw.line)
        for name, path in paths.items():
            value = None if item is None else path.name_of(raw.row, item)
            keys.by_path[name].append(NO_KEY if value is None else _number(value))
    return keys


def _number(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
