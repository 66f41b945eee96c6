"""A client that is made when something is sent: most engines have no grader that sends rows anywhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graders_engine.models.http import JsonClient
    from graders_engine.models.retry import OnRetry, RetryPolicy


class LateClient:
    """A `JsonClient` that makes another one on first use, and passes everything on to it.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], JsonClient]) -> None:
        self._make = make
        self._made: JsonClient | None = None
        self._lock = threading.Lock()

    @property
    def _client(self) -> JsonClient:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    @property
    def retry(self) -> RetryPolicy:
        """How those who use it try."""
        return self._client.retry

    @property
    def on_retry(self) -> OnRetry | None:
        """Called before each further attempt."""
        return self._client.on_retry

    async def get(self, url: str, headers: Mapping[str, str]) -> Any:
        """Ask once for what an address holds."""
        return await self._client.get(url, headers)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Any:
        """Send a body once."""
        return await self._client.post(url, body, headers)

    async def close(self) -> None:
        """Release what it holds, if it was made."""
        if self._made is not None:
            await self._made.close()
