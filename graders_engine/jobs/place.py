"""The files of a job in its folder."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from graders_engine.storage.blobs import sync_folder
from graders_engine.storage.errors import StoreFull
from graders_engine.storage.store import WEIGHTS

SPEC = "spec.json"
LOCK = "lock"
LOG = "worker.log"
ROLLOUTS = "rollouts.jsonl"
STEP_METRICS = "step_metrics.csv"
RESULTS = "results.json"
"""The ids of the result files, from before they are there."""
RESERVE = "reserve"
"""Takes space while the job runs; when the disk is full, it makes room to say so."""
RESERVE_BYTES = 1 << 18
MODEL, STATE = "model", "state"
"""Folders in a checkpoint: the weights, and what a resume needs besides them."""
CHECKPOINT, UNFINISHED = WEIGHTS, f"tmp-{WEIGHTS}"
"""How the folders of checkpoints begin."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_TEXTS = ("No space left on device", "os error 28", "Disk quota exceeded")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, for its owner alone, so that it is there whole or not at all, whenever the power goes."""
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def sync_tree(folder: Path) -> None:
    """Bring everything in a folder to the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(parent, name), "rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(parent))


def is_full(error: BaseException) -> bool:
    """Whether an error was that of a full disk, also where a library has made a text of it."""
    return any(map(_is_full, _chain(error)))


def _chain(error: BaseException) -> Iterator[BaseException]:
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) == 13:  # FULL
        return True
    return isinstance(error, StoreFull) or any(text in str(error) for text in _FULL_TEXTS)
