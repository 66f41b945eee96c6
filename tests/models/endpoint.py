"""A real HTTP server on loopback that embeds, and misbehaves on request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], bytes]


def letters(text: str) -> list[float]:
    """A vector of letter counts: the same letters point the same way."""
    return [float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]


def embedded(body: dict[str, Any]) -> Reply:
    """The answer of a sound endpoint; the order of its rows is not that of the texts."""
    rows = [
        {"index": index, "embedding": letters(text)} for index, text in enumerate(body["input"])
    ]
    return (
        200,
        {},
        json.dumps({"object": "list", "data": rows[::-1], "model": body["model"]}).encode(),
    )


@dataclass
class Endpoint:
    """The server: its address, what it was asked, and the replies it gives before the sound ones."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    first_replies: list[Reply | None] = field(default_factory=list)
    reply: Callable[[dict[str, Any]], Reply] = embedded

    @property
    def texts(self) -> list[str]:
        return [text for body in self.asked for text in body["input"]]


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    state = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append(body)
            state.headers.append(dict(self.headers))
            reply = state.first_replies.pop(0) if state.first_replies else state.reply(body)
            if reply is None:  # hang up without an answer
                self.close_connection = True
                return
            status, headers, content = reply
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
