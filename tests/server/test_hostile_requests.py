"""More hostile clients: forms that smuggle a second request, floods, bombs, and pages of others."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.server.serving import (
    BATCH,
    CHECK,
    GOOD,
    RUN,
    VALIDATE,
    Server,
    python,
    raw_request,
    read_answer,
    serving,
)

GRADER = json.dumps(CHECK).encode()
BODY = json.dumps(GOOD).encode()
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
SECOND = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
MIB = 1 << 20


def post(headers: str, body: bytes) -> bytes:
    head = f"POST {RUN} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{headers}\r\n\r\n"
    return head.encode() + body


def received(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    data = b""
    while piece := connection.recv(1 << 16):
        data += piece
    return data


LENGTH = f"Content-Length: {len(BODY)}"
SMUGGLING = {
    "a blank before the colon": post("Transfer-Encoding : chunked", CHUNKED),
    "chunked is not the last": post("Transfer-Encoding: chunked, identity", CHUNKED),
    "nearly chunked": post("Transfer-Encoding: xchunked", CHUNKED),
    "chunked and a control character": post("Transfer-Encoding: chunked\x0b", CHUNKED),
    "chunked twice": post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNKED),
    "length and chunked": post(f"{LENGTH}\r\nTransfer-Encoding: chunked", CHUNKED),
    "chunked and length": post(f"Transfer-Encoding: chunked\r\n{LENGTH}", CHUNKED),
    "folded": post("Transfer-Encoding:\r\n chunked", CHUNKED),
    "length with a sign": post(f"Content-Length: +{len(BODY)}", BODY),
    "length in hexadecimal": post("Content-Length: 0x5", BODY),
    "two lengths in one": post("Content-Length: 5, 5", BODY),
    "the same length twice": post(f"{LENGTH}\r\n{LENGTH}", BODY),
    "length that overflows": post("Content-Length: 99999999999999999999", BODY),
    "no length": post("Content-Length: ", BODY),
    "line feeds alone": post(LENGTH, b"").replace(b"\r\n", b"\n") + BODY,
    "a carriage return alone": post(f"X: a\rb\r\n{LENGTH}", BODY),
    "a zero byte": post(f"X: a\0b\r\n{LENGTH}", BODY),
    "chunk with a sign": post("Transfer-Encoding: chunked", b"+" + CHUNKED),
    "negative chunk": post("Transfer-Encoding: chunked", b"-" + CHUNKED),
    "chunk that overflows": post("Transfer-Encoding: chunked", b"f" * 17 + b"\r\n" + BODY),
    "chunk without an end": post("Transfer-Encoding: chunked", b"5\r\nabcdeXX0\r\n\r\n"),
    "a tunnel": b"CONNECT x:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "many short headers": b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 10_000 + b"\r\n",
    "many trailers": post(
        "Transfer-Encoding: chunked", CHUNKED[:-2] + b"a:\r\n" * 10_000 + b"\r\n"
    ),
}


@pytest.mark.parametrize("sent", SMUGGLING.values(), ids=list(SMUGGLING))
def test_nothing_behind_a_request_of_two_meanings_is_read(server: Server, sent: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(sent + SECOND)
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert server.is_well()


@pytest.mark.parametrize(
    "path",
    [
        "/%00",
        "/v1/../metrics",
        "/%2e%2e/metrics",
        "//metrics",
        "/%zz",
        "/docs%0d%0aX:y/",
    ],
)
def test_an_odd_path_is_no_other_path(server: Server, path: str) -> None:
    assert server.ask("GET", path).status == 404


def test_trailers_and_escapes_do_not_pass_for_a_key(tmp_path: Path) -> None:
    trailers = CHUNKED[:-2] + b"Authorization: Bearer sk-secret\r\n\r\n"
    with serving(tmp_path, "--api-key", "sk-secret") as server:
        with server.connect() as connection:
            connection.sendall(post("Transfer-Encoding: chunked", trailers))
            assert read_answer(connection).status == 401
        assert server.ask("GET", "/%6detrics").status == 401
        assert server.ask("POST", RUN.replace("run", "%72un"), GOOD).status == 401


def test_what_is_no_http_behind_good_requests_does_not_mix_with_their_answers(
    server: Server,
) -> None:
    good = raw_request(RUN, BODY)
    earlier = len(server.log)
    with server.connect() as connection:
        connection.sendall(good * 3 + b"\x16\x03nonsense\r\n\r\n")
        answers = received(connection)
    assert answers.count(b'"reward":1.0') == answers.count(b"HTTP/1.1 200 OK") == 3
    assert answers.count(b"HTTP/1.1 ") == 3
    assert not [line for line in server.log[earlier:] if "exception" in line]


def test_a_request_that_breaks_off_in_its_body_is_answered_once(server: Server) -> None:
    earlier = len(server.log)
    with server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n")
        assert received(connection).count(b"HTTP/1.1 ") == 1
    assert not [line for line in server.log[earlier:] if "exception" in line]


def test_a_flood_of_requests_in_one_packet_is_answered_in_part(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(SECOND * 3000)
        answers = received(connection)
    assert 100 <= answers.count(b"HTTP/1.1 200 OK") == answers.count(b"HTTP/1.1 ") < 1000


def test_a_request_for_another_protocol_is_the_last_on_its_connection(server: Server) -> None:
    upgrade = SECOND.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    with server.connect() as connection:
        connection.sendall(upgrade)
        answer = read_answer(connection)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert connection.recv(1) == b""


def bomb(begin: bytes, item: bytes, end: bytes, size: int) -> bytes:
    return begin + b",".join([item] * (size // (len(item) + 1))) + end


ROWS = b'{"grader":' + GRADER + b',"rows":['
MULTI = b'{"grader":{"type":"multi","name":"m","calculate_output":"a","graders":'
BOMBS: dict[str, tuple[str, Callable[[], bytes], int]] = {
    "millions of rows": (BATCH, partial(bomb, ROWS, b"1", b"]}", 31 * MIB), 413),
    "a million rows": (BATCH, partial(bomb, ROWS, b"1", b"]}", 2 * MIB), 413),
    "an unknown key with millions of arrays": (
        RUN,
        partial(bomb, b'{"grader":' + GRADER + b',"model_sample":"","x":[', b"[]", b"]}", 31 * MIB),
        400,
    ),
    "a list of millions": (VALIDATE, partial(bomb, b"[", b"[]", b"]", 31 * MIB), 400),
    "a grader of many wrong parts": (VALIDATE, partial(bomb, MULTI + b"[", b"1", b"]}}", MIB), 413),
    "a grader of many empty parts": (
        VALIDATE,
        partial(bomb, MULTI + b"[", b"{}", b"]}}", MIB),
        413,
    ),
    "a grader with many unknown keys": (
        VALIDATE,
        lambda: b'{"grader":{' + b",".join(b'"k%d":1' % key for key in range(100_000)) + b"}}",
        413,
    ),
    "a body that says it is compressed": (RUN, lambda: b"\x1f\x8b" + b"\0" * MIB, 400),
}
"""Made by the one test that sends it: a hundred megabytes are not for every process that collects."""


@contextmanager
def measuring(server: Server) -> Iterator[list[float]]:
    """How long good requests take while the block runs, in seconds."""
    seconds: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            begin = time.monotonic()
            assert server.is_well()
            seconds.append(time.monotonic() - begin)

    client = threading.Thread(target=ask)
    client.start()
    try:
        yield seconds
    finally:
        stop.set()
        client.join()


def peak_bytes(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


@pytest.mark.parametrize(("path", "body", "status"), BOMBS.values(), ids=list(BOMBS))
def test_a_bomb_is_refused_and_takes_little_memory(
    tmp_path: Path, path: str, body: Callable[[], bytes], status: int
) -> None:
    sent = body()
    with serving(tmp_path) as server:
        with measuring(server) as others:
            answer = server.post(path, sent)
        assert answer.status == status
        assert answer.error["message"]
        assert others
        assert peak_bytes(server) < 400 * MIB


def test_a_batch_of_empty_rows_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    count = 100_000  # 300 kB, whose results take 24 MB and more
    with serving(tmp_path) as server:
        assert server.is_well()
        before = peak_bytes(server)
        results = server.post(BATCH, bomb(ROWS, b"{}", b"]}", 3 * count)).json["results"]
        assert len(results) == count
        assert all("error" in result for result in results)
        whole = server.post(BATCH, {"grader": CHECK, "rows": [GOOD | {"grader": 0}] * 3000})
        assert len(whole.json["results"]) == 3000
        assert peak_bytes(server) - before < 40 * MIB


def test_a_long_answer_that_nobody_reads_takes_no_memory_and_ends(tmp_path: Path) -> None:
    body = bomb(ROWS, b"{}", b"]}", 900_000)
    with serving(tmp_path, "--read-timeout-s", "1") as server:
        with server.connect() as connection:
            connection.sendall(raw_request(BATCH, body))
            connection.recv(1)  # it has begun
            with measuring(server) as others:
                time.sleep(2.5)
            assert others
        assert peak_bytes(server) < 300 * MIB
        assert server.metric("graders_http_requests_in_progress") == 1  # which asks for it


def test_clients_that_ask_at_the_same_time_see_only_what_is_theirs(server: Server) -> None:
    raising = python("raise ValueError(item['secret'], print(item['secret']))")
    found: list[str] = []

    def client(number: int) -> None:
        mine = f"canary-{number}-"
        for turn in range(10):
            secret = f"{mine}{turn}."
            grader: dict[str, Any] = {**CHECK, "name": secret, "reference": secret}
            bodies = [
                (RUN, {"grader": raising, "model_sample": secret, "item": {"secret": secret}}),
                (RUN, {"grader": grader, "model_sample": "x"}),
                (
                    RUN,
                    {"grader": {**grader, "input": "{{item." + secret + "}}"}, "model_sample": ""},
                ),
                (BATCH, {"grader": grader, "rows": [{"model_sample": secret}, secret]}),
                (VALIDATE, {"grader": {**grader, secret: 1}}),
                (secret, {}),
            ]
            for path, body in bodies:
                answer = server.post(path if path.startswith("/") else f"/{path}", body)
                found.extend(answer.body.decode().replace(secret, "").split("canary-")[1:])

    clients = [threading.Thread(target=client, args=(number,)) for number in range(6)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert not found
    assert "canary" not in server.ask("GET", "/metrics").body.decode()
