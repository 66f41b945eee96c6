"""Creations that a client repeats because it got no answer: the object that exists is the answer."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from graders_engine.server.exchange import Exchange

REPEATED_WITHIN_S = 600
"""How long after its creation an object is the answer to the same request, sent again: the SDKs' time-out."""

T = TypeVar("T")


class Creations:
    """Makes objects, one at a time of the same request.

    A client whose connection breaks sends its request again, with `x-stainless-retry-count`, while the first
    one may still be in progress.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    def make(self, digest: str, find: Callable[[], T | None], make: Callable[[], T]) -> T:
        """The object of a request: the one that is found, or else a new one.

        Args:
            digest: of the request.
            find: looks for an object that the same request has made before.
            make: makes one.
        """
        with self._alone(digest):
            found = find()
            return make() if found is None else found

    @contextmanager
    def _alone(self, digest: str) -> Iterator[None]:
        with self._guard:
            lock, users = self._locks.get(digest, (threading.Lock(), 0))
            self._locks[digest] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                users = self._locks[digest][1] - 1
                if users:
                    self._locks[digest] = lock, users
                else:
                    del self._locks[digest]


def digest_of(exchange: Exchange, project: str, owner: str = "") -> str:
    """What two requests have in common that are the same one, sent again."""
    digest = hashlib.sha256(exchange.body)
    digest.update(b"\0".join((b"", project.encode(), owner.encode())))
    return digest.hexdigest()


def is_repeated(exchange: Exchange) -> bool:
    """Whether a client says that it sent this request before."""
    count = exchange.headers.get(b"x-stainless-retry-count", b"")
    return count.isdigit() and int(count) >= 1
