"""A server on loopback that passes requests on to another one, and loses those that ask for it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

NOT_PASSED = ("host", "connection", "x-lose", "transfer-encoding")


@contextmanager
def losing_proxy(url: str) -> Iterator[str]:
    """The address of a proxy before a server.

    The header `x-lose` of a request says what is lost: `answer`, the answer to the first attempt, which the
    server has; `all`, the connection at each attempt; `time`, an answer that never comes.
    """
    closing = threading.Event()
    target = urlsplit(url).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            lost = self.headers.get("x-lose")
            if lost in ("all", "time"):
                if lost == "time":
                    closing.wait()
                self.close_connection = True
                return
            status, headers, answer = self._passed_on(body)
            if lost == "answer" and self.headers.get("x-stainless-retry-count") == "0":
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST  # noqa: N815 - the standard library's name

        def _passed_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(target, timeout=60)
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in NOT_PASSED
            }
            try:
                connection.request(self.command, self.path, body or None, headers)
                response = connection.getresponse()
                return response.status, response.getheaders(), response.read()
            finally:
                connection.close()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
