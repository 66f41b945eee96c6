"""The data set of a run, opened again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graders_engine.dataset.results.meta import FILES
from graders_engine.dataset.results.shard_index import other_data, read_index
from graders_engine.dataset.rows.identity import RowPath, names_by_line, require_path
from graders_engine.dataset.rows.read import DataSet, open_data
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.files import STDIN
from graders_engine.urls import MASK, Location, Url, location

_IDENTITY = ("size", "head")
"""What a data set has in common with any copy of it; whether each row is the same, the index tells."""


def data_path(meta: Mapping[str, Any]) -> Location | None:
    """Where a run's data set was; None if that is not known, or if it came from standard input."""
    return place_recorded(meta.get("data", {}).get("path"))


def place_recorded(path: str | None) -> Location | None:
    """What the recorded name of a file stands for; None for standard input, and for what is no name."""
    try:
        place = None if path in (None, str(STDIN)) else location(path)
    except InvalidRequest:  # of a file that no run wrote
        return None
    if isinstance(place, Url):
        place.is_recorded = True
    return place


def open_data_of(
    meta: Mapping[str, Any],
    data: Location | None = None,
    *,
    results: Path | None = None,
    option: str = "--data",
) -> DataSet:
    """Open the data set of a run; its rows have no groups of `--group-by`.

    Args:
        meta: what produced the results; it says where the data set was and how its rows were read.
        data: where the data set is now, if it was moved.
        results: the results file, whose index shows that each row is the one that was graded.
        option: the option that says where it is now, for messages.

    Raises:
        DataSetError: the data set cannot be read, or it is not the one that `meta` describes.
        InvalidRequest: its rows have no known shape.
    """
    recorded, settings = meta.get("data", {}), meta.get("settings", {})
    if data is None and (data := data_path(meta)) is None:
        why = (
            "The data set came from standard input"
            if recorded.get("path") == str(STDIN)
            else "The results do not say where their data set is"
        )
        raise DataSetError(f"{why}; pass the path of the file with {option}.")
    outputs = recorded.get("outputs") or {}
    at_outputs = location(outputs.get("path") or STDIN)
    if isinstance(data, Url) and data.is_recorded:
        raise DataSetError(
            f"The results were scored from {data}, which is fetched only where you name the data set: pass "
            f"the whole URL with {option}."
        )
    if isinstance(at_outputs, Url) and MASK in at_outputs.given:
        raise DataSetError(
            f"The outputs were at {at_outputs}, whose secrets are kept nowhere: they cannot be read again."
        )
    if outputs.get("path") == str(STDIN):
        raise DataSetError(
            "The outputs came from standard input, so the rows cannot be read again."
        )
    data_set = open_data(
        data,
        form=recorded.get("form"),
        shape=None if outputs else settings.get("shape"),
        sample_field=settings.get("sample_field"),
        outputs=outputs.get("path"),
        join_on=recorded.get("join_on"),
    )
    identity = data_set.identity
    if any(
        recorded.get(name) not in (None, identity[name])  # of standard input, nothing is known
        for name in identity
        if name in _IDENTITY
    ):
        raise DataSetError(
            f"{data} is not the data set of these results: its content is different."
        )
    stamps = [state.stamp for state in data_set.records.states]
    if stamps and all(stamps) and meta.get(FILES) == stamps:  # the very files, not written to since
        return data_set
    indexed = [] if results is None or data_set.records.once else read_index(results)
    if wrong := other_data(data_set.records, indexed):
        joined = f", joined with {outputs['path']}," if outputs.get("path") else ""
        raise DataSetError(
            f"{data}{joined} is not the data set of these results: its content is different, somewhere in "
            f"lines {wrong.first_line} to {wrong.last_line}."
        )
    return data_set


@dataclass(frozen=True, slots=True)
class LineGroups:
    """The groups of a run's rows, found in its data set.

    Attributes:
        path: where their names are in a row.
        names: by line of the data set. Lines without a name are missing.
        missing: how many lines that can be read are without a name; each is a group of its own.
    """

    path: str
    names: dict[int, str]
    missing: int


def groups_of(
    group_by: str,
    meta: Mapping[str, Any],
    data: Location | None = None,
    results: Path | None = None,
) -> LineGroups:
    """Read the groups of a run's rows in one pass over its data set.

    Args:
        group_by: the path to the name of a row's group, as for `identity.RowPath`.
        meta: what produced the results.
        data: where the data set is now, if it was moved.
        results: as for `open_data_of`.

    Raises:
        DataSetError: the data set cannot be read, or it is not the one that `meta` describes.
        InvalidRequest: it is no path, or no row has a value there.
    """
    path = RowPath(group_by)
    try:
        data_set = open_data_of(meta, data, results=results)
    except (DataSetError, InvalidRequest) as error:
        hint = "" if data else " If the data set was moved, pass its path with --data."
        raise DataSetError(f"--group-by reads the rows again. {error}{hint}") from None
    require_path(path, data_set.records, data_set.shape)
    names: dict[int, str] = {}
    same: dict[str, str] = {}  # one object for each name, however many lines have it
    missing = 0
    for line, name in names_by_line(data_set.records.read(), data_set.shape, path):
        if name is None:
            missing += 1
        else:
            names[line] = same.setdefault(name, name)
    return LineGroups(path.text, names, missing)
