"""SIGTERM while clients still send, or rows are checked: the end waits for neither longer than seconds."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from pathlib import Path

from tests.server.evals_of import jsonl
from tests.server.serving import Answer, Server, eventually, read_answer, serving
from tests.server.test_hostile_evals import TREE, made_with, nested
from tests.server.test_shutdown import children_of

HEAD = (
    b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50000000\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nevals\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="rows.jsonl"\r\n\r\n'
)


def upload_slowly(connection: socket.socket, ended: threading.Event) -> None:
    """Send some bytes now and then, for as long as the server takes them: at 1 KB a second none stalls."""
    with contextlib.suppress(OSError):
        connection.sendall(HEAD + b"x" * 9_000_000)
        while not ended.wait(0.05):
            connection.sendall(b"x" * 200)


def send_slow_rows(server: Server, eval_id: str, answers: list[Answer]) -> None:
    source = {"data_source": jsonl([nested(40)])}
    answers.append(server.post(f"/v1/evals/{eval_id}/runs", source))


def test_neither_an_upload_that_trickles_nor_a_slow_check_holds_up_the_end(tmp_path: Path) -> None:
    """It takes the 5 s for which clients may go on to send; each alone would take a minute or more."""
    with serving(tmp_path, "--jobs", "store") as server, server.connect() as connection:
        eval_id = made_with(server, TREE)
        answers: list[Answer] = []
        before, ended = set(children_of(server.process.pid)), threading.Event()
        clients = [
            threading.Thread(target=upload_slowly, args=(connection, ended)),
            threading.Thread(target=send_slow_rows, args=(server, eval_id, answers)),
        ]
        for client in clients:
            client.start()
        parts = tmp_path / "store" / "files"
        assert eventually(lambda: set(children_of(server.process.pid)) > before)
        assert eventually(lambda: any(parts.glob("*.part")))
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        refused = read_answer(connection)
        assert server.process.wait(60) == 0
        took = time.monotonic() - began
        ended.set()
        for client in clients:
            client.join(30)
    assert took < 30  # some 6 s on a machine at rest
    for answer in (refused, *answers):
        assert (answer.status, answer.error["code"]) == (503, "shutting_down")
    assert len(answers) == 1
    assert not any(parts.glob("*.part"))
