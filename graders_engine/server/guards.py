"""What a request's headers must show before the request is handled: the host name, the key, a JSON body."""

from __future__ import annotations

import base64
import hmac

from graders_engine.errors import Mistake
from graders_engine.server.exchange import JSON, Exchange
from graders_engine.server.responses import Refused
from graders_engine.server.routes import Body
from graders_engine.server.settings import ServerSettings

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""The names of a server that listens on loopback."""


class RequestGuard:
    """Checks the headers of requests.

    Args:
        settings: the key, and the host names that requests may use.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._key = None if settings.api_key is None else settings.api_key.encode()
        self._hosts = settings.hosts

    def check_host(self, exchange: Exchange) -> None:
        """Refuse a request to a host name that is not this server's.

        Without this, a page in a browser could reach a server on loopback under a name of its choice (DNS
        rebinding). Clients that send no `Host`, as HTTP/1.0 allows, are not browsers, and pass.

        Raises:
            Refused: the `Host` header has another name.
        """
        if self._hosts is None:
            return
        host = exchange.headers.get(b"host", b"").decode("latin-1").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name and name not in self._hosts:
            message = (
                "This server has no API key, so it answers to loopback names only. "
                "Use a loopback host name, or start the server with --api-key."
            )
            raise Refused(403, Mistake(message, code="unknown_host"))

    def check_key(self, exchange: Exchange) -> None:
        """Refuse a request without the key, unless its route is open. The time does not depend on the key.

        Raises:
            Refused: the key is wrong or missing.
        """
        if self._key is None or not exchange.route.needs_key:
            return
        given = exchange.headers.get(b"authorization", b"")
        if not hmac.compare_digest(_key_in(given), self._key):
            message = (
                "Incorrect API key provided."
                if given
                else "You didn't provide an API key: send it as `Authorization: Bearer KEY`."
            )
            raise Refused(
                401, Mistake(message, code="invalid_api_key"), {"www-authenticate": "Bearer"}
            )

    def check_form(self, exchange: Exchange) -> None:
        """Refuse a body that does not say that it is JSON, where the route wants JSON.

        A page in a browser can send any other type without asking the server first.

        Raises:
            Refused: the body has another type, none, or an encoding.
        """
        if exchange.route.body is not Body.JSON:
            return
        headers = exchange.headers
        type_ = headers.get(b"content-type", b"")
        if type_ != JSON and type_.partition(b";")[0].strip().lower() != JSON:
            message = "The body must be JSON: send it with `Content-Type: application/json`."
            raise Refused(415, Mistake(message, code="unsupported_media_type"))
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            message = "The body must not be encoded: send it without `Content-Encoding`."
            raise Refused(415, Mistake(message, code="unsupported_encoding"))


def _key_in(authorization: bytes) -> bytes:
    """The key in a header: `Bearer KEY`, or the password of `Basic`.

    Trainers that can be given an address and no header send the latter for `http://any:KEY@host`.
    """
    scheme, _, value = authorization.partition(b" ")
    if scheme != b"Basic":
        return value if scheme == b"Bearer" else b""
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2]
    except ValueError:
        return b""
