"""What a request's headers must show before the request is handled: the host name, the key, a JSON body."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from graders_engine.errors import Mistake
from graders_engine.server.exchange import JSON, Exchange
from graders_engine.server.responses import Refused
from graders_engine.server.routes import Body
from graders_engine.server.settings import ServerSettings
from graders_engine.server.store.keys import Keys

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""The names of a server that listens on loopback."""


def mark_azure(exchange: Exchange) -> None:
    """Give the answer to Azure's clients the id that they look for."""
    if b"api-key" in exchange.headers:
        exchange.response_headers.append((b"apim-request-id", str(uuid.uuid4()).encode()))


class RequestGuard:
    """Checks the headers of requests.

    Args:
        settings: the keys, and the host names that requests may use.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._keys = Keys(settings.api_key, settings.projects, settings.admin_key)
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
                "This server does not answer to this host name: use the address that it printed."
                if self._keys.any
                else "This server has no API key, so it answers to loopback names only. "
                "Use a loopback host name, or start the server with --api-key."
            )
            raise Refused(403, Mistake(message, code="unknown_host"))

    def check_key(self, exchange: Exchange) -> None:
        """Refuse a request without a key, unless its route is open; note whose it is.

        Raises:
            Refused: the key is wrong or missing.
        """
        if not self._keys.any or not exchange.route.needs_key:
            return
        headers = exchange.headers
        project = self._keys.project_of(headers)
        if project is None:
            message = (
                "Incorrect API key provided."
                if headers.get(b"authorization") or headers.get(b"api-key")
                else "You didn't provide an API key: send it as `Authorization: Bearer KEY`."
            )
            challenge = 'Basic realm="Graders Engine"' if exchange.route.browsed else "Bearer"
            raise Refused(
                401, Mistake(message, code="invalid_api_key"), {"www-authenticate": challenge}
            )
        exchange.project = project

    def check_form(self, exchange: Exchange) -> None:
        """Refuse a body that does not say that it is JSON, where the route wants JSON.

        A page in a browser can send any other type without asking the server first. Where the route takes
        another type, or no body, a page of another site may send it only with a key that it has itself: a
        browser adds the one that was entered for a report.

        Raises:
            Refused: the body has another type, none, or an encoding; or it comes from another site's page.
        """
        body = exchange.route.body
        headers = exchange.headers
        if body is Body.STREAM or (body is Body.OPTIONAL and _is_bare(headers)):
            if not self._keys.any or _is_remembered(headers):
                _refuse_other_sites(exchange)
            return
        if body is Body.NONE:
            return
        type_ = headers.get(b"content-type", b"")
        if type_ != JSON and type_.partition(b";")[0].strip().lower() != JSON:
            message = "The body must be JSON: send it with `Content-Type: application/json`."
            raise Refused(415, Mistake(message, code="unsupported_media_type"))
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            message = "The body must not be encoded: send it without `Content-Encoding`."
            raise Refused(415, Mistake(message, code="unsupported_encoding"))


def _is_bare(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request has no body, and says of none what it is."""
    sized = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
    return not sized and b"content-type" not in headers


def _is_remembered(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser may have added the key: it does so as a password."""
    return headers.get(b"authorization", b"")[:6].lower() == b"basic "


def _refuse_other_sites(exchange: Exchange) -> None:
    """Refuse what a browser sends for a page of another site.

    Raises:
        Refused: its headers say that it is one.
    """
    headers = exchange.headers
    site, origin = headers.get(b"sec-fetch-site", b"none"), headers.get(b"origin")
    own = exchange.scope["scheme"].encode() + b"://" + headers.get(b"host", b"")
    if site not in (b"same-origin", b"none") or origin not in (None, own):
        message = "A page of another site may not send this: send it from a program."
        raise Refused(403, Mistake(message, code="cross_origin_request"))
