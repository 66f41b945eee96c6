"""Whether two runs are of one data set, and where the data sets of two runs are now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from graders_engine.dataset.results.changes import changes
from graders_engine.dataset.results.columns import RunColumns
from graders_engine.dataset.results.data import data_path, open_data_of
from graders_engine.dataset.results.meta import DATA_CHANGED
from graders_engine.dataset.results.shard_index import read_index, same_until
from graders_engine.dataset.rows.source import HEAD_BYTES
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.urls import Location


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the data sets of two runs are now, and how to pair their rows.

    Attributes:
        before: the first run's data set; None where it was.
        after: the second run's.
        by: the path to a value that the rows of a pair share; None to find a way.
        force: pair by line if a data set cannot be read, and compare however few rows have a partner.
    """

    before: Location | None = None
    after: Location | None = None
    by: str | None = None
    force: bool = False


def same_data(
    first: RunColumns, second: RunColumns, sources: Sources
) -> Literal["rows", "data", "first bytes", ""]:
    """What two runs are shown to share: "rows", with samples; the "data"; its "first bytes"; or nothing.

    The size and the first bytes of two data sets do not show it, unless these bytes are all.
    """
    facts = [_data_facts(run.meta) for run in (first, second)]
    if any(run.meta.get(DATA_CHANGED) for run in (first, second)) or any(
        changes(facts[0], facts[1])
    ):
        return ""
    last = min(int(run.lines.max(initial=0)) for run in (first, second))
    indexes = [read_index(run.path) for run in (first, second)]
    if facts[0] and last and same_until(*indexes) >= last:
        return "rows"
    if not facts[0].get("head"):
        return ""
    reached = all(index and index[-1].last_line >= last for index in indexes)
    if _is_all_head(facts[0]) or (reached and _same_file(first, second, sources)):
        return "data"
    return "first bytes"


def _is_all_head(facts: Mapping[str, Any]) -> bool:
    rows = str(facts.get("form")).startswith("parquet")  # their number is its size
    return not rows and facts.get("size") is not None and facts["size"] <= HEAD_BYTES


def _same_file(first: RunColumns, second: RunColumns, sources: Sources) -> bool:
    """Whether both runs are of one file that can still be read, by the index of each."""
    given = ((first, sources.before), (second, sources.after))
    places = [(run, path or data_path(run.meta)) for run, path in given]
    if len({os.path.realpath(path) if isinstance(path, Path) else path for _, path in places}) > 1:
        return False
    try:
        for run, path in places:
            open_data_of(run.meta, path, results=run.path)
    except (DataSetError, InvalidRequest):
        return False
    return True


def _data_facts(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of a run's data set, except its path and the outputs joined with it."""
    recorded = meta.get("data", {})
    return {key: value for key, value in recorded.items() if key not in ("path", "outputs")}
