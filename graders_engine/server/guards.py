"""Who may come in: the key, the name the server is called by, and the form of a body."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from graders_engine.errors import Mistake
from graders_engine.server.answers import Refused
from graders_engine.server.settings import ServerSettings

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""How a server on loopback is called."""

_JSON = b"application/json"


class RequestGuard:
    """Looks at a request's headers before anything else is done.

    Args:
        settings: the key, and the names that a request may call this server by.
    """

    def __init__(self, settings: ServerSettings) -> None:
        key = settings.api_key
        self._bearer = None if key is None else b"Bearer " + key.encode()
        self._hosts = settings.hosts

    def check_host(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuse a request for a name that is not this server's.

        Raises:
            Refused: a page in a browser may have brought it here under a name of its own.
        """
        if self._hosts is None:
            return
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name and name not in self._hosts:
            message = (
                "This server has no API key, so it answers to loopback names only. "
                "Call it by its address, or start it with --api-key."
            )
            raise Refused(403, Mistake(message, code="unknown_host"))

    def check_key(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuse a request without the key.

        Raises:
            Refused: there is another key, or none. How long this takes does not depend on the key.
        """
        if self._bearer is None:
            return
        given = headers.get(b"authorization", b"")
        if not hmac.compare_digest(given, self._bearer):
            message = (
                "Incorrect API key provided."
                if given
                else "You didn't provide an API key: send it as `Authorization: Bearer KEY`."
            )
            raise Refused(
                401, Mistake(message, code="invalid_api_key"), {"www-authenticate": "Bearer"}
            )

    def check_form(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuse a body that does not say it is JSON.

        A page in a browser can send any other body without asking first.

        Raises:
            Refused: it says something else, or nothing.
        """
        type_ = headers.get(b"content-type", b"")
        if type_ != _JSON and type_.partition(b";")[0].strip().lower() != _JSON:
            message = "The body must be JSON: send it with `Content-Type: application/json`."
            raise Refused(415, Mistake(message, code="unsupported_media_type"))
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            message = "The body must be sent as it is: a `Content-Encoding` is not understood."
            raise Refused(415, Mistake(message, code="unsupported_encoding"))
