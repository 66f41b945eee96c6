"""What the index next to a results file says of the data: which bytes its lines had, shard by shard."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from graders_engine.dataset.results.companions import index_path
from graders_engine.dataset.results.line import lines_of
from graders_engine.dataset.rows.records import Records
from graders_engine.dataset.rows.shards import Shard, Shards, cut, cut_by_value

WRONG_TYPES = """
SELECT 1 FROM batch WHERE typeof(digest) != 'text' OR typeof(first_line) != 'integer'
    OR typeof(last_line) != 'integer' OR typeof(start_at) != 'integer'
    OR typeof(end_at) != 'integer' OR typeof(results) != 'integer'
"""
SHARDS = (
    "SELECT first_line, last_line, start_at, end_at, results, digest FROM batch ORDER BY first_line"
)


class CompletedShard(NamedTuple):
    """A shard whose results are all written.

    Attributes:
        first_line: number of the first line.
        last_line: number of the last line.
        start: position of the first line in the data set.
        end: position after the last line.
        results: how many results it has.
        digest: `Shard.digest` of it.
    """

    first_line: int
    last_line: int
    start: int
    end: int
    results: int
    digest: str


def completed(shard: Shard, results: int, digest: str) -> CompletedShard:
    """A shard's entry in the index."""
    return CompletedShard(
        shard.first_line, shard.last_line, shard.start, shard.end, results, digest
    )


def read_index(results: Path) -> list[CompletedShard]:
    """The completed shards of a results file, from its first line on; empty if that is not known.

    It changes nothing on the disk. An index that is lost or damaged tells nothing.

    Args:
        results: the results file, of either format.
    """
    path = index_path(lines_of(results))
    log = path.with_name(f"{path.name}-wal")
    try:
        if not path.is_file():
            return []
        if not log.exists():
            found = _read(path)
        else:  # of a run that has not ended; SQLite would leave another file beside these
            with tempfile.TemporaryDirectory() as folder:
                for file in (path, log):
                    shutil.copyfile(file, Path(folder, file.name))
                found = _read(Path(folder, path.name), immutable=False)
    except (sqlite3.Error, OSError):
        return []
    ends = [0, *(shard.last_line for shard in found)]
    if any(shard.first_line != end + 1 for shard, end in zip(found, ends, strict=False)):
        return []
    return found


def _read(path: Path, *, immutable: bool = True) -> list[CompletedShard]:
    address = f"file:{quote(str(path.absolute()))}?immutable={int(immutable)}"
    with closing(sqlite3.connect(address, uri=True)) as database:
        database.execute("PRAGMA trusted_schema=OFF")
        found = database.execute("SELECT type, name FROM sqlite_master").fetchmany(2)
        if found != [("table", "batch")] or database.execute(WRONG_TYPES).fetchone():
            return []  # a view could run forever
        return [CompletedShard(*row) for row in database.execute(SHARDS)]


def same_until(one: Sequence[CompletedShard], other: Sequence[CompletedShard]) -> int:
    """Up to which line two runs are shown to be of the same rows; 0 if nothing shows it."""
    last = 0
    for here, there in zip(one, other, strict=False):
        if not here.digest or here._replace(results=0) != there._replace(results=0):
            break
        last = here.last_line
    return last


def is_same(shard: Shard, wanted: CompletedShard) -> bool:
    """Whether a shard of a data set is the one that was graded."""
    return shard.last_line == wanted.last_line and wanted.digest in ("", shard.digest())


def other_data(records: Records, indexed: Sequence[CompletedShard]) -> CompletedShard | None:
    """The first shard of an index that a data set does not have; None if it has all, or if there are none.

    Raises:
        DataSetError: the data set cannot be read.
    """
    wrong = _first_missing(cut(records), indexed)
    if wrong is None or not records.splittable:
        return wrong
    # Of standard input, the digests are of the rows' values. A file with the same rows has them as well.
    by_value = _first_missing(cut_by_value(records), indexed)
    return None if by_value is None else max(wrong, by_value)


def _first_missing(shards: Shards, indexed: Sequence[CompletedShard]) -> CompletedShard | None:
    for wanted in indexed:
        shard = shards.until(wanted.last_line)
        if shard is None or not is_same(shard, wanted):
            return wanted
    return None


def covers(records: Records, indexed: Sequence[CompletedShard]) -> bool:
    """Whether a data set consists of the shards of an index, and nothing else.

    Raises:
        DataSetError: it cannot be read.
    """
    shards = cut(records)
    return _first_missing(shards, indexed) is None and next(shards.rest(), None) is None
