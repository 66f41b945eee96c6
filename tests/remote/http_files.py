"""A server with files, whose answers are as a test wants them."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Served:
    """What a server gives.

    Attributes:
        files: by path.
        tagged: whether it tells one version of a file from another.
        cut: after how many bytes of a file the connection is lost; None for never.
        stalled: after half of a file, it waits until this is set; None for no wait.
        claimed: the length that it says a file has; 0 for the right one.
        heads: whether it answers HEAD, which a signature for GET does not allow.
        status: of every answer, if it is not 200 or 404.
        user: what `Authorization: Basic` must say; empty for no need of it.
        query: what must stand behind `?`.
        length: whether it says how long a file is.
        asked: the methods and paths of the requests so far.
        moved: where each file is said to be instead; empty for nowhere.
        port: of the server.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    tagged: bool = True
    cut: int | None = None
    stalled: threading.Event | None = None
    claimed: int = 0
    heads: bool = True
    status: int = 0
    user: str = ""
    query: str = ""
    length: bool = True
    asked: list[str] = field(default_factory=list)
    moved: str = ""
    port: int = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    served: Served
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        parts = urlsplit(self.path)
        self.served.asked.append(f"{self.command} {parts.path}")
        content = self.served.files.get(parts.path)
        refused = 0 if with_body or self.served.heads else 403
        status = self.served.status or refused or self._status(content, parts.query)
        body = content if content is not None and status == 200 else b"no"
        if self.served.moved:
            self.send_response(302)
            self.send_header("Location", self.served.moved)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(status)
        self.close_connection = not self.served.length or self.served.cut is not None
        if self.served.length:
            self.send_header("Content-Length", str(self.served.claimed or len(body)))
        if self.served.tagged:
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()[:16]}"')
        self.end_headers()
        if with_body:
            self.wfile.write(
                body[: self.served.cut] if self.served.stalled is None else body[: len(body) // 2]
            )
            if self.served.stalled is not None:
                self.served.asked.append("half")
                self.served.stalled.wait()

    def _status(self, content: bytes | None, query: str) -> int:
        told = self.headers.get("Authorization", "").removeprefix("Basic ")
        if base64.b64decode(told).decode() != self.served.user or query != self.served.query:
            return 403
        return 404 if content is None else 200

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving_files(served: Served) -> Iterator[Served]:
    handler = type("Handler", (_Handler,), {"served": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    served.port = server.server_address[1]
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
