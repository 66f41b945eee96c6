"""The store as a server has it: called in threads of its own, and looked after while the server lives."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from graders_engine.server.settings import STORE_THREADS
from graders_engine.storage.errors import StoreError
from graders_engine.storage.store import Store

P = ParamSpec("P")
T = TypeVar("T")

EXPIRE_EVERY_S = 60.0
"""How often files whose time is over are removed; nobody is shown one meanwhile."""

_log = logging.getLogger("graders_engine")


class ServedStore:
    """A store whose methods do not hold up the event loop.

    Args:
        store: open, and locked for this process.
        max_file_bytes: longest file.
        max_bytes: all files together.

    Attributes:
        store: as given; call its methods with `call`.
        max_file_bytes: as given.
        max_bytes: as given.
    """

    def __init__(self, store: Store, *, max_file_bytes: int, max_bytes: int) -> None:
        self.store, self.max_file_bytes, self.max_bytes = store, max_file_bytes, max_bytes
        self._threads = ThreadPoolExecutor(STORE_THREADS, "graders-engine-store")

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread."""
        return await self.begin(function, *args, **kwargs)

    def begin(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """The same, to be awaited later."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, partial(function, *args, **kwargs))

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """While the block runs, what expires is removed; at its end, so are the threads."""
        expiring = asyncio.create_task(self._expire())
        try:
            yield
        finally:
            expiring.cancel()
            await asyncio.gather(expiring, return_exceptions=True)
            self._threads.shutdown()

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRE_EVERY_S)
            try:
                await self.call(self.store.files.expire, time.time())
            except StoreError as error:  # the next time may do better
                _log.warning("expired files could not be removed: %s", error)
