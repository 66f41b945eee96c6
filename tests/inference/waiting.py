"""Waits for what a process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from graders_engine.inference.gpu import leave
from graders_engine.inference.place import LOCK
from graders_engine.storage.lock import ProcessLock

_LONGEST_S = 60.0


def until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + _LONGEST_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_free(folder: Path) -> bool:
    """Whether no process answers."""
    lock = ProcessLock(folder / LOCK)
    free = lock.take()
    lock.release()
    return free


def until_free(folder: Path) -> None:
    """Let the process of a folder end; one that was started beside it may have come after it."""

    def has_ended() -> bool:
        leave(folder)
        return not folder.exists() or is_free(folder)

    until(has_ended)
