"""When and where rows are graded: on the event loop, in a thread, or queued while the client waits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from graders_engine.engine import AsyncEngine
from graders_engine.errors import Mistake
from graders_engine.language.scope import Scope
from graders_engine.outcome import RowOutcome
from graders_engine.sandbox.base import available_cpus
from graders_engine.server.exchange import Receive
from graders_engine.server.grader_cache import CachedGrader
from graders_engine.server.responses import NO_RETRY, ClientGone, Refused
from graders_engine.server.settings import ServerSettings
from graders_engine.tasks import SharedTask

T = TypeVar("T")

MAX_CHARS = 1 << 30
"""Bound on the text that a row's templates can become in memory."""
RETRY_AFTER_S = 1


class AdmissionQueue:
    """Bounds the requests that are graded, or wait for it, at a time.

    Args:
        max_requests: the bound; requests that are graded on the event loop do not count.
    """

    def __init__(self, max_requests: int) -> None:
        self._max, self._admitted = max_requests, 0

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold one of the places for as long as the block runs.

        Raises:
            Refused: all places are taken.
        """
        if self._admitted >= self._max:
            message = f"The server is busy with {self._admitted} requests. Try again later."
            raise Refused(429, Mistake(message, code="busy"), {"retry-after": str(RETRY_AFTER_S)})
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1


class Scheduler:
    """Grades rows for requests.

    Args:
        engine: the owner of the graders.
        settings: the queue's length and the deadline.

    Attributes:
        queue: admits requests.
        concurrency: rows graded at a time, where grading waits for something.
        deadline_s: time limit for one request.
    """

    def __init__(self, engine: AsyncEngine, settings: ServerSettings) -> None:
        self.queue = AdmissionQueue(engine.settings.concurrency + settings.max_queue)
        self.deadline_s = settings.deadline_s
        self.concurrency = engine.settings.concurrency
        self._in_flight = 0
        self._turns = asyncio.Semaphore(engine.settings.concurrency)
        self._threads = ThreadPoolExecutor(available_cpus(), "grading")

    @property
    def queued(self) -> int:
        """Rows that wait for their turn."""
        return max(0, self._in_flight - self.concurrency)

    def close(self) -> None:
        """Let the threads go; what runs in one ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def check_memory(self, cached: CachedGrader, row_bytes: int) -> None:
        """Refuse a row that could fill the memory.

        Raises:
            Refused: the templates could repeat the row too often.
        """
        if cached.worst_case_chars(row_bytes) > MAX_CHARS:
            message = (
                f"Invalid 'item': the grader's {cached.variables} variables and a row of {row_bytes} bytes "
                f"may come to more than {MAX_CHARS} characters."
            )
            raise Refused(413, Mistake(message, "item", "row_too_large"))

    async def run_queued(self, cached: CachedGrader, index: int, scope: Scope) -> RowOutcome:
        """Grade a row whose grading waits for something, or takes long."""
        self._in_flight += 1
        try:
            compiled = cached.compiled
            if compiled.evaluator.waits:
                async with self._turns:
                    return await compiled.grade(index, scope)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self._threads, compiled.grade_row_now, index, scope, _unchanged
            )
        finally:
            self._in_flight -= 1

    async def run_one(
        self, cached: CachedGrader, scope: Scope, row_bytes: int, receive: Receive
    ) -> RowOutcome:
        """Grade the row of a request, on the event loop where that is quick.

        Raises:
            Refused: the queue is full, the row too long, or the deadline has passed.
            ClientGone: the client has closed the connection.
        """
        if row_bytes <= cached.inline_limit_bytes():
            return cached.compiled.grade_now(0, scope)
        self.check_memory(cached, row_bytes)
        with self.queue.admit():
            try:
                async with asyncio.timeout(self.deadline_s):
                    return await while_connected(self.run_queued(cached, 0, scope), receive)
            except TimeoutError:
                raise Refused(504, deadline_exceeded(self.deadline_s, None), NO_RETRY) from None


def deadline_exceeded(deadline_s: float, param: str | None) -> Mistake:
    """The error of a row that was not graded in time."""
    message = f"The server's deadline of {deadline_s:g} s passed before this was graded."
    return Mistake(message, param, "deadline_exceeded")


async def while_connected(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """Do the work for as long as the client stays connected.

    Raises:
        ClientGone: the client has closed the connection; the work was cancelled.
    """
    task = SharedTask(work)
    gone = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait((task.ended, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.is_open:
            raise ClientGone
        return await task.wait()
    finally:
        gone.cancel()
        await asyncio.gather(task.end(), gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _unchanged(scope: Scope) -> Scope:
    """Reads a scope from a row that is one already."""
    return scope
