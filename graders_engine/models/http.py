"""POST of JSON with retries: what the API-speaking backends share. aiohttp is imported on first use."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graders_engine.errors import BackendFailure
from graders_engine.language import strict_json

if TYPE_CHECKING:
    import aiohttp

RETRIED_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504})
"""Answers that another try may better; the stock SDKs retry the same ones."""
MAX_ANSWER_BYTES = 64 << 20
"""An answer longer than this is an error, not a memory problem."""
_SHOWN = 200
"""Characters of an error's body that a message repeats."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often to try.

    Attributes:
        attempts: tries of one request, the first included.
        total_s: seconds from the first try; none begins after them.
        attempt_s: seconds for one try.
        first_wait_s: wait before the second try; it doubles with each one, with jitter.
        longest_wait_s: longest wait between two tries, whatever the server asks for.
    """

    attempts: int = 6
    total_s: float = 300.0
    attempt_s: float = 120.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0


class HttpClient:
    """Sends JSON and reads JSON, over connections that are kept. Use it from one event loop.

    Args:
        patience: how long and how often to try.
    """

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: Any, headers: Mapping[str, str]) -> Any:
        """Send a body, and return the answer's JSON values.

        Raises:
            BackendFailure: no tries are left, or the answer is one that no further try can better.
                The message never repeats the headers, which hold the key.
        """
        began = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._try(url, body, headers)
            except _Again as reason:
                wait = self._wait(attempt, reason.wait_s)
                spent = time.monotonic() - began
                if attempt >= self.patience.attempts or spent + wait > self.patience.total_s:
                    tries = f"{attempt} tries in {spent:.1f} s" if attempt > 1 else "one try"
                    raise BackendFailure(f"{url}: {reason} ({tries})") from None
                await asyncio.sleep(wait)

    async def _try(self, url: str, body: Any, headers: Mapping[str, str]) -> Any:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self.patience.attempt_s)
            )
        try:
            # A redirect would carry the key to another host.
            async with self._session.post(
                url, json=body, headers=headers, allow_redirects=False
            ) as answer:
                text = bytearray()
                async for chunk in answer.content.iter_any():
                    text += chunk
                    if len(text) > MAX_ANSWER_BYTES:
                        raise BackendFailure(
                            f"{url}: the answer is longer than {MAX_ANSWER_BYTES} bytes"
                        )
                status, retry_after = answer.status, answer.headers.get("Retry-After", "")
        except TimeoutError:
            raise _Again(f"no answer within {self.patience.attempt_s:g} s") from None
        except aiohttp.InvalidURL:
            raise BackendFailure(f"'{url}' is not an address") from None
        except aiohttp.ClientError as error:
            raise _Again(f"{type(error).__name__}: {error}") from None
        return _read(url, status, retry_after, bytes(text))

    def _wait(self, attempt: int, asked_s: float | None) -> float:
        if asked_s is not None:
            return min(asked_s, self.patience.longest_wait_s)
        longest = min(
            self.patience.first_wait_s * 2.0 ** (attempt - 1), self.patience.longest_wait_s
        )
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


class _Again(Exception):
    """Another try may help; after `wait_s`, where the server says so."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        self.wait_s = wait_s
        super().__init__(reason)


def _read(url: str, status: int, retry_after: str, text: bytes) -> Any:
    shown = text[:_SHOWN].decode("utf-8", "replace").strip()
    if status in RETRIED_STATUS:
        raise _Again(f"HTTP {status}: {shown}", _seconds(retry_after))
    if status != 200:
        raise BackendFailure(f"{url}: HTTP {status}: {shown}")
    try:
        return strict_json.decode(text)
    except ValueError:
        raise BackendFailure(f"{url}: the answer is not JSON: {shown}") from None


def _seconds(retry_after: str) -> float | None:
    try:
        return max(float(retry_after), 0.0)
    except ValueError:  # absent, or a date, which the usual backing off serves as well
        return None
