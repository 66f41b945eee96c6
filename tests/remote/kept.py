"""A store of this process whose scheme is `kept`, with all that a store of objects does and no network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

SCHEME = "kept"


class Kept(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    protocol = SCHEME
    store: dict[str, Any] = {}  # noqa: RUF012 - as in fsspec, it is that of all
    pseudo_dirs = [""]  # noqa: RUF012 - as above

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = super()._strip_protocol(path.removeprefix(f"{SCHEME}://"))
        return stripped


@contextmanager
def kept_store() -> Iterator[Any]:
    """The store; it is empty afterwards."""
    fsspec.register_implementation(SCHEME, f"{__name__}.{Kept.__name__}", clobber=True)
    files = fsspec.filesystem(SCHEME)
    try:
        yield files
    finally:
        files.store.clear()
        files.pseudo_dirs[:] = [""]
