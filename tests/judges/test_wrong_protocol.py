"""A port that speaks TLS although its address says http, or the reverse: one sentence, at once."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.errors import DataSetError
from graders_engine.evals.hosted.download import EvalsApi
from graders_engine.models import http
from tests.judges.rows import SCORE, judging, row

COSINE = {"type": "text_similarity", "evaluation_metric": "cosine", "input": "a", "reference": "b"}
Serve = Callable[[socket.socket, bytes], None]


@contextmanager
def listening(serve: Serve) -> Iterator[int]:
    """A server that is called with each connection and its first bytes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection, connection.recv(1 << 16))

    threading.Thread(target=run, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def answer_http(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def is_tls(first: bytes) -> bool:
    return first[:1] == b"\x16"


def hangs_up(connection: socket.socket, first: bytes) -> None:
    if not is_tls(first):
        answer_http(connection)


def says_400(connection: socket.socket, first: bytes) -> None:
    if is_tls(first):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    else:
        answer_http(connection)


def waits(connection: socket.socket, first: bytes) -> None:
    if is_tls(first):
        connection.recv(1)
    else:
        answer_http(connection)


def resets(connection: socket.socket, first: bytes) -> None:
    if is_tls(first):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    else:
        answer_http(connection)


PLAIN: dict[str, Serve] = {
    "hangs up": hangs_up, "says 400": says_400, "waits": waits, "resets": resets,
}  # fmt: skip


def flags_of(grader: dict[str, Any], url: str) -> str:
    with Engine(judges=judging(url), embeddings=f"openai:m@{url}") as engine:
        [graded] = engine.score(grader, [row()])
    assert graded.status == "failed"
    return str(graded.flags)


def download(url: str) -> str:
    async def main() -> None:
        api = EvalsApi("sk-1", url)
        try:
            async for _ in api.listed("evals"):
                pass
        finally:
            await api.close()

    with pytest.raises(DataSetError) as failed:
        asyncio.run(main())
    return str(failed.value)


USES: dict[str, Callable[[str], str]] = {
    "a judge": lambda url: flags_of(SCORE, url),
    "embeddings": lambda url: flags_of(COSINE, url),
    "an endpoint grader": lambda url: flags_of({"type": "endpoint", "url": url}, url),
    "a download": download,
}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_CONNECT_S", 0.2)


@pytest.mark.parametrize("serve", PLAIN.values(), ids=PLAIN)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_tls_to_a_port_without_it_is_one_sentence(use: Callable[[str], str], serve: Serve) -> None:
    with listening(serve) as port:
        text = use(f"https://127.0.0.1:{port}/v1")
    assert "this port speaks HTTP without TLS (SSL): write http:// in place of https://" in text
    assert "tries" not in text


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def tls_port(context: ssl.SSLContext, *, alert: bool) -> Serve:
    """A port with TLS; to a request without it, it sends an alert or hangs up."""

    def serve(connection: socket.socket, first: bytes) -> None:
        if not is_tls(first):
            if alert:
                connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46")
            return
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        incoming.write(first)
        secured = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                if not (received := connection.recv(1 << 16)):
                    return  # the other side has gone, and would give no more for ever
                incoming.write(received)
            else:
                connection.sendall(outgoing.read())
                connection.recv(1)
                return

    return serve


@pytest.mark.parametrize("alert", [True, False])
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_no_tls_to_a_port_with_it_is_one_sentence(
    use: Callable[[str], str], tls: ssl.SSLContext, alert: bool
) -> None:
    with listening(tls_port(tls, alert=alert)) as port:
        text = use(f"http://127.0.0.1:{port}/v1")
    assert "this port speaks TLS: write https:// in place of http://" in text
    assert "tries" not in text


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_certificate_that_nobody_vouches_for_is_not_tried_again(
    use: Callable[[str], str], tls: ssl.SSLContext
) -> None:
    with listening(tls_port(tls, alert=False)) as port:
        text = use(f"https://127.0.0.1:{port}/v1")
    assert "certificate" in text.lower()
    assert "tries" not in text


def test_a_port_that_answers_nothing_at_all_is_tried_again() -> None:
    with listening(lambda connection, first: None) as port:
        for scheme in ("http", "https"):
            assert "(3 tries" in flags_of(SCORE, f"{scheme}://127.0.0.1:{port}/v1")
