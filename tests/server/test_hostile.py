"""Clients that mean harm, or know no better: after each, the server stays up and answers a good request."""

from __future__ import annotations

import json
import resource
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.serving import (
    BATCH,
    CHECK,
    GOOD,
    RUN,
    SLEEPER,
    VALIDATE,
    Server,
    eventually,
    raw_request,
    read_answer,
    serving,
)

GRADER = json.dumps(CHECK)


@pytest.fixture(autouse=True)
def stays_well(server: Server) -> Iterator[None]:
    yield
    assert server.process.poll() is None
    assert server.is_well()


def with_item(item: str) -> bytes:
    return f'{{"grader": {GRADER}, "model_sample": "cat", "item": {item}}}'.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"grader": }',
        b"\x00\x01\x02",
        b'{"grader": "\xff\xfe"}',
        b"[" * 1_000_000,
        b'{"grader": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        with_item("[" * 200_000 + "]" * 200_000),
        with_item('{"a":' * 50_000 + "1" + "}" * 50_000),
        with_item("9" * 100_000),
        with_item("NaN"),
        with_item("-Infinity"),
        with_item('"\\x"'),
        b"null",
        b"3",
        b'{"grader": null, "model_sample": "x"}',
        b'{"model_sample": "x"}',
        b'{"grader": {"type": "string_check"}}',
        b'{"grader": "{}", "model_sample": "x"}',
        json.dumps({**GOOD, "model_sample": None}).encode(),
        json.dumps({**GOOD, "model_sample": {"a": 1}}).encode(),
        json.dumps({**GOOD, "model_sampel": "x"}).encode(),
        json.dumps({**GOOD, "sample": {}}).encode(),
    ],
    ids=lambda body: body[:40].decode("latin-1"),
)
@pytest.mark.parametrize("path", [RUN, VALIDATE, BATCH])
def test_a_body_that_cannot_be_used_is_the_callers_mistake(
    server: Server, path: str, body: bytes
) -> None:
    answer = server.post(path, body)
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["message"]


@pytest.mark.parametrize(
    "item",
    [
        "9" * 4000,
        '"\\ud800"',
        '{"label": "\\u0000"}',
        "[" * 400 + "]" * 400,
        '{"a": 1, "a": 2}',
    ],
    ids=lambda item: item[:20],
)
def test_an_item_that_is_odd_but_json_is_an_answer_without_nan(server: Server, item: str) -> None:
    answer = server.post(RUN, with_item(item))
    assert answer.status == 200
    assert answer.json["reward"] == 0.0


@pytest.mark.parametrize("item", ["1e999", '{"label": -1e400}'])
def test_a_number_beyond_a_double_is_refused_by_name(server: Server, item: str) -> None:
    answer = server.post(RUN, with_item(item))
    assert answer.status == 400
    assert "beyond the range of a double" in answer.error["message"]


def test_odd_values_that_a_grader_echoes_are_json_again(server: Server) -> None:
    message = {"role": "user", "content": {"type": "input_text", "text": "\ud800", "file_id": 0}}
    grader = {"type": "score_model", "name": "\ud800", "model": "m", "input": [message]}
    body = json.dumps({"grader": grader}).replace('"file_id": 0', '"file_id": 1e999').encode()
    answer = server.post(VALIDATE, body)
    assert answer.status in (200, 400)
    assert answer.json  # which refuses Infinity


def test_a_hundred_megabytes_are_refused_and_the_answer_arrives(server: Server) -> None:
    chunk, count = b"x" * 1_000_000, 100
    with server.connect() as connection:
        head = raw_request(RUN, b"").replace(
            b"Content-Length: 0", b"Content-Length: %d" % (count * len(chunk))
        )
        connection.sendall(head)
        for _ in range(count):
            connection.sendall(chunk)
        answer = read_answer(connection)
        assert (answer.status, answer.error["code"]) == (413, "body_too_large")
        connection.sendall(raw_request(RUN, json.dumps(GOOD).encode()))  # the connection lives on
        assert read_answer(connection).status == 200


def test_a_hundred_megabytes_without_a_length_are_refused_too(server: Server) -> None:
    chunk = b"x" * 1_000_000
    piece = b"%x\r\n%b\r\n" % (len(chunk), chunk)
    with server.connect() as connection:
        head = raw_request(RUN, b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        connection.sendall(head)
        for _ in range(100):
            connection.sendall(piece)
        connection.sendall(b"0\r\n\r\n")
        assert read_answer(connection).error["code"] == "body_too_large"


def test_a_client_that_asks_before_it_sends_a_long_body_is_told_not_to(server: Server) -> None:
    with server.connect() as connection:
        head = raw_request(RUN, b"", "Expect: 100-continue")
        connection.sendall(head.replace(b"Content-Length: 0", b"Content-Length: 99999999"))
        assert read_answer(connection).status == 413


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the beginning of TLS
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /\x80\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
    ],
    ids=lambda sent: sent[:40].decode("latin-1"),
)
def test_what_is_no_http_is_answered_400_and_hung_up_on(server: Server, sent: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = read_answer(connection)
        assert answer.status == 400
        assert answer.error["message"] == "Invalid HTTP request received."
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "upgrade", ["Upgrade: websocket", "Upgrade: h2c"], ids=["websocket", "http/2"]
)
def test_a_request_to_speak_another_protocol_is_not_taken_up(server: Server, upgrade: str) -> None:
    with server.connect() as connection:
        head = (
            f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n{upgrade}\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert read_answer(connection).status == 200


def test_requests_in_one_packet_are_answered_one_after_the_other(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(raw_request(RUN, json.dumps(GOOD).encode()) * 20)
        received = b""
        while received.count(b'"reward":1.0') < 20:
            received += connection.recv(65_536)
        assert received.count(b"HTTP/1.1 200 OK") == 20


def test_a_kept_connection_may_carry_any_number_of_long_heads(server: Server) -> None:
    padded = raw_request(RUN, json.dumps(GOOD).encode(), "X-Padding: " + "x" * 20_000)
    with server.connect() as connection:
        for _ in range(10):  # 200 kB in all, where one head may have 64 KiB
            connection.sendall(padded)
            assert read_answer(connection).status == 200


@pytest.mark.parametrize("host", [b"", b"Host:\r\n"], ids=["none", "empty"])
def test_a_client_of_http_1_0_needs_no_host(server: Server, host: bytes) -> None:
    request = raw_request(RUN, json.dumps(GOOD).encode())
    request = request.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Host: 127.0.0.1\r\n", host)
    with server.connect() as connection:
        connection.sendall(request)
        assert read_answer(connection).json["reward"] == 1.0


def test_a_request_that_comes_byte_by_byte_is_answered(server: Server) -> None:
    with server.connect() as connection:
        for byte in raw_request(RUN, json.dumps(GOOD).encode()):
            connection.sendall(bytes([byte]))
        assert read_answer(connection).status == 200


def test_clients_that_hang_up_at_any_point_are_let_go(server: Server) -> None:
    whole = raw_request(RUN, json.dumps(GOOD).encode())
    sleeping = json.dumps({"grader": SLEEPER, "item": {"seconds": 60}, "model_sample": ""}).encode()
    files = server.open_files()
    for end in range(0, len(whole), 7):
        with server.connect() as connection:
            connection.sendall(whole[:end])
    for _ in range(5):
        with server.connect() as connection:
            connection.sendall(raw_request(RUN, sleeping))
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
            )  # a reset
    assert eventually(
        lambda: server.metric("graders_http_requests_in_progress") == 1
    )  # which asks for it
    assert eventually(lambda: server.metric("graders_sandbox_calls_running") == 0)
    assert eventually(lambda: server.open_files() <= files + 20)  # a sandbox may have been started


def test_clients_too_slow_to_send_or_to_read_are_cut_off(tmp_path: Path) -> None:
    rows = [{"model_sample": "cat", "item": {"label": "cat"}}] * 30_000
    batch = json.dumps({"grader": CHECK, "rows": rows}).encode()
    with serving(tmp_path, "--read-timeout-s", "1") as server:
        files = server.open_files()
        silent, head, body = server.connect(), server.connect(), server.connect()
        head.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
        body.sendall(raw_request(RUN, b"x" * 100)[:-50])
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(raw_request(BATCH, batch, "Accept: application/x-ndjson"))
        for connection in (silent, head, body):
            connection.settimeout(60)
            assert read_answer(connection).status == 408
            assert connection.recv(1) == b""
        assert eventually(lambda: server.open_files() <= files)
        assert server.is_well()
        for connection in (silent, head, body, deaf):
            connection.close()


def test_a_thousand_connections_at_once_are_all_served(server: Server) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    request = raw_request(RUN, json.dumps(GOOD).encode(), "Connection: close")
    answered = 0
    with selectors.DefaultSelector() as selector:
        connections = [server.connect() for _ in range(1000)]
        for connection in connections:
            connection.sendall(request)
            selector.register(connection, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(60)
            assert ready, f"{answered} were answered"
            for key, _ in ready:
                connection = connections[[c.fileno() for c in connections].index(key.fd)]
                selector.unregister(connection)
                answered += read_answer(connection).status == 200
    for connection in connections:
        connection.close()
    assert answered == 1000


def test_a_thousand_idle_connections_leave_the_server_to_the_others(server: Server) -> None:
    connections = [server.connect() for _ in range(1000)]
    assert server.is_well()
    for connection in connections:
        connection.close()
    assert eventually(lambda: server.open_files() < 200)


def test_the_log_is_json_to_the_last_line(server: Server) -> None:
    server.ask("GET", "/%0a%00%22nonsense%ff")
    assert all(line["time"] for line in server.log)
    assert server.log
