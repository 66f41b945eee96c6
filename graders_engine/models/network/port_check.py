"""Whether the port of an address speaks the other protocol: TLS or none."""

from __future__ import annotations

import asyncio
import re
import ssl
from functools import lru_cache
from urllib.parse import urlsplit

CHECK_S = 1.0
"""Time limit for a check."""
MAX_KNOWN = 1000
"""Addresses that are remembered; graders name as many as they like."""
_HTTP = re.compile(rb"HTTP/1\.[01] (?!400 )\d{3}\b")
"""What a server without TLS answers. One with TLS may say 400 in plain HTTP: nothing follows from that."""


class PortCheck:
    """Finds addresses with `http` for `https`, or the reverse. Use it from one event loop.

    Each host and port is asked once, without a key.
    """

    def __init__(self) -> None:
        self._answered: set[str] = set()
        self._checks: dict[str, asyncio.Future[str]] = {}

    def answered(self, url: str) -> None:
        """Note that a request got an answer, so that the protocol is right."""
        origin = _origin(url)
        if origin not in self._answered:
            if len(self._answered) >= MAX_KNOWN:
                self._answered.clear()
            self._answered.add(origin)

    def is_new(self, url: str) -> bool:
        """Whether nothing was ever answered there."""
        return _origin(url) not in self._answered

    async def mistake(self, url: str) -> str:
        """After a request without an answer: what is wrong with the address; empty if the protocol is not."""
        origin = _origin(url)
        if origin in self._answered:
            return ""
        if origin not in self._checks:
            if len(self._checks) >= MAX_KNOWN:
                self._checks.clear()
            self._checks[origin] = asyncio.ensure_future(_check(url))
        return await asyncio.shield(self._checks[origin])

    async def close(self) -> None:
        """End the checks that are in progress."""
        checks, self._checks = list(self._checks.values()), {}
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)


@lru_cache(maxsize=MAX_KNOWN)
def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


async def _check(url: str) -> str:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    try:
        async with asyncio.timeout(CHECK_S):
            if parts.scheme == "https":
                if await _speaks_http(host, port or 443):
                    return "this port speaks HTTP without TLS (SSL): write http:// in place of https://"
            elif await _speaks_tls(host, port or 80):
                return "this port speaks TLS: write https:// in place of http://"
    except (OSError, EOFError, ValueError):  # nothing is known then; a time-out is an OSError
        pass
    return ""


async def _speaks_http(host: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return _HTTP.match(await reader.readexactly(13)) is not None
    finally:
        writer.close()


async def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # only the protocol counts; nothing is sent
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    writer.transport.abort()
    return True
