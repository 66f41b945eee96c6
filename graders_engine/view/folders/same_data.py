"""Which runs are of a data set."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from graders_engine.dataset.results.data import data_path
from graders_engine.dataset.results.meta import is_complete, meta_path, read_meta
from graders_engine.errors import DataSetError
from graders_engine.view.folders.found import Found
from graders_engine.view.folders.lines import Written, last_write


def runs_over(runs: Iterable[Found], data: Path) -> list[str]:
    """The ids of the runs that have a result of every row of a data set, the newest first."""
    real = os.path.realpath(data)
    found = []
    for run in runs:
        stamp = last_write(run.path)
        if run.problem or stamp is None:
            continue
        if _data_of(run.path, last_write(meta_path(run.path))) == real:
            found.append((stamp, run.id))
    return [run_id for _, run_id in sorted(found, reverse=True)]


@lru_cache(4096)
def _data_of(results: Path, _stamp: Written | None) -> str:
    """Where the data set of a run is; empty for a run that is not whole, and if that is not known."""
    try:
        meta = read_meta(results)
        path = data_path(meta) if is_complete(meta) else None
        return os.path.realpath(path) if isinstance(path, Path) else str(path or "")
    except (DataSetError, OSError, ValueError):
        return ""
