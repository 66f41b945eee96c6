"""The thread of a blocking engine: it begins with the first call that waits for something."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from graders_engine.engine import CLOSED_MESSAGE
from graders_engine.errors import LifecycleError

if TYPE_CHECKING:
    from graders_engine.loop_thread import LoopThread

T = TypeVar("T")


class LateLoop:
    """A thread with an event loop that is made, and asyncio with it imported, when it is needed.

    Attributes:
        closed: whether it was ended, needed or not.
    """

    def __init__(self) -> None:
        self.closed = False
        self._thread: LoopThread | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()

    def call(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the loop; it is made only if there is one to run it."""
        thread = self.running()
        import asyncio

        try:
            return thread.call(begin())
        except (asyncio.CancelledError, LifecycleError):
            self.require_usable()  # it ended because another thread closed the engine
            raise

    def require_usable(self) -> None:
        """Check that calls are possible.

        Raises:
            LifecycleError: they are not.
        """
        if self.closed:
            raise LifecycleError(CLOSED_MESSAGE)
        if os.getpid() != self._process:
            raise LifecycleError(
                "This engine was made in another process: make one in each process."
            )
        running = self._thread
        if running is not None and running.thread is threading.current_thread():
            raise LifecycleError(
                "This engine's own thread cannot wait for it: use AsyncEngine there."
            )

    def running(self) -> LoopThread:
        """The thread; the first call begins it."""
        self.require_usable()
        with self._lock:
            if self._thread is None:
                from graders_engine.loop_thread import LoopThread

                self._thread = LoopThread()
            return self._thread

    def end(self, close: Callable[[], Coroutine[Any, Any, None]], *, needed: bool) -> None:
        """Close what is open, and end the thread; in a forked process do nothing.

        Args:
            close: closes it, in the loop.
            needed: whether there may be something to close without the thread having begun.
        """
        if self.closed or os.getpid() != self._process or not (self._thread or needed):
            self.closed = True
            return
        thread = self.running()
        try:
            self.call(close)
        finally:
            self.closed = True
            thread.stop()
