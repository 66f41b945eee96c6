"""The files next to a results file: which ones there are, and that none of them is somebody else's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from graders_engine.dataset.results.line import lines_of
from graders_engine.dataset.results.meta import meta_path, written_by_a_run
from graders_engine.errors import DataSetError
from graders_engine.files import (
    beside,
    require_free,
    require_regular,
    sqlite_companions,
    temporary_for,
)

SUBJECT = "The results cannot be written"
_SHM_VERSION = (3007000).to_bytes(4, sys.byteorder)
_FIRST_BYTES = {
    ".sqlite": b"SQLite format 3\0",
    ".sqlite-wal": b"\x37\x7f\x06",
    ".sqlite-shm": _SHM_VERSION,
    ".sqlite-journal": b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7",
    ".lock": b"",
}
"""How the files begin that only a run makes (sqlite.org/fileformat2, walformat); a lock is empty."""
_HEAD_BYTES = 16


def index_path(lines: Path) -> Path:
    """The index of a results file (`scoring.index.Index`)."""
    return beside(lines, ".index.sqlite")


def lock_path(lines: Path) -> Path:
    """The lock of a results file; for a symbolic link, that of the file that it refers to."""
    return beside(Path(os.path.realpath(lines)), ".lock")


def companions_of(lines: Path) -> list[Path]:
    """All files that a run writes next to a JSONL results file, the temporary ones included."""
    meta, index = meta_path(lines), index_path(lines)
    return [
        meta,
        lock_path(lines),
        index,
        *sqlite_companions(index),
        temporary_for(lines),
        temporary_for(meta),
    ]


def results_files(out: Path) -> dict[Path, str]:
    """All files that a run with this output writes, and what each is."""
    lines = lines_of(out)
    besides = [*companions_of(lines), *([temporary_for(out)] if out != lines else ())]
    return {
        out: "the results",
        lines: "the results",
        **dict.fromkeys(besides, "a file that is kept next to the results"),
    }


def require_results_place(out: Path, *, overwrite: bool) -> None:
    """Check, before anything is written, that results can be written here and destroy nothing of others.

    With `overwrite`, the results themselves may be any file: that is what was asked for. The files next to
    them were not named, so these must be a run's in any case.

    Raises:
        DataSetError: something is in the way, with what to do.
    """
    lines = lines_of(out)
    for path in {out, lines}:
        require_regular(path, SUBJECT)
    companions = companions_of(lines)
    require_free(companions, SUBJECT)
    ours = written_by_a_run(lines)
    if ours is False:
        raise _foreign(meta_path(lines))
    if ours is None:
        for path in companions:
            if not _begins_as_ours(path):
                raise _foreign(path)
    if out != lines and not overwrite and _size(out) and not _size(lines):
        raise DataSetError(
            f"{out} exists, but there are no results in {lines} from which it was made. "
            "Write to another file, or pass --overwrite to start over."
        )


def _begins_as_ours(path: Path) -> bool:
    """Whether a file that is there, if any, begins as those of a run do; of some, nothing is known."""
    first = next((b for end, b in _FIRST_BYTES.items() if path.name.endswith(end)), None)
    if first is None or not _size(path):
        return True
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise DataSetError(f"{SUBJECT}: {path}: {error.strerror}.") from None
    return bool(first) and (head.startswith(first) or not head.strip(b"\0"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _foreign(path: Path) -> DataSetError:
    return DataSetError(
        f"{SUBJECT}: {path} cannot be written, because a file that no run wrote is in its place. "
        "Move it, or write to another file."
    )
