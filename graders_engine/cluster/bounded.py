"""Calls that may block for minutes where no signal is heard, such as into a library written in C++."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def within(limit_s: float, call: Callable[[], T], undo: Callable[[], object] = lambda: None) -> T:
    """What a call gives that is made in a thread of its own, so that interrupts and signals end the wait.

    Args:
        limit_s: seconds to wait for it.
        call: what to call; nothing stops it if it takes longer.
        undo: called in its thread if it succeeds after the wait for it has ended.

    Raises:
        TimeoutError: it takes longer.
        BaseException: what the call raises.
    """
    ended: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()
    abandoned = threading.Event()

    def run() -> None:
        try:
            ended.put((call(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised by who waits
            ended.put((None, error))
            return
        if abandoned.is_set():
            undo()

    threading.Thread(target=run, name="graders-connect", daemon=True).start()
    try:
        value, error = ended.get(timeout=limit_s)
    except Empty:
        abandoned.set()
        raise TimeoutError(f"no end within {limit_s:g} s") from None
    except BaseException:
        abandoned.set()
        raise
    if error is not None:
        raise error
    return value  # type: ignore[return-value] # None only where the call gives None
