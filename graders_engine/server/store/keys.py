"""Whose a request is: a key belongs to a project."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from graders_engine.storage.ids import DEFAULT_PROJECT


class Keys:
    """The keys that a server takes. They are in memory as digests only.

    Args:
        api_key: of the project `default`; None without one.
        projects: the keys of other projects, by their names.
        admin_key: of the administrator, who has the project `default` besides; None without one.
    """

    def __init__(
        self, api_key: str | None, projects: Mapping[str, str], admin_key: str | None = None
    ) -> None:
        keys = dict(projects) if api_key is None else {DEFAULT_PROJECT: api_key, **projects}
        self._digests = [(_digest(key.encode()), project) for project, key in keys.items()]
        self._admin = None if admin_key is None else _digest(admin_key.encode())

    @property
    def any(self) -> bool:
        """Whether a key is asked for at all."""
        return bool(self._digests)

    def project_of(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Whose the key in a request's headers is; None for a wrong one. The time does not depend on the key.

        Azure's clients send it as `api-key`; the two headers are equals.
        """
        found = None
        for candidate in _given(headers):
            for digest, project in self._digests:
                if hmac.compare_digest(candidate, digest):
                    found = found or project
        if self._admin is not None and self.is_admin(headers):
            found = found or DEFAULT_PROJECT
        return found

    def is_admin(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request carries the administrator's key. The time does not depend on the key."""
        found = False
        for candidate in _given(headers) if self._admin is not None else ():
            found |= hmac.compare_digest(candidate, self._admin or b"")
        return found


def _given(headers: Mapping[bytes, bytes]) -> list[bytes]:
    """The digests of the keys in a request's headers."""
    given = [_digest(_key_in(headers[b"authorization"]))] if b"authorization" in headers else []
    if b"api-key" in headers:
        given.append(_digest(headers[b"api-key"]))
    return given


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
