"""Bounds on the memory that the bodies of requests take."""

from __future__ import annotations

from graders_engine.errors import Mistake
from graders_engine.server.exchange import Exchange
from graders_engine.server.responses import Refused


class BodyBudget:
    """Reads bodies, and bounds the memory of all of them together.

    A body that arrives in one piece is short, and does not count.

    Args:
        max_bytes: longest body of one request.
        max_total_bytes: all bodies together, from their first piece until their requests are answered.
    """

    def __init__(self, max_bytes: int, max_total_bytes: int) -> None:
        self._max, self._max_total, self._reserved = max_bytes, max_total_bytes, 0

    async def read(self, exchange: Exchange) -> None:
        """Read a request's body to its end.

        Raises:
            Refused: it is too long, or the server has too many of them in memory.
            ClientGone: the client closed the connection before the body's end.
        """
        declared = exchange.headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max:
            raise self._too_long()
        pieces: list[bytes] = []
        size = 0
        more = True
        while more:
            piece, more = await exchange.read_chunk()
            pieces.append(piece)
            size += len(piece)
            if size > self._max:
                raise self._too_long()
            if more:
                self._reserve(exchange, len(piece))
        exchange.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _reserve(self, exchange: Exchange, size: int) -> None:
        exchange.reserved_bytes += size
        self._reserved += size
        if self._reserved > self._max_total:
            message = "Too many large request bodies in memory; retry later."
            raise Refused(429, Mistake(message, code="busy"), {"retry-after": "1"})

    def release(self, exchange: Exchange) -> None:
        """Give back what a request's body has reserved."""
        self._reserved -= exchange.reserved_bytes
        exchange.reserved_bytes = 0

    def _too_long(self) -> Refused:
        message = (
            f"Invalid body: it is longer than {self._max} bytes, the most that this server takes."
        )
        return Refused(413, Mistake(message, code="body_too_large"))
