"""Whose a request is: a key belongs to a project."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from graders_engine.server.exchange import DEFAULT_PROJECT


class Keys:
    """The keys that a server takes. They are in memory as digests only.

    Args:
        api_key: of the project `default`; None without one.
        projects: the keys of other projects, by their names.
    """

    def __init__(self, api_key: str | None, projects: Mapping[str, str]) -> None:
        keys = dict(projects) if api_key is None else {DEFAULT_PROJECT: api_key, **projects}
        self._digests = [(_digest(key.encode()), project) for project, key in keys.items()]

    @property
    def any(self) -> bool:
        """Whether a key is asked for at all."""
        return bool(self._digests)

    def project_of(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Whose the key in a request's headers is; None for a wrong one. The time does not depend on the key.

        Azure's clients send it as `api-key`; the two headers are equals.
        """
        given = [_digest(_key_in(headers[b"authorization"]))] if b"authorization" in headers else []
        if b"api-key" in headers:
            given.append(_digest(headers[b"api-key"]))
        found = None
        for candidate in given:
            for digest, project in self._digests:
                if hmac.compare_digest(candidate, digest):
                    found = found or project
        return found


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


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
