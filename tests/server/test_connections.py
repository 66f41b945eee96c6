"""Crowds of connections: the others are answered all the while, and the log stays short."""

from __future__ import annotations

import json
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.server.serving import (
    BATCH,
    GOOD,
    RUN,
    SLEEPER,
    Server,
    command,
    eventually,
    raw_request,
    read_answer,
    running,
    serving,
)

REQUEST = raw_request(RUN, json.dumps(GOOD).encode())
PAGE = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
CROWDS = {
    "silent": b"",
    "half a request line": b"POST /v1/fine",
    "half a head": REQUEST[:60],
    "half a body": REQUEST[:-20],
    "a head that waits to be told to continue": REQUEST.replace(
        b"Content-Length", b"Expect: 100-continue\r\nContent-Length"
    )[: -len(json.dumps(GOOD))],
    "half a chunk": REQUEST.partition(b"Content-Length")[0]
    + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a whole request": PAGE,
    "a whole request, then empty lines": PAGE + b"\r\n\r\n",
    "a whole request, then half of one": PAGE + REQUEST[:60],
    "a request and half of one in one packet": PAGE + REQUEST[:-20],
}
MANY = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 60
CROWDS["many requests, and no response is read"] = MANY
OPEN_FILES = 128
"""Of the server; about half of them may be connections."""
CROWD = 150


def serving_with(open_files: int, folder: Path) -> AbstractContextManager[Server]:
    """A server that may open so many files."""
    return running(folder, ["prlimit", f"--nofile={open_files}", *command()], {})


def asked(connection: socket.socket) -> bool:
    """Whether a good request on a connection is answered."""
    connection.sendall(REQUEST)
    return read_answer(connection).json["reward"] == 1.0  # type: ignore[no-any-return] # a bool


def answered_anew(server: Server) -> bool:
    with server.connect() as connection:
        return asked(connection)


def crowd_in(
    server: Server, sent: bytes, count: int, meanwhile: Callable[[], bool]
) -> list[socket.socket]:
    """Connections that have sent this, and stay open."""
    connections = []
    for number in range(count):
        connection = server.connect()
        connection.sendall(sent)
        if sent.startswith(PAGE):
            assert read_answer(connection).status == 200
        connections.append(connection)
        if number % 20 == 0:
            assert meanwhile()
    return connections


def assert_quiet(server: Server, since: float) -> None:
    """No more than a line a second about the crowd."""
    told = [line for line in server.log if "level" in line]
    assert any("the limit of " in line["message"] for line in told)
    kinds = {(line["logger"], line["message"].partition(":")[0]) for line in told}
    assert len(told) <= len(kinds) * (time.monotonic() - since + 2)
    assert not [line for line in told if line["logger"] == "asyncio"]


@pytest.mark.parametrize("sent", CROWDS.values(), ids=list(CROWDS))
def test_a_crowd_that_idles_or_hardly_sends_leaves_the_server_to_the_others(
    tmp_path: Path, sent: bytes
) -> None:
    since = time.monotonic()
    with serving_with(OPEN_FILES, tmp_path) as server, server.connect() as kept:
        crowd = crowd_in(server, sent, CROWD, lambda: asked(kept))
        assert all(answered_anew(server) for _ in range(10))
        assert asked(kept)
        assert server.open_files() < OPEN_FILES
        assert server.metric("graders_connections_open") < OPEN_FILES / 2
        assert server.metric("graders_connections_dropped_total") >= CROWD - OPEN_FILES / 2
        assert eventually(lambda: any("the limit of " in str(line) for line in server.log))
        for connection in crowd:
            connection.close()
    assert_quiet(server, since)


@pytest.mark.parametrize("sent", [b"", REQUEST[:-20]], ids=["silent", "half a body"])
def test_a_crowd_that_connects_again_as_soon_as_it_is_dropped_gets_no_further(
    tmp_path: Path, sent: bytes
) -> None:
    with serving_with(OPEN_FILES, tmp_path) as server, server.connect() as kept:
        crowd = crowd_in(server, sent, CROWD, lambda: asked(kept))
        for _ in range(3):
            for connection in crowd:
                connection.close()
            crowd = crowd_in(server, sent, CROWD, lambda: asked(kept))
            assert answered_anew(server)
        for connection in crowd:
            connection.close()


def test_a_request_in_progress_is_not_given_up_for_a_crowd(tmp_path: Path) -> None:
    body = json.dumps({"grader": SLEEPER, "item": {"seconds": 2}, "model_sample": ""}).encode()
    with serving_with(320, tmp_path) as server, server.connect() as waiting:
        waiting.sendall(raw_request(RUN, body))
        assert eventually(lambda: server.metric("graders_sandbox_calls_running") == 1)
        crowd = crowd_in(server, PAGE, 260, lambda: True)
        assert server.metric("graders_connections_dropped_total") > 0
        assert read_answer(waiting).json["reward"] == 1.0
        for connection in crowd:
            connection.close()


def test_where_no_descriptors_are_left_idle_connections_are_closed_and_the_log_stays_short(
    tmp_path: Path,
) -> None:
    since = time.monotonic()
    with serving(tmp_path) as server, server.connect() as kept:
        assert asked(kept)
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        few = (server.open_files() + 20, hard)  # below what the server began with
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, few)
        crowd = crowd_in(server, b"", 200, lambda: asked(kept))
        assert answered_anew(server)
        assert asked(kept)
        for connection in crowd:
            connection.close()
        assert eventually(lambda: any("could not be accepted" in str(line) for line in server.log))
    told = [line for line in server.log if "level" in line]
    assert any("Too many open files" in line["message"] for line in told)
    assert len(told) <= 2 * (time.monotonic() - since + 2)


def test_a_client_that_sends_only_empty_lines_after_a_request_is_cut_off(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--read-timeout-s", "1") as server,
        server.connect() as empty,
        server.connect() as half,
    ):
        empty.sendall(PAGE)
        assert read_answer(empty).status == 200
        empty.sendall(b"\r\n")
        half.sendall(PAGE + REQUEST[:-20])  # in one packet: the second is read behind the first
        assert read_answer(half).status == 200
        for connection in (empty, half):
            assert read_answer(connection).status == 408
            assert connection.recv(1) == b""


def test_the_end_does_not_wait_for_requests_that_hardly_come(tmp_path: Path) -> None:
    with serving(tmp_path, "--read-timeout-s", "500") as server:
        crowd = crowd_in(server, REQUEST[:-20], 20, lambda: True)
        assert server.metric("graders_http_requests_in_progress") == 21
        assert server.terminate() == 0  # which waits a minute at most
        for connection in crowd:
            connection.close()


def test_the_end_waits_for_no_client_that_does_not_read(tmp_path: Path) -> None:
    with serving(tmp_path, "--read-timeout-s", "500") as server:
        rows = [{"model_sample": "cat", "item": {"label": "cat"}}] * 2000
        batch = raw_request(BATCH, json.dumps({"grader": GOOD["grader"], "rows": rows}).encode())
        # More than the system takes before the client reads.
        crowd = crowd_in(server, batch * 5, 4, lambda: True)
        assert eventually(lambda: server.metric("graders_http_requests_in_progress") == 5)
        assert server.terminate() == 0  # which waits a minute at most
        for connection in crowd:
            connection.close()


def test_at_the_end_the_request_in_progress_is_answered_and_those_behind_it_are_not_begun(
    tmp_path: Path,
) -> None:
    body = json.dumps({"grader": SLEEPER, "item": {"seconds": 1.5}, "model_sample": ""}).encode()
    with serving(tmp_path) as server, server.connect() as connection:
        connection.sendall(raw_request(RUN, body) * 50)
        assert eventually(lambda: server.metric("graders_sandbox_calls_running") == 1)
        server.process.send_signal(signal.SIGTERM)
        answer = read_answer(connection)
        assert (answer.json["reward"], answer.headers["connection"]) == (1.0, "close")
        assert connection.recv(1) == b""
        assert server.process.wait(60) == 0


def test_requests_behind_a_response_that_is_not_read_wait_and_are_then_answered(
    tmp_path: Path,
) -> None:
    def begun() -> int:
        return sum("/openapi.json" in str(line) for line in server.log)

    with serving(tmp_path) as server, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(MANY)
        assert all(server.is_well() for _ in range(100))  # as many turns, and more
        assert begun() < 60
        with connection.makefile("rb") as stream:
            for _ in range(60):
                head = iter(stream.readline, b"\r\n")
                assert next(head) == b"HTTP/1.1 200 OK\r\n"
                fields = dict(line.lower().split(b": ") for line in head)
                assert json.loads(stream.read(int(fields[b"content-length"])))
        assert begun() == 60


def test_a_client_that_has_sent_its_request_is_not_taken_for_a_silent_one(tmp_path: Path) -> None:
    with serving_with(OPEN_FILES, tmp_path) as server:
        early = [server.connect() for _ in range(OPEN_FILES // 2)]
        assert all(asked(connection) for connection in early[:1])
        server.process.send_signal(signal.SIGSTOP)  # so all of it is there at once
        late = [server.connect() for _ in range(CROWD)]
        everyone = early[1:] + late
        for connection in everyone:
            connection.sendall(REQUEST)
        server.process.send_signal(signal.SIGCONT)
        assert [read_answer(connection).status for connection in everyone] == [200] * len(everyone)
        for connection in early + late:
            connection.close()


def test_connections_with_many_good_requests_outlast_those_with_one(tmp_path: Path) -> None:
    with serving_with(OPEN_FILES, tmp_path) as server, server.connect() as kept:
        assert all(asked(kept) for _ in range(3))
        crowd = crowd_in(server, PAGE, CROWD, lambda: True)
        assert answered_anew(server)
        assert server.metric("graders_connections_dropped_total") > 0
        assert asked(kept)
        for connection in crowd:
            connection.close()


@pytest.mark.parametrize("open_files", [8, 12, 20])
def test_a_server_that_may_open_too_few_files_says_so(tmp_path: Path, open_files: int) -> None:
    done = subprocess.run(
        ["prlimit", f"--nofile={open_files}", *command()],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"A process may have {open_files} open files here (`ulimit -n`)" in done.stderr
    assert len(done.stderr.splitlines()) == 1
