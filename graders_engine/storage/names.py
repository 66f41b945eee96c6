"""The names of a store's runs, without opening the store: nothing is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from graders_engine.files import sqlite_companions
from graders_engine.storage.store import DATABASE


class RunName(NamedTuple):
    """What people know a run by.

    Attributes:
        name: its eval's name and its own.
        model: the model that was sampled; empty without one.
    """

    name: str
    model: str


def names_of_runs(folder: Path) -> Mapping[str, RunName]:
    """The names of all runs of the store in a folder, by their ids; none of one that cannot be read."""
    path = folder / DATABASE
    # Without a log nothing has it open: then not even the files of a reader are made beside it.
    how = "mode=ro" if sqlite_companions(path)[0].exists() else "immutable=1"
    address = f"file:{quote(str(path.absolute()))}?{how}"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=1)) as file:
            rows = file.execute(
                "SELECT run.id, eval.name, run.name, run.model FROM run "
                "JOIN eval ON eval.id = run.eval_id"
            ).fetchall()
    except sqlite3.Error:
        return {}
    return {run_id: run_name(run_id, *rest) for run_id, *rest in rows}


def run_name(run_id: str, eval_name: str, name: str, model: str) -> RunName:
    """What people know a run by: its eval's name and its own, or else its id."""
    return RunName(" / ".join(filter(None, (eval_name, name))) or run_id, model)
