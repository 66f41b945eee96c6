"""Who has the GPU: the process that answers gives way to jobs that train."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from graders_engine.inference.place import ENGINE_LOCK, GPU_LOCK, LEAVES, LOCK, address_in
from graders_engine.processes import end_group
from graders_engine.storage.lock import ProcessLock

GPU_IS_TAKEN = "A fine-tuning job trains on the GPU: models answer again when it has ended."
"""Why there is no answer while a job trains."""
KILL_S = 15.0
"""A process that has not left so long after it was asked to is killed."""
_POLL_S = 0.05
ANSWER_S = 5.0
"""How long it may take to say that it will leave."""


@contextmanager
def gpu_for_training(folder: Path) -> Iterator[None]:
    """What trains a job: no model answers on the GPU meanwhile. Without a GPU, both happen.

    Args:
        folder: of the process that answers.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = ProcessLock(folder / GPU_LOCK, shared=True)
    since = time.monotonic()
    while not lock.take():
        leave(folder)
        if time.monotonic() - since > KILL_S:
            _kill(folder)
        time.sleep(_POLL_S)
    end_engine(folder)
    try:
        yield
    finally:
        lock.release()


def leave(folder: Path) -> None:
    """Ask the process that answers, if there is one, to end at once; requests that it has are refused."""
    address = address_in(folder)
    if address is None or sys.platform == "win32":  # where none answers
        return
    request = (
        f"POST {LEAVES} HTTP/1.1\r\nHost: worker\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_S)
        connection.connect(address.socket)
        connection.sendall(request.encode())
        while connection.recv(4096):
            pass


def _kill(folder: Path) -> None:
    """Kill the process that answers."""
    _kill_holder(folder / LOCK)


def end_engine(folder: Path) -> None:
    """End a server of vLLM whose process was killed; returns when it has ended.

    Args:
        folder: of the process that answers.
    """
    while (folder / ENGINE_LOCK).exists() and _kill_holder(folder / ENGINE_LOCK):
        time.sleep(_POLL_S)


def _kill_holder(path: Path) -> bool:
    """Kill the group of the process that holds a lock; whether one does."""
    lock = ProcessLock(path)
    if lock.take():
        lock.release()
        return False
    with suppress(OSError, ValueError):  # the number is the process's as long as the lock is held
        end_group(int(path.read_text(encoding="ascii")))
    return True
