"""A thread with an event loop, in which code without async runs coroutines, and what that delivers."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from graders_engine.errors import LifecycleError, OutOfResources
from graders_engine.tasks import read_exception

T = TypeVar("T")

POLL_S = 0.2
"""How often a thread that waits looks up: exceptions that another thread sets in it are raised only then."""
_ENDED = "The engine's thread has ended: make another engine."
END_S = 5.0
"""Longest wait for work that does not end when it is cancelled."""


class LoopThread:
    """The thread. It ends by `stop`, when nothing refers to this object any more, or with the interpreter.

    Attributes:
        loop: the event loop.
        thread: the thread itself; it holds the loop, and nothing of who made it.

    Raises:
        OutOfResources: this system refuses a thread, or the descriptors of a loop.
    """

    def __init__(self) -> None:
        try:
            self.loop = asyncio.new_event_loop()
        except OSError as error:
            raise OutOfResources(f"An event loop cannot be made: {error.strerror}.") from None
        self._ending = ending = threading.Event()
        self.thread = threading.Thread(
            target=_serve, args=(self.loop, ending), name="graders-engine", daemon=True
        )
        self._end = weakref.finalize(self, _stop, self.loop, self.thread, ending, os.getpid())
        try:
            self.thread.start()
        except RuntimeError:
            self.loop.close()
            raise OutOfResources(
                "This system refuses another thread: see the limit on processes (`ulimit -u`)."
            ) from None

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there, and wait for it; what interrupts the waiting cancels it.

        Raises:
            LifecycleError: the thread ends, and with it the coroutine.
        """
        call = _Call(coroutine)
        try:
            self._schedule(call.begin)
            while not call.done.wait(POLL_S):
                if not self.thread.is_alive() and not call.done.is_set():
                    raise LifecycleError(_ENDED)
        except BaseException:
            if self.thread.is_alive():
                with suppress(LifecycleError):  # it ends just now, and the call with it
                    self._schedule(call.cancel)
            else:
                call.cancel()
            raise
        try:
            return call.result()
        except asyncio.CancelledError:
            if self._ending.is_set():
                raise LifecycleError(_ENDED) from None
            raise

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine there without waiting for it; to cancel the future cancels the coroutine.

        Raises:
            LifecycleError: the thread has ended.
        """
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except RuntimeError:  # the loop is closed
            coroutine.close()
            raise LifecycleError(_ENDED) from None

    def _schedule(self, step: Callable[[], None]) -> None:
        try:
            self.loop.call_soon_threadsafe(step)
        except RuntimeError:  # the loop is closed
            raise LifecycleError(_ENDED) from None

    def stop(self) -> None:
        """Cancel what is running, and end the thread."""
        self._end()
        self.thread.join()


class _Call(Generic[T]):
    """A coroutine that another thread waits for; it exists before it begins: no interrupt can miss it."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self.done = threading.Event()
        self._coroutine = coroutine
        self._task: asyncio.Task[T] | None = None
        self._cancelled = False

    def begin(self) -> None:
        """In the loop: start it."""
        if not self._cancelled:
            self._task = asyncio.get_running_loop().create_task(self._coroutine)
            self._task.add_done_callback(lambda _: self.done.set())

    def cancel(self) -> None:
        """In the loop: end it, begun or not."""
        self._cancelled = True
        if self._task is None:
            self._coroutine.close()
        else:
            self._task.cancel()
            self._task.add_done_callback(read_exception)

    def result(self) -> T:
        """What it returned or raised."""
        assert self._task is not None  # noqa: S101 - it is done
        return self._task.result()


class Deliveries(Generic[T]):
    """Values in the order in which they were put, those of one turn of the loop together.

    To wake the other thread for each of them would have both wait for each other's lock.

    Args:
        loop: where they come from.
        require_usable: raises if no more will come; asked from time to time while `take` waits.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, require_usable: Callable[[], object]
    ) -> None:
        self._loop, self._require_usable = loop, require_usable
        self._gathered: list[T] = []
        self._sent: SimpleQueue[list[T]] = SimpleQueue()
        self._arrived: deque[T] = deque()

    def put(self, value: T) -> None:
        """In the loop: deliver a value.

        Raises:
            RuntimeError: the loop is closed.
        """
        self._gathered.append(value)
        if len(self._gathered) == 1:
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        gathered, self._gathered = self._gathered, []
        self._sent.put(gathered)

    def take(self) -> T:
        """In the other thread: the next value, waiting for it."""
        while not self._arrived:
            try:
                self._arrived.extend(self._sent.get(timeout=POLL_S))
            except Empty:
                self._require_usable()
        return self._arrived.popleft()


def _serve(loop: asyncio.AbstractEventLoop, ending: threading.Event) -> None:
    """The thread: run the loop until it is to end."""
    try:
        _run_until(loop, ending)
        loop.run_until_complete(asyncio.sleep(0))  # calls that were about to begin are tasks then
        if tasks := asyncio.all_tasks(loop):
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks, timeout=END_S))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _run_until(loop: asyncio.AbstractEventLoop, ending: threading.Event) -> None:
    while not ending.is_set():
        # Raised by a task of a backend, they end the loop; the other calls in it still need it.
        with suppress(SystemExit, KeyboardInterrupt):
            loop.run_forever()


def _stop(
    loop: asyncio.AbstractEventLoop, thread: threading.Thread, ending: threading.Event, pid: int
) -> None:
    """End the thread; from any thread, also from the collector, which may run in the loop's own."""
    if os.getpid() != pid:
        return  # a fork: the loop's descriptors belong to the other process, and the thread is not here
    ending.set()
    with suppress(RuntimeError):  # it has ended already
        loop.call_soon_threadsafe(loop.stop)
    if (
        not threading.main_thread().is_alive()
    ):  # the interpreter ends: daemon threads would be cut off
        thread.join(END_S)
