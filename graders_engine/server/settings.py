"""The settings of a server, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How much a server takes on, and from whom.

    Attributes:
        api_key: what `Authorization: Bearer` must carry; None when no key is needed.
        hosts: the names that a request's `Host` may have; None for any name. A server without a key accepts
            loopback names only, so that no page in a browser can reach it under another name (DNS rebinding).
        max_body_bytes: longest body of a request.
        max_row_bytes: longest item together with its sample, as JSON.
        max_queue: requests that may wait beyond those that are graded; one more is answered 429.
        deadline_s: time limit for one request. The SDKs give up after 600 s, and send it again.
        read_timeout_s: longest time a client may take to send a request, or to continue reading a response.
        cache_bytes: bound on the JSON of the compiled graders that are kept in memory.
        log_bodies: whether requests and responses are logged whole; they hold users' data.
    """

    api_key: str | None = field(default=None, repr=False)
    hosts: frozenset[str] | None = None
    max_body_bytes: int = 32 * MEBIBYTE
    max_row_bytes: int = 4 * MEBIBYTE
    max_queue: int = 1024
    deadline_s: float = 540.0
    read_timeout_s: float = 60.0
    cache_bytes: int = 16 * MEBIBYTE
    log_bodies: bool = False
