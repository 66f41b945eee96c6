"""The settings of a server, with their defaults."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MEBIBYTE = 1 << 20
STORE_THREADS = 8
"""Calls of the store at a time; each waits for the disk, or for another process that writes."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How much a server takes on, and from whom.

    Attributes:
        api_key: what `Authorization: Bearer` or `api-key` must carry; None when no such key is needed.
        admin_key: what requests must carry to share models with other projects; None without such a key.
        is_admins: whether, without an admin key, all requests are those of the server's one user.
        hosts: the names that a request's `Host` may have; None for any name. A server without a key accepts
            loopback names only, so that no page in a browser can reach it under another name (DNS rebinding).
        max_body_bytes: longest body of a request.
        max_row_bytes: longest item together with its sample, as JSON.
        max_queue: requests that may wait beyond those that are graded; one more is answered 429.
        deadline_s: time limit for one request. The SDKs give up after 600 s, and send it again.
        read_timeout_s: longest time a client may take to send a request, or to continue reading a response.
        cache_bytes: bound on the JSON of the compiled graders that are kept in memory.
        projects: the keys of projects besides `default`, whose key is `api_key`, by their names.
        jobs: the folder of files and evals; None for a server that keeps none.
        max_file_bytes: longest file that can be uploaded.
        max_store_bytes: all files together.
        log_bodies: whether requests and responses are logged whole; they hold users' data.
    """

    api_key: str | None = field(default=None, repr=False)
    admin_key: str | None = field(default=None, repr=False)
    is_admins: bool = False
    hosts: Container[str] | None = None
    max_body_bytes: int = 32 * MEBIBYTE
    max_row_bytes: int = 4 * MEBIBYTE
    max_queue: int = 1024
    deadline_s: float = 540.0
    read_timeout_s: float = 60.0
    cache_bytes: int = 16 * MEBIBYTE
    projects: Mapping[str, str] = field(default_factory=dict, repr=False)
    jobs: Path | None = None
    max_file_bytes: int = 512 * MEBIBYTE
    max_store_bytes: int = 100 * 1024 * MEBIBYTE
    log_bodies: bool = False
