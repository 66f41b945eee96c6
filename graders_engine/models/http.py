"""JSON over HTTP, one request at a time. `models.endpoint` adds pace and retries.

aiohttp is imported on first use.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol

from graders_engine.errors import BackendBusy, BackendFailure, BackendRejected, ErrorFields
from graders_engine.language import strict_json
from graders_engine.models.error_body import read_error_body, shortened
from graders_engine.models.retry import OnRetry, RetryPolicy

if TYPE_CHECKING:
    import aiohttp

RETRIED_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504})
"""Answers after which another attempt may succeed; the official SDKs retry the same ones."""
OVERLOADED_STATUS = frozenset({429, 503})
"""Answers that ask for fewer requests."""
MAX_ANSWER_BYTES = 64 << 20
"""An answer longer than this is an error, not a memory problem."""
CONNECT_S = 10.0
"""Time limit for connecting; a server that is there accepts far sooner."""


def without_secrets(url: str) -> str:
    """An address as messages show it: its query, and a name and password before the host, may be keys."""
    address = url.partition("?")[0].partition("#")[0]
    scheme, slashes, rest = address.partition("://")
    if not slashes:
        scheme, rest = "", address
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


class JsonClient(Protocol):
    """Sends JSON to addresses and reads JSON from them."""

    retry: RetryPolicy
    on_retry: OnRetry | None

    async def get(self, url: str, headers: Mapping[str, str]) -> Any:
        """Ask once for what an address holds; raises what `post` raises."""
        ...

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Any:
        """Send a body, already JSON, once; gives the JSON of the answer.

        Raises:
            BackendFailure: there is no usable answer; `BackendBusy` if another attempt may succeed.
        """
        ...

    async def close(self) -> None:
        """Release what the client holds; closing twice is allowed."""
        ...


class HttpClient:
    """Sends and reads JSON over connections that are kept open. Use it from one event loop.

    Args:
        retry: how long one attempt may take; and how often those who use this client try.
        max_answer_bytes: an answer longer than this is an error.
        on_retry: called by those who use this client before each further attempt.
        proxy: the address of an HTTP proxy.
    """

    def __init__(
        self,
        retry: RetryPolicy | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        on_retry: OnRetry | None = None,
        *,
        proxy: str | None = None,
    ) -> None:
        self.retry = retry or RetryPolicy()
        self.on_retry = on_retry
        self._max_answer_bytes = max_answer_bytes
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, headers: Mapping[str, str]) -> Any:
        """Ask once for what an address holds; raises what `post` raises."""
        return await self._send("GET", url, headers, None)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Any:
        """Send a body, already JSON, once; gives the JSON of the answer.

        Raises:
            BackendBusy: another attempt may succeed.
            BackendRejected: the server says that the request is wrong.
            BackendFailure: the answer cannot be used. No message repeats a header, a query or a password.
        """
        return await self._send("POST", url, headers, body)

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Any:
        import aiohttp

        session = self._session or self._open()
        address = without_secrets(url)
        try:
            # Following a redirect would send the key to another host.
            async with session.request(
                method, url, data=body, headers=headers, allow_redirects=False, proxy=self._proxy
            ) as answer:
                text = await self._read(answer, address)
        except aiohttp.ConnectionTimeoutError:
            raise BackendBusy(f"{address}: no connection within {CONNECT_S:g} s") from None
        except TimeoutError:
            reason = f"no answer within {self.retry.attempt_s:g} s"
            raise BackendBusy(f"{address}: {reason}") from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, UnicodeError):
            raise BackendFailure(f"'{address}' is not an address") from None
        except aiohttp.ClientSSLError as error:  # a wrong certificate stays wrong
            raise BackendFailure(f"{address}: {type(error).__name__}: {error}") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise BackendBusy(f"{address}: {type(error).__name__}: {error}") from None
        if answer.status != 200:
            raise _failure(address, answer.status, answer.headers, text)
        try:
            return strict_json.decode(text)
        except ValueError:
            raise BackendFailure(
                f"{address}: the answer is not JSON: {shortened(text)}", status=200
            ) from None

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        self._session = aiohttp.ClientSession(
            # The policies bound the number of requests; a second limit here would only hide theirs.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            headers={"Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=self.retry.attempt_s, sock_connect=CONNECT_S),
            # Cookies would make one row's request depend on another's answer.
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        # Of a client that nobody closes, the connections end with it.
        weakref.finalize(self, _abandon, asyncio.get_running_loop(), self._session, os.getpid())
        return self._session

    async def _read(self, answer: aiohttp.ClientResponse, address: str) -> bytes:
        text = bytearray()
        async for chunk in answer.content.iter_any():
            text += chunk
            if len(text) > self._max_answer_bytes:
                limit = f"the answer is longer than {self._max_answer_bytes} bytes"
                raise BackendFailure(f"{address}: {limit}", status=answer.status)
        return bytes(text)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _abandon(loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession, process: int) -> None:
    """Close a session in its own loop, from any thread; a forked process leaves it alone."""
    if os.getpid() == process and not session.closed and not loop.is_closed():
        with suppress(RuntimeError):  # it is closed just now
            loop.call_soon_threadsafe(lambda: loop.create_task(session.close()))


def _failure(address: str, status: int, headers: Mapping[str, str], text: bytes) -> BackendFailure:
    """The exception for an answer with another status than 200."""
    body = read_error_body(text)
    answer = ErrorFields(
        status=status,
        code=body.code,
        param=body.param,
        message=body.message,
        details=body.details,
    )
    if 300 <= status < 400:
        return BackendFailure(f"{address}: HTTP {status}: a redirect is not followed", **answer)
    reason = f"{address}: HTTP {status}: {shortened(text)}"
    if status in RETRIED_STATUS:
        overloaded = status in OVERLOADED_STATUS
        return BackendBusy(reason, retry_after_s(headers), overloaded=overloaded, **answer)
    return BackendRejected(reason, **answer)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the server asks for them: in milliseconds, in seconds, or as a date."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(date.timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
