"""SIGTERM under load: every accepted request is answered, nothing stays behind, the port is free."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from graders_engine.server import listener as listener_module
from graders_engine.server import uvicorn_protocol, uvicorn_server
from graders_engine.server.listener import accept_last, listen
from tests.server.serving import (
    GOOD,
    RUN,
    SLEEPER,
    Server,
    eventually,
    raw_request,
    read_answer,
    serving,
)

BODY = json.dumps(GOOD).encode()


class Client(threading.Thread):
    """Asks without a pause until the server is gone; counts what was answered and what was not."""

    def __init__(self, server: Server, *, keep: bool) -> None:
        super().__init__(daemon=True)
        self._server, self._keep = server, keep
        self.answered = self.unanswered = 0

    def run(self) -> None:
        while True:
            idle_since = time.monotonic()
            try:
                connection = self._server.connect()
            except ConnectionError:  # never accepted
                return
            with connection:
                if not self._ask(connection, idle_since):
                    return

    def _ask(self, connection: socket.socket, idle_since: float) -> bool:
        """Send requests until the server says that it will close; whether all were answered."""
        while True:
            # A server that stops closes idle connections after a while. A busy machine may hold up a client
            # for longer, whose next request is then not an accepted one.
            in_time = time.monotonic() - idle_since < uvicorn_protocol.LINGER_S / 2
            try:
                connection.sendall(raw_request(RUN, BODY))
                answer = read_answer(connection)
            except (ConnectionError, ValueError, OSError):
                self.unanswered += in_time
                return False
            assert answer.status == 200
            self.answered += 1
            idle_since = time.monotonic()
            if not self._keep or answer.headers.get("connection") == "close":
                return True


@pytest.mark.parametrize("keep", [True, False], ids=["kept connections", "one request each"])
def test_under_load_every_accepted_request_is_answered(tmp_path: Path, keep: bool) -> None:
    with serving(tmp_path) as server:
        clients = [Client(server, keep=keep) for _ in range(16)]
        for client in clients:
            client.start()
        assert eventually(lambda: sum(client.answered for client in clients) > 500)
        assert server.terminate() == 0
        for client in clients:
            client.join(30)
    assert [client.unanswered for client in clients] == [0] * 16
    answered = sum(client.answered for client in clients)
    assert [line["status"] for line in server.log] == [200] * answered


def test_what_is_being_graded_is_finished_and_the_port_is_free_at_once(tmp_path: Path) -> None:
    body = json.dumps({"grader": SLEEPER, "item": {"seconds": 1.5}, "model_sample": ""}).encode()
    with serving(tmp_path) as server:
        idle = server.connect()
        with server.connect() as connection:
            connection.sendall(raw_request(RUN, body))
            assert eventually(lambda: server.metric("graders_sandbox_calls_running") == 1)
            server.process.send_signal(signal.SIGTERM)
            assert eventually(lambda: _refused(server))
            answer = read_answer(connection)
            assert answer.json["reward"] == 1.0
            assert answer.headers["connection"] == "close"
        assert server.process.wait(30) == 0
        idle.close()
    with serving(tmp_path, "--port", str(server.port)) as second:
        assert second.port == server.port
        assert second.is_well()


def _refused(server: Server) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_request_on_an_open_connection_is_still_answered_just_after_the_signal(
    tmp_path: Path,
) -> None:
    with serving(tmp_path) as server, server.connect() as connection:
        connection.sendall(raw_request(RUN, BODY))
        assert read_answer(connection).status == 200
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: _refused(server))
        connection.sendall(raw_request(RUN, BODY))
        assert read_answer(connection).headers["connection"] == "close"
        assert server.process.wait(60) == 0  # before it is told once more, which ends it at once


def children_of(process_id: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            _, _, fields = (entry / "stat").read_text().rpartition(") ")
            if int(fields.split()[1]) == process_id:
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_process_is_left_behind(tmp_path: Path, number: int) -> None:
    with serving(tmp_path) as server:
        grader: dict[str, Any] = {**SLEEPER, "name": "leaves nothing"}
        assert (
            server.post(RUN, {"grader": grader, "item": {"seconds": 0}, "model_sample": ""}).status
            == 200
        )
        children = children_of(server.process.pid)
        assert children
        server.process.send_signal(number)
        assert server.process.wait(30) == 0
    assert eventually(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def test_the_second_interrupt_does_not_wait(tmp_path: Path) -> None:
    body = json.dumps({"grader": SLEEPER, "item": {"seconds": 100}, "model_sample": ""}).encode()
    with serving(tmp_path) as server, server.connect() as connection:
        connection.sendall(raw_request(RUN, body))
        assert eventually(lambda: server.metric("graders_sandbox_calls_running") == 1)
        server.process.send_signal(signal.SIGINT)
        assert eventually(lambda: _refused(server))
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(250) == 0
        assert read_answer(connection).status == 500  # cut off: to be graded it had 100 s to go


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def test_a_connection_that_the_server_has_not_accepted_yet_is_still_answered() -> None:
    """It waits in the system's queue when the server stops; closing the listener would reset it."""
    listener = listen("127.0.0.1", 0)
    with socket.socket() as client:

        class Stopping(uvicorn_server.Server):
            async def on_tick(self, counter: int) -> bool:
                client.connect(listener.getsockname())
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                return True  # so it stops, before the event loop can accept anything

        config = uvicorn.Config(
            hello, http=uvicorn_protocol.Connection, ws="none", lifespan="off", log_config=None
        )
        asyncio.run(Stopping(config, 60.0, lambda: None).serve(sockets=[listener]))
        answer = read_answer(client)
    assert (answer.status, answer.headers["connection"]) == (200, "close")


@pytest.mark.parametrize("filters", ["allowed", "refused"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_between_the_last_accept_and_the_close_no_client_gets_a_connection(
    host: str, filters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a connection would be reset, with its request: the client has to try again instead."""
    if filters == "refused":  # to all but root, as some systems do
        monkeypatch.setattr(listener_module, "_drop_packets", lambda _: False)
    with listen(host, 0) as listener:
        address = listener.getsockname()[:2]
        with socket.create_connection(address) as early:
            (accepted,) = accept_last(listener)
            with accepted:
                assert accepted.getpeername() == early.getsockname()
                with pytest.raises(TimeoutError):  # neither accepted nor refused
                    socket.create_connection(address, 0.5)
                early.sendall(b"still here")
                accepted.settimeout(60)
                assert accepted.recv(10) == b"still here"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 60)


def test_where_filters_are_refused_clients_that_connect_meanwhile_are_accepted_or_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "_drop_packets", lambda _: False)
    fill, late = listener_module.fill, list[socket.socket]()

    def fill_late(listener: socket.socket) -> bool:
        if len(late) < 3:  # it comes just before the place is taken
            late.append(socket.create_connection(listener.getsockname(), 60))
        return fill(listener)

    monkeypatch.setattr(listener_module, "fill", fill_late)
    with listen("127.0.0.1", 0) as listener:
        accepted = list(accept_last(listener))
        for own, theirs in zip(accepted, late, strict=True):
            with own, theirs:
                assert own.getpeername() == theirs.getsockname()
