"""JSON over HTTP, one request at a time. `models.endpoint` adds pace and retries.

Keys are taken out of all that comes back here, before anything else reads it.
aiohttp is imported on first use.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol

from graders_engine.errors import BackendFailure
from graders_engine.language import strict_json
from graders_engine.models.error_body import failure_of, shortened, unreadable
from graders_engine.models.network.no_answer import NoAnswer, Sent, no_answer_after
from graders_engine.models.network.port_check import PortCheck
from graders_engine.models.network.proxies import Proxy, proxy_for
from graders_engine.models.redaction import Secrets, Unmaskable, without_secrets
from graders_engine.models.retry import OnRetry, RetryPolicy, retry_after_s

if TYPE_CHECKING:
    import aiohttp

MAX_ANSWER_BYTES = 64 << 20
"""An answer longer than this is an error, not a memory problem."""
CONNECT_S = 10.0
"""Time limit for connecting; a server that is there accepts far sooner."""
FIRST_CONNECT_S = 2.0
"""A port that never answered is checked after so long; then the request gets its whole time."""
DROPPED_S = 1.0
"""A kept connection that was closed shows it within a round trip; later it is the request that is lost."""
MAX_KNOWN = 256
"""Pairs of an address and headers whose keys are remembered; endpoint graders name as many as they like."""
REPEATS_KEY = "the answer repeats a key in a form that cannot be taken out, so it is not used"


class JsonClient(Protocol):
    """Sends JSON to addresses and reads JSON from them."""

    @property
    def retry(self) -> RetryPolicy:
        """How those who use the client try."""
        ...

    @property
    def on_retry(self) -> OnRetry | None:
        """Called by those who use the client before each further attempt."""
        ...

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

    Proxies are those of the environment, looked up once for each address.

    Args:
        retry: how long one attempt may take; and how often those who use this client try.
        max_answer_bytes: an answer longer than this is an error.
        on_retry: called by those who use this client before each further attempt.
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
        secrets: Secrets | None = None,
        decode: Callable[[bytes], Any] = strict_json.decode,
        filters: bool = False,
    ) -> None:
        self.retry = retry or RetryPolicy()
        self.on_retry = on_retry
        self._secrets = Secrets() if secrets is None else secrets
        self._known_of = lru_cache(MAX_KNOWN)(partial(_known_of, self._secrets))
        self._max_answer_bytes = max_answer_bytes
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
            secrets, address, proxy = self._known_of(url, tuple(headers.items()))
        except ValueError as error:
            raise BackendFailure(str(error), cause="refused") from None
        answer = await self._ask(Sent(method, url, headers, body, proxy))
        # Raised here, not where it was caught: the library's exceptions hold addresses and headers.
        if isinstance(answer, NoAnswer):
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

    async def _ask(self, sent: Sent) -> _Answer | NoAnswer:
        """What came; the port is checked where nothing ever came."""
        url = sent.url
        is_new = self._ports.is_new(url)
        connect_s = min(FIRST_CONNECT_S, CONNECT_S) if is_new else CONNECT_S
        clock = asyncio.get_running_loop().time
        began = clock()
        answer = await self._attempt(sent, connect_s)
        # A server may close a kept connection just when it is used again: no fault of the request.
        # What is lost later, or amid an answer, may have been paid for: that counts as an attempt.
        if (
            isinstance(answer, NoAnswer)
            and answer.dropped
            and not is_new
            and clock() - began < DROPPED_S
            and self._sessions  # not closed meanwhile
        ):
            answer = await self._attempt(sent, connect_s, keep=False)
        if isinstance(answer, _Answer):
            self._ports.answered(url)
            return answer
        if answer.check and not sent.proxy and (mistake := await self._ports.mistake(url)):
            return NoAnswer(mistake, retried=False, cause="refused")
        if answer.connecting and connect_s < CONNECT_S:
            return await self._attempt(sent, CONNECT_S)
        return answer

    async def _attempt(
        self, sent: Sent, connect_s: float, *, keep: bool = True
    ) -> _Answer | NoAnswer:
        import aiohttp

        session = self._sessions.get(keep) or self._open(keep)
        limits = aiohttp.ClientTimeout(total=self.retry.attempt_s, sock_connect=connect_s)
        began = False
        try:
            # Following a redirect would send the key to another host.
            async with session.request(
                sent.method, sent.url, data=sent.body, headers=sent.headers, allow_redirects=False,
                proxy=sent.proxy.url if sent.proxy else None, timeout=limits,
            ) as answer:  # fmt: skip
                began = True
                text = await self._read(answer)
                if text is None:
                    reason = f"the answer is longer than {self._max_answer_bytes} bytes"
                    return NoAnswer(reason, status=answer.status, retried=False)
                if 300 <= answer.status < 400:
                    text = answer.headers.get("Location", "").partition("?")[0].encode()
                return _Answer(answer.status, retry_after_s(answer.headers), text)
        except (aiohttp.ClientError, TimeoutError, ConnectionError, ValueError) as error:
            return no_answer_after(
                error, sent, connect_s=connect_s, attempt_s=self.retry.attempt_s, began=began
            )

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
    if os.getpid() != process:
        # One reference more than there are: dropped, whenever that is, it would say that it is not closed.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
    elif not session.closed and not loop.is_closed():
        with suppress(RuntimeError):  # it is closed just now
            loop.call_soon_threadsafe(lambda: loop.create_task(session.close()))


def _known_of(
    more: Secrets, url: str, headers: tuple[tuple[str, str], ...]
) -> tuple[Secrets, str, Proxy | None]:
    """The keys of a request, and more; its address without them; and the proxy for it.

    Raises:
        ValueError: the address, or the proxy's, cannot be used.
    """
    secrets = Secrets(more)
    try:
        secrets.add_address(url)
    except ValueError as error:
        raise ValueError(f"The address {error}") from None
    secrets.add_values(dict(headers))
    address = secrets.mask_text(without_secrets(url))
    try:
        proxy = proxy_for(url)
    except ValueError as error:
        raise ValueError(f"{address}: {error}") from None
    if proxy is not None:
        secrets.add_address(proxy.url)
    return secrets, address, proxy


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
