"""Why a request got no answer."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graders_engine.errors import BackendBusy, BackendFailure
from graders_engine.models.network.proxies import Proxy
from graders_engine.models.redaction import Secrets
from graders_engine.outcome import Cause

if TYPE_CHECKING:
    import aiohttp

PROXY_REFUSES = frozenset({401, 403, 407})
"""Answers of a proxy that stay the same: it wants a password, or does not allow the host."""
CONNECTION_REFUSED = "the connection was refused: does a server run there, on this port?"
NO_SUCH_HOST = "there is no host of this name (DNS)"
NOT_AN_ADDRESS = "this is not an address"
NOT_A_HEADER = "a header, or the address, holds what HTTP does not allow"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it is sent, and the proxy it goes through."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    proxy: Proxy | None

    @property
    def by_proxy(self) -> str:
        """What messages say of the proxy."""
        return self.proxy.label if self.proxy else "the proxy"


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why there is no answer.

    Attributes:
        reason: behind the address and a colon; it may repeat a key.
        status: of HTTP, if there was one.
        retried: whether another attempt may succeed.
        check: whether the port may speak the other protocol.
        connecting: whether there was no connection within the time limit.
        dropped: whether the connection ended before anything of an answer came.
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


def no_answer_after(
    error: Exception, sent: Sent, *, connect_s: float, attempt_s: float, began: bool
) -> NoAnswer:
    """What an exception says of a request.

    Args:
        error: of aiohttp, or what it lets through of its own causes.
        sent: the request.
        connect_s: the time limit for connecting.
        attempt_s: the time limit for all of it.
        began: whether an answer had begun.
    """
    import aiohttp

    if isinstance(error, aiohttp.ConnectionTimeoutError):
        reason = f"no connection within {connect_s:g} s"
        if sent.proxy:
            reason += f", through {sent.by_proxy}"
        return NoAnswer(reason, check=True, connecting=True, cause="unreachable")
    if isinstance(error, TimeoutError):
        # A port with TLS does not keep a request without TLS waiting.
        reason = f"no answer within {attempt_s:g} s"
        return NoAnswer(reason, check=sent.url.startswith("https:"), cause="unavailable")
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError | UnicodeError):
        return NoAnswer(NOT_AN_ADDRESS, retried=False, cause="refused")
    if isinstance(error, aiohttp.ClientSSLError):  # a wrong certificate stays wrong
        return NoAnswer(_reason(error), retried=False, check=True, cause="refused")
    if isinstance(error, aiohttp.ClientHttpProxyError | aiohttp.ClientProxyConnectionError):
        return _of_proxy(error, sent)
    if isinstance(error, aiohttp.ClientConnectorError):
        return NoAnswer(_no_connection(error), check=True, cause="unreachable")
    if not isinstance(error, aiohttp.ClientError | ConnectionError):
        return NoAnswer(NOT_A_HEADER, retried=False, cause="refused")
    payload = isinstance(error, aiohttp.ClientPayloadError)  # something came then
    lost = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError)
    dropped = isinstance(error, lost) and not began
    return NoAnswer(_reason(error), check=not payload, dropped=dropped, cause="unavailable")


def _of_proxy(
    error: aiohttp.ClientHttpProxyError | aiohttp.ClientProxyConnectionError, sent: Sent
) -> NoAnswer:
    import aiohttp

    if isinstance(error, aiohttp.ClientProxyConnectionError):
        reason = f"no connection to {sent.by_proxy}: {_os_reason(error)}"
        return NoAnswer(reason, cause="unreachable")
    reason = f"{sent.by_proxy} answered HTTP {error.status}"
    if error.status in PROXY_REFUSES:
        return NoAnswer(reason, retried=False, cause="refused")
    return NoAnswer(reason, cause="unavailable")


def _reason(error: Exception) -> str:
    """What happened, without the address, which the library repeats with its query."""
    import aiohttp

    text = str(error)
    if isinstance(error, aiohttp.ClientResponseError):
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
    refused = errno.ECONNREFUSED
    if error.os_error.errno == refused or f"[Errno {refused}]" in str(error.os_error):
        return CONNECTION_REFUSED
    return f"no connection: {_os_reason(error)}"


def _os_reason(error: aiohttp.ClientConnectorError) -> str:
    return error.os_error.strerror or str(error.os_error)
