"""POST of JSON, and patience with whoever answers it: what the API-speaking backends share.

aiohttp is imported on first use.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from graders_engine.errors import BackendBusy, BackendFailure, BackendRejected
from graders_engine.language import strict_json

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")

RETRIED_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504})
"""Answers that another try may better; the stock SDKs retry the same ones."""
OVERLOADED_STATUS = frozenset({429, 503})
"""Answers that ask for fewer requests."""
MAX_ANSWER_BYTES = 64 << 20
"""An answer longer than this is an error, not a memory problem."""
CONNECT_S = 10.0
"""Seconds for reaching a server; one that is there answers far sooner."""
_SHOWN = 500
"""Characters of an error's body that a message repeats; what endpoints say of the reason stands in them."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often to try.

    Attributes:
        attempts: tries of one request, the first included.
        total_s: seconds from the first try; none begins after them.
        attempt_s: seconds for one try.
        wait_initial_s: wait before the second try; it doubles with each one, with jitter.
        wait_max_s: longest wait between two tries, whatever the server asks for.
    """

    attempts: int = 6
    total_s: float = 300.0
    attempt_s: float = 120.0
    wait_initial_s: float = 0.5
    wait_max_s: float = 60.0

    async def call(self, once: Callable[[], Awaitable[T]]) -> T:
        """Try until it succeeds, fails for good, or the tries or the time are used up.

        Raises:
            BackendFailure: whatever `once` raised last; only a `BackendBusy` is tried again.
        """
        began = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                return await once()
            except BackendBusy as reason:
                wait = self._wait(attempt, reason.wait_s)
                spent = time.monotonic() - began
                if attempt >= self.attempts or spent + wait > self.total_s:
                    tries = f"{attempt} tries in {spent:.1f} s" if attempt > 1 else "one try"
                    raise BackendFailure(f"{reason} ({tries})") from None
            await asyncio.sleep(wait)

    def _wait(self, attempt: int, asked_s: float | None) -> float:
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        if asked_s is not None:
            # A little later than asked, and not all at once, or the same crowd is refused again.
            return min(asked_s * (1.5 - 0.5 * jitter), self.wait_max_s)
        return min(self.wait_initial_s * 2.0 ** (attempt - 1), self.wait_max_s) * jitter


def without_secrets(url: str) -> str:
    """An address as messages show it: its query, and a name and password before the host, may be keys."""
    address = url.partition("?")[0].partition("#")[0]
    scheme, slashes, rest = address.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{place.rpartition('@')[2]}{slash}{path}" if slashes else address


class HttpClient:
    """Sends JSON and reads JSON, over connections that are kept. Use it from one event loop.

    Args:
        retry: how long and how often to try.
        max_answer_bytes: an answer longer than this is an error.
    """

    def __init__(
        self, retry: RetryPolicy | None = None, max_answer_bytes: int = MAX_ANSWER_BYTES
    ) -> None:
        self.retry = retry or RetryPolicy()
        self._max_answer_bytes = max_answer_bytes
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: Any, headers: Mapping[str, str]) -> Any:
        """Send a body as often as patience allows, and return the answer's JSON values.

        Raises:
            BackendFailure: no tries are left, or the answer is one that no further try can better.
                The message never repeats the headers, which hold the key.
        """
        text = strict_json.encode(body)
        return await self.retry.call(lambda: self.send(url, text, headers))

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Any:
        """Send a body, JSON already, once.

        Raises:
            BackendBusy: another try may help.
            BackendRejected: the server answers that the request is wrong.
            BackendFailure: the answer cannot be used.
        """
        import aiohttp

        session = self._session or self._open()
        shown_url = without_secrets(url)
        try:
            # A redirect would carry the key to another host.
            async with session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                text = await self._body(answer, shown_url)
                status, said = answer.status, answer.headers
        except aiohttp.ConnectionTimeoutError:
            raise BackendBusy(f"{shown_url}: no connection within {CONNECT_S:g} s") from None
        except TimeoutError:
            reason = f"no answer within {self.retry.attempt_s:g} s"
            raise BackendBusy(f"{shown_url}: {reason}") from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, UnicodeError):
            raise BackendFailure(f"'{shown_url}' is not an address") from None
        except aiohttp.ClientSSLError as error:  # a wrong certificate stays wrong
            raise BackendFailure(f"{shown_url}: {type(error).__name__}: {error}") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise BackendBusy(f"{shown_url}: {type(error).__name__}: {error}") from None
        if status == 200:
            return _decoded(shown_url, text)
        raise _failure(shown_url, status, said, text)

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        session = aiohttp.ClientSession(
            # The policies hold the number of requests; a second limit here would only hide theirs.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            headers={"Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=self.retry.attempt_s, sock_connect=CONNECT_S),
            # Cookies would tie rows together.
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._session = session
        return session

    async def _body(self, answer: aiohttp.ClientResponse, url: str) -> bytes:
        text = bytearray()
        async for chunk in answer.content.iter_any():
            text += chunk
            if len(text) > self._max_answer_bytes:
                raise BackendFailure(
                    f"{url}: the answer is longer than {self._max_answer_bytes} bytes"
                )
        return bytes(text)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _decoded(url: str, text: bytes) -> Any:
    try:
        return strict_json.decode(text)
    except ValueError:
        raise BackendFailure(f"{url}: the answer is not JSON: {_shown(text)}") from None


def _failure(url: str, status: int, headers: Mapping[str, str], text: bytes) -> BackendFailure:
    """What an answer with another status than 200 stands for."""
    reason = f"{url}: HTTP {status}: {_shown(text)}"
    if status in RETRIED_STATUS:
        overloaded = status in OVERLOADED_STATUS
        return BackendBusy(reason, _retry_after(headers), overloaded=overloaded)
    if 300 <= status < 400:
        return BackendFailure(f"{url}: HTTP {status}: a redirect is not followed")
    return BackendRejected(reason, status)


def _shown(text: bytes) -> str:
    return " ".join(text[:_SHOWN].decode("utf-8", "replace").split())


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, as the server asks for them: in milliseconds, in seconds, or as a date."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    try:
        then = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(then.timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
