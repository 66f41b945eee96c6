"""Calls that may block for minutes where no signal is heard, such as into a library written in C++."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")
_LOOK_UP_S = 0.25
"""Seconds between two looks whether a call is still waited for."""


def within(
    limit_s: float,
    call: Callable[[], T],
    undo: Callable[[], object] = lambda: None,
    is_over: Callable[[], bool] = lambda: False,
) -> T:
    """What a call gives that is made in a thread of its own, so that interrupts and signals end the wait.

    Args:
        limit_s: seconds to wait for it.
        call: what to call; nothing stops it if it takes longer.
        undo: called if it succeeds, but nobody gets what it gives.
        is_over: whether it is not to be waited for any more, whatever is left of these seconds.

    Raises:
        TimeoutError: it takes longer, or that is over.
        BaseException: what the call raises.
    """
    made = _Call(call, undo)
    threading.Thread(target=made.run, name="graders-connect", daemon=True).start()
    try:
        until = monotonic() + limit_s
        while not (made.ended.is_set() or is_over()) and (left_s := until - monotonic()) > 0:
            made.ended.wait(min(left_s, _LOOK_UP_S))
    except BaseException:  # an interrupt, which ends who waits, whatever becomes of the undoing
        if not made.abandon():
            made.undo()
        raise
    if made.ended.is_set() or not made.abandon():
        return made.result()
    raise TimeoutError(f"no end within {limit_s:g} s")


class _Call(Generic[T]):
    """A call, which ends before it is abandoned or after it: one of the two undoes it."""

    def __init__(self, call: Callable[[], T], undo: Callable[[], object]) -> None:
        self.ended = threading.Event()
        self._call, self._undo = call, undo
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._is_abandoned = False
        self._ending = threading.Lock()

    def run(self) -> None:
        """In the thread."""
        try:
            self._value.append(self._call())
        except BaseException as error:  # noqa: BLE001 - `result` raises it where the call is waited for
            self._error = error
        with self._ending:
            self.ended.set()
            is_too_late = self._is_abandoned
        if is_too_late:
            self.undo()

    def abandon(self) -> bool:
        """Have it undone once it has ended; False if it has ended already, and is left as it is."""
        with self._ending:
            self._is_abandoned = not self.ended.is_set()
            return self._is_abandoned

    def undo(self) -> None:
        """Undo it, which has ended, if it succeeded; what that raises says nothing to who waited."""
        if self._value:
            with suppress(Exception):
                self._undo()

    def result(self) -> T:
        """What it gave or raised."""
        if self._error is not None:
            raise self._error
        return self._value[0]
