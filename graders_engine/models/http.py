"""JSON over HTTP, one request at a time. `models.endpoint` adds pace and retries.

Keys are taken out of all that comes back here, before anything else reads it.
aiohttp is imported on first use.
"""

from __future__ import annotations

import asyncio
import errno
import os
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol

from graders_engine.errors import BackendBusy, BackendFailure
from graders_engine.language import strict_json
from graders_engine.models.error_body import failure_of, shortened, unreadable
from graders_engine.models.port_check import PortCheck
from graders_engine.models.redaction import Secrets, Unmaskable, without_secrets
from graders_engine.models.retry import OnRetry, RetryPolicy, retry_after_s
from graders_engine.outcome import Cause

if TYPE_CHECKING:
    import aiohttp

MAX_ANSWER_BYTES = 64 << 20
"""An answer longer than this is an error, not a memory problem."""
CONNECT_S = 10.0
"""Time limit for connecting; a server that is there accepts far sooner."""
FIRST_CONNECT_S = 2.0
"""A port that never answered is checked after so long; then the request gets its whole time."""
MAX_KNOWN = 256
"""Pairs of an address and headers whose keys are remembered; endpoint graders name as many as they like."""
CONNECTION_REFUSED = "the connection was refused: does a server run there, on this port?"
NO_SUCH_HOST = "there is no host of this name (DNS)"
NOT_AN_ADDRESS = "this is not an address"
NOT_A_HEADER = "a header, or the address, holds what HTTP does not allow"
REPEATS_KEY = "the answer repeats a key in a form that cannot be taken out, so it is not used"


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
        secrets: keys that are masked in every answer, besides those in the headers and the address of its
            request.
        decode: reads the JSON of an answer; raises ValueError if it cannot be used.
        filters: whether an error may be a content filter's, which is no outage.
    """

    def __init__(
        self,
        retry: RetryPolicy | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        on_retry: OnRetry | None = None,
        *,
        proxy: str | None = None,
        secrets: Secrets | None = None,
        decode: Callable[[bytes], Any] = strict_json.decode,
        filters: bool = False,
    ) -> None:
        self.retry = retry or RetryPolicy()
        self.on_retry = on_retry
        self._secrets = Secrets() if secrets is None else secrets
        self._secrets_of = lru_cache(MAX_KNOWN)(partial(_secrets_of, self._secrets))
        self._max_answer_bytes = max_answer_bytes
        self._proxy = proxy
        if proxy is not None:
            self._secrets.add_address(proxy)
        self._decode = decode
        self._filters = filters
        self._ports = PortCheck()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def get(self, url: str, headers: Mapping[str, str]) -> Any:
        """Ask once for what an address holds; raises what `post` raises."""
        return await self._send("GET", url, headers, None)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Any:
        """Send a body, already JSON, once; gives the JSON of the answer.

        Raises:
            BackendBusy: another attempt may succeed.
            BackendRejected: the server says that the request is wrong.
            BackendFailure: the answer cannot be used. No message repeats a key.
        """
        return await self._send("POST", url, headers, body)

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Any:
        try:
            secrets, address = self._secrets_of(url, tuple(headers.items()))
        except ValueError as error:
            raise BackendFailure(f"The address {error}", cause="refused") from None
        answer = await self._ask(method, url, headers, body)
        # Raised here, not where it was caught: the library's exceptions hold addresses and headers.
        if isinstance(answer, _NoAnswer):
            raise answer.failure(address, secrets)
        try:
            text = secrets.mask(answer.text)
        except Unmaskable:
            if answer.status == 200:
                raise BackendFailure(f"{address}: {REPEATS_KEY}", status=200) from None
            text = f"({REPEATS_KEY})".encode()
        if answer.status != 200:
            raise failure_of(address, answer.status, answer.wait_s, text, filters=self._filters)
        try:
            return self._decode(text)
        except strict_json.RepeatedKey as error:
            reason = f"{error}: {shortened(text)}"
        except ValueError:
            raise unreadable(address, text) from None
        raise BackendFailure(f"{address}: {reason}", status=200)

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> _Answer | _NoAnswer:
        """What came; the port is checked where nothing ever came."""
        is_new = self._ports.is_new(url)
        connect_s = min(FIRST_CONNECT_S, CONNECT_S) if is_new else CONNECT_S
        answer = await self._attempt(method, url, headers, body, connect_s)
        if isinstance(answer, _NoAnswer) and answer.dropped and not is_new:
            # A server may close a kept connection just when it is used again: no fault of the request.
            answer = await self._attempt(method, url, headers, body, connect_s, keep=False)
        if isinstance(answer, _Answer):
            self._ports.answered(url)
            return answer
        if answer.check and not self._proxy and (mistake := await self._ports.mistake(url)):
            return _NoAnswer(mistake, retried=False, cause="refused")
        if answer.connecting and connect_s < CONNECT_S:
            return await self._attempt(method, url, headers, body, CONNECT_S)
        return answer

    async def _attempt(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        connect_s: float,
        *,
        keep: bool = True,
    ) -> _Answer | _NoAnswer:
        import aiohttp

        session = self._sessions.get(keep) or self._open(keep)
        limits = aiohttp.ClientTimeout(total=self.retry.attempt_s, sock_connect=connect_s)
        try:
            # Following a redirect would send the key to another host.
            async with session.request(
                method, url, data=body, headers=headers, allow_redirects=False, proxy=self._proxy,
                timeout=limits,
            ) as answer:  # fmt: skip
                text = await self._read(answer)
                if text is None:
                    reason = f"the answer is longer than {self._max_answer_bytes} bytes"
                    return _NoAnswer(reason, status=answer.status, retried=False)
                return _Answer(answer.status, retry_after_s(answer.headers), text)
        except aiohttp.ConnectionTimeoutError:
            reason = f"no connection within {connect_s:g} s"
            return _NoAnswer(reason, check=True, connecting=True, cause="unreachable")
        except TimeoutError:
            # A port with TLS does not keep a request without TLS waiting.
            reason = f"no answer within {self.retry.attempt_s:g} s"
            return _NoAnswer(reason, check=url.startswith("https:"), cause="unavailable")
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, UnicodeError):
            return _NoAnswer(NOT_AN_ADDRESS, retried=False, cause="refused")
        except aiohttp.ClientSSLError as error:  # a wrong certificate stays wrong
            return _NoAnswer(_reason(error), retried=False, check=True, cause="refused")
        except aiohttp.ClientConnectorError as error:
            return _NoAnswer(_no_connection(error), check=True, cause="unreachable")
        except (aiohttp.ClientError, ConnectionError) as error:
            payload = isinstance(error, aiohttp.ClientPayloadError)  # something came then
            dropped = isinstance(
                error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | ConnectionError
            )
            return _NoAnswer(
                _reason(error), check=not payload, dropped=dropped, cause="unavailable"
            )
        except ValueError:
            return _NoAnswer(NOT_A_HEADER, retried=False, cause="refused")

    def _open(self, keep: bool) -> aiohttp.ClientSession:
        """A session whose connections are kept for further requests, or are used once."""
        import aiohttp

        class NoCookies(aiohttp.DummyCookieJar):
            """Reads none: what cannot be read would be logged, and may repeat a key."""

            def update_cookies_from_headers(self, headers: Any, response_url: Any) -> None: ...

        session = self._sessions[keep] = aiohttp.ClientSession(
            # The policies bound the number of requests; a second limit here would only hide theirs.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, force_close=not keep),
            headers={"Content-Type": "application/json"},
            # Cookies would make one row's request depend on another's answer.
            cookie_jar=NoCookies(),
        )
        # Of a client that nobody closes, the connections end with it.
        weakref.finalize(self, _abandon, asyncio.get_running_loop(), session, os.getpid())
        return session

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes | None:
        """The whole text; None if it is too long."""
        text = bytearray()
        async for chunk in answer.content.iter_any():
            text += chunk
            if len(text) > self._max_answer_bytes:
                return None
        return bytes(text)

    async def close(self) -> None:
        """Close the connections."""
        await self._ports.close()
        while self._sessions:
            await self._sessions.popitem()[1].close()


def _abandon(loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession, process: int) -> None:
    """Close a session in its own loop, from any thread; a forked process leaves it alone."""
    if os.getpid() == process and not session.closed and not loop.is_closed():
        with suppress(RuntimeError):  # it is closed just now
            loop.call_soon_threadsafe(lambda: loop.create_task(session.close()))


def _secrets_of(
    more: Secrets, url: str, headers: tuple[tuple[str, str], ...]
) -> tuple[Secrets, str]:
    """The keys of a request, and more; and its address without them.

    Raises:
        ValueError: the address cannot be read.
    """
    secrets = Secrets(more)
    secrets.add_address(url)
    secrets.add_values(dict(headers))
    return secrets, secrets.mask_text(without_secrets(url))


@dataclass(frozen=True, slots=True)
class _Answer:
    """A whole answer, as it came: its text may repeat a key.

    Attributes:
        status: of HTTP.
        wait_s: seconds to wait before another request, where the server says so.
        text: the body.
    """

    status: int
    wait_s: float | None
    text: bytes


@dataclass(frozen=True, slots=True)
class _NoAnswer:
    """Why there is no answer.

    Attributes:
        reason: behind the address and a colon; it may repeat a key.
        status: of HTTP, if there was one.
        retried: whether another attempt may succeed.
        check: whether the port may speak the other protocol.
        connecting: whether there was no connection within the time limit.
        dropped: whether the connection ended early, be it before or amid an answer.
        cause: what kind of failure it is.
    """

    reason: str
    status: int | None = None
    retried: bool = True
    check: bool = False
    connecting: bool = False
    dropped: bool = False
    cause: Cause = ""

    def failure(self, address: str, secrets: Secrets) -> BackendFailure:
        """The exception for it."""
        kind = BackendBusy if self.retried else BackendFailure
        reason = f"{address}: {secrets.mask_text(self.reason)}"
        return kind(reason, status=self.status, cause=self.cause)


def _reason(error: Exception) -> str:
    """What happened, without the address, which the library repeats with its query."""
    import aiohttp

    text = str(error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        text = f"the proxy answered HTTP {error.status}"
    elif isinstance(error, aiohttp.ClientResponseError):
        text = "the answer is not HTTP"
    elif isinstance(error, aiohttp.ClientOSError) and not isinstance(
        error, aiohttp.ClientConnectorError
    ):
        text = os.strerror(error.errno) if error.errno else "the connection ended"
    return f"{type(error).__name__}: {text}"


def _no_connection(error: aiohttp.ClientConnectorError) -> str:
    """Why there is no connection; of a host with several addresses, each was tried."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return NO_SUCH_HOST
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"no connection to the proxy: {error.os_error.strerror or error.os_error}"
    refused = errno.ECONNREFUSED
    if error.os_error.errno == refused or f"[Errno {refused}]" in str(error.os_error):
        return CONNECTION_REFUSED
    return f"no connection: {error.os_error.strerror or error.os_error}"
