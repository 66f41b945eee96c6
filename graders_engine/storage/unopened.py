"""The runs and jobs of a store that is not opened: nothing is written, and the database may be anybody's."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

from graders_engine.files import sqlite_companions
from graders_engine.storage.ids import is_name
from graders_engine.storage.listed_jobs import ListedJob, listed_jobs
from graders_engine.storage.listed_runs import COLUMNS, ListedRun, listed_run
from graders_engine.storage.store import DATABASE
from graders_engine.storage.watched_jobs import Watched, watched

_MAX_BYTES = 64 << 20
"""So much is read of a database that somebody else may have made; also of one value of it."""
MAX_S = 2.0
"""So long a query of such a database may take."""
_STEPS = 10_000


def runs_in(folder: Path, limit: int, run_id: str | None = None) -> list[ListedRun]:
    """The newest runs of all projects of the store in a folder; none of one that cannot be read.

    The database is only read, and nothing is written beside it. It may be anybody's.

    Args:
        folder: of the store.
        limit: how many runs at most.
        run_id: of the only one that is wanted.
    """
    wanted, values = ("", ()) if run_id is None else ("WHERE run.id = ?", (run_id,))
    query = f"SELECT {COLUMNS} {wanted} ORDER BY run.created_at DESC, run.seq DESC LIMIT ?"
    try:
        with _opened(folder) as file:
            return list(_within_bounds(file.execute(query, (*values, limit))))
    except sqlite3.Error:
        return []


def jobs_in(folder: Path, limit: int) -> list[ListedJob]:
    """The newest fine-tuning jobs of all projects of the store in a folder, as `runs_in` has its runs."""
    try:
        with _opened(folder) as file:
            file.execute("BEGIN")  # the numbers of a job are those of one moment
            return list(listed_jobs(file, limit))
    except sqlite3.Error:
        return []


def watched_in(
    folder: Path, job_id: str, seq: int, each: Callable[[int, str | bytes], object]
) -> Watched | None:
    """A job of the store in a folder for its page, as of `Jobs.watch`.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    with _opened(folder) as file:
        file.execute("BEGIN")
        return watched(file, job_id, seq, each)


def has_job(folder: Path, job_id: str) -> bool:
    """Whether the store in a folder has a job."""
    try:
        with _opened(folder) as file:
            return file.execute("SELECT 1 FROM job WHERE id = ?", (job_id,)).fetchone() is not None
    except sqlite3.Error:
        return False


@contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """The database of the store in a folder, to be read within bounds.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    path = folder / DATABASE
    # Without a log nothing has it open: then not even the files of a reader are made beside it.
    how = "mode=ro" if sqlite_companions(path)[0].exists() else "immutable=1"
    address = f"file:{quote(str(path.absolute()))}?{how}"
    with closing(sqlite3.connect(address, uri=True, timeout=1)) as file:
        _bound(file)
        yield file


def _bound(file: sqlite3.Connection) -> None:
    """Bound what a database can make its reader do: it may have views, huge values, texts that are none."""
    file.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_BYTES)
    file.text_factory = lambda text: text.decode("utf-8", "replace")
    end = monotonic() + MAX_S
    file.set_progress_handler(lambda: monotonic() > end, _STEPS)
    file.execute("PRAGMA trusted_schema = OFF")


def _within_bounds(rows: Iterator[Sequence[Any]]) -> Iterator[ListedRun]:
    """The runs whose id can be one, as far as they fit into `_MAX_BYTES`.

    Raises:
        sqlite3.DataError: they do not.
    """
    read = 0
    for row in rows:
        read += sum(len(value) for value in row if isinstance(value, str | bytes))
        if read > _MAX_BYTES:
            raise sqlite3.DataError("too much to be a list of runs")
        run = listed_run(row)
        if is_name(run.id):
            yield run
