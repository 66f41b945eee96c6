"""How a request's rows are graded: at once, in a thread, or waiting their turn while the client waits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.types import Receive

from graders_engine.engine import AsyncEngine
from graders_engine.errors import Mistake
from graders_engine.language.scope import Scope
from graders_engine.outcome import RowOutcome
from graders_engine.sandbox.base import available_cpus
from graders_engine.server.answers import NO_RETRY, ClientGone, Refused
from graders_engine.server.grader_cache import CachedGrader
from graders_engine.server.settings import ServerSettings

T = TypeVar("T")

MAX_CHARS = 1 << 30
"""Text that a row's templates may come to in memory."""
RETRY_AFTER_S = 1


class AdmissionQueue:
    """The bounded queue: how many requests may be in it, and how many are.

    Args:
        most: requests at a time whose grading waits for something, or takes long.
    """

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place in the queue for as long as the block runs.

        Raises:
            Refused: all are taken.
        """
        if self.taken >= self.most:
            message = f"The server is busy with {self.taken} requests. Try again later."
            raise Refused(429, Mistake(message, code="busy"), {"retry-after": str(RETRY_AFTER_S)})
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class Scheduler:
    """Grades rows for requests.

    Args:
        engine: whose graders they are.
        settings: the queue's length and the deadline.

    Attributes:
        queue: the requests that are being waited for.
        rows: rows begun and not done; those beyond the engine's concurrency wait.
    """

    def __init__(self, engine: AsyncEngine, settings: ServerSettings) -> None:
        self.queue = AdmissionQueue(engine.settings.concurrency + settings.max_queue)
        self.rows = 0
        self.deadline_s = settings.deadline_s
        self.concurrency = engine.settings.concurrency
        self._turns = asyncio.Semaphore(engine.settings.concurrency)
        self._threads = ThreadPoolExecutor(available_cpus(), "grading")

    def close(self) -> None:
        """Let the threads go; what runs in one ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def check(self, kept: CachedGrader, row_bytes: int) -> None:
        """Refuse what could take all of the memory.

        Raises:
            Refused: templates repeat a long row too often.
        """
        if kept.weight(row_bytes) > MAX_CHARS:
            message = (
                f"Invalid 'item': the grader's {kept.variables} variables and a row of {row_bytes} bytes "
                f"may come to more than {MAX_CHARS} characters."
            )
            raise Refused(413, Mistake(message, "item", "row_too_large"))

    async def later(self, kept: CachedGrader, index: int, scope: Scope) -> RowOutcome:
        """Grade a row that waits for something, or takes long."""
        self.rows += 1
        try:
            compiled = kept.compiled
            if compiled.evaluator.waits:
                async with self._turns:
                    return await compiled.grade(index, scope)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self._threads, compiled.grade_row_now, index, scope, itself
            )
        finally:
            self.rows -= 1

    async def one(
        self, kept: CachedGrader, scope: Scope, row_bytes: int, receive: Receive
    ) -> RowOutcome:
        """Grade the row of a request.

        Raises:
            Refused: the queue is full, the row too long, or the deadline has passed.
            ClientGone: nobody waits for it any more.
        """
        if row_bytes <= kept.quick_bytes():
            return await kept.compiled.grade(0, scope)  # never waits
        self.check(kept, row_bytes)
        with self.queue.place():
            try:
                async with asyncio.timeout(self.deadline_s):
                    return await while_wanted(self.later(kept, 0, scope), receive)
            except TimeoutError:
                raise Refused(504, overdue(self.deadline_s, None), NO_RETRY) from None


def overdue(deadline_s: float, param: str | None) -> Mistake:
    """What is said of a row that was not graded in time."""
    text = f"The server's deadline of {deadline_s:g} s passed before this was graded."
    return Mistake(text, param, "deadline_exceeded")


async def while_wanted(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """Do the work for as long as the client stays on the line.

    Raises:
        ClientGone: it has hung up; the work was cancelled.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        for unfinished in (task, gone):
            unfinished.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def itself(scope: Scope) -> Scope:
    """How a scope is read from a row that is one."""
    return scope
