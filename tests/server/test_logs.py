"""The log: it never holds the server up, whatever it is written to."""

from __future__ import annotations

import io
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from graders_engine.server import logs
from graders_engine.server.logs import Log, LogHandler
from tests.server.serving import Server, command, running

LINE = {"message": "x" * 500}


def lines_of(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


class Full(io.RawIOBase):
    """A file on a disk that is full until there is room again."""

    def __init__(self, room: int) -> None:
        self.room, self.written = room, b""

    def write(self, data: Any) -> int:
        taken = bytes(data)[: self.room]
        if not taken:
            raise OSError("no space left on device")
        self.room -= len(taken)
        self.written += taken
        return len(taken)


def test_a_pipe_that_nobody_reads_loses_lines_and_says_how_many() -> None:
    read_end, write_end = os.pipe()
    with open(read_end, "rb", 0) as reader, open(write_end, "wb", 0) as writer:
        log = Log(writer)
        for _ in range(1000):  # half a megabyte, where a pipe takes 64 KiB
            log.write(LINE)
        written = lines_of(reader.read(1 << 20))
        assert 10 < len(written) < 1000
        log.write({"message": "after"})
        told, after = lines_of(reader.read(1 << 20))
    assert told["message"] == f"{1000 - len(written)} lines of the log could not be written"
    assert after["message"] == "after"


def test_a_long_line_into_a_pipe_that_nobody_reads_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "LONG_LINE_MS", 1)
    read_end, write_end = os.pipe()
    with open(read_end, "rb", 0) as reader, open(write_end, "wb", 0) as writer:
        log = Log(writer)
        log.write({"message": "x" * 500_000})
        torn = reader.read(1 << 20)
        log.write({"message": "after"})
        whole = reader.read(1 << 20)
    assert 4096 < len(torn) < 500_000
    assert whole.startswith(b"\n")  # so that the line after it is one
    assert [line["message"] for line in lines_of(whole.lstrip())] == [
        "1 lines of the log could not be written",
        "after",
    ]


@pytest.mark.parametrize("room", [0, 100, 600])
def test_a_full_disk_loses_lines_until_there_is_room(room: int) -> None:
    disk = Full(room)
    log = Log(disk)
    for _ in range(5):
        log.write(LINE)
    disk.room = 100_000
    log.write({"message": "after"})
    told, after = lines_of(b"\n".join(disk.written.splitlines()[-2:]))
    assert told["message"].endswith("lines of the log could not be written")
    assert after["message"] == "after"


def test_no_standard_error_is_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    Log().write(LINE)  # raises nothing


def test_a_warning_that_repeats_is_written_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(logs, "monotonic", lambda: now[0])
    stream = io.BytesIO()
    handler = LogHandler(Log(stream), messages=False)

    def warn(message: str) -> None:
        handler.handle(logging.LogRecord("any", logging.WARNING, "", 0, message, None, None))

    for _ in range(100):
        warn("again")
    warn("another")
    now[0] = 1.5
    warn("again")
    warn("again")
    written = [(line["message"], line.get("held_back")) for line in lines_of(stream.getvalue())]
    assert written == [("again", None), ("another", None), ("again", 99)]


def test_different_warnings_do_not_fill_the_memory_and_are_all_written() -> None:
    stream = io.BytesIO()
    handler = LogHandler(Log(stream), messages=False)
    for number in range(3 * logs.MAX_MESSAGES):
        record = logging.LogRecord("any", logging.WARNING, "", 0, f"{number}", None, None)
        handler.handle(record)
    assert len(lines_of(stream.getvalue())) == 3 * logs.MAX_MESSAGES


REDIRECTED = {
    "errors to a full device": "2> /dev/full",
    "no input": "<&-",
    "errors to a pipe that ends": "2> >(:)",
}


@pytest.mark.parametrize("redirection", REDIRECTED.values(), ids=list(REDIRECTED))
def test_a_server_serves_with_any_log(tmp_path: Path, redirection: str) -> None:
    shell = ["bash", "-c", f'exec "$@" {redirection}', "-", *command()]
    with running(tmp_path, shell, {}) as server:
        assert all(server.is_well() for _ in range(200))


def test_a_server_whose_log_nobody_reads_still_serves(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    shell = ["bash", "-c", f'exec "$@" 2> {tmp_path}/log', "-", *command()]
    with running(tmp_path, shell, {}) as server:
        assert all(_answers(server) for _ in range(600))  # 100 kB of log
    os.close(reader)


def _answers(server: Server) -> bool:
    return server.ask("GET", "/healthz").status == 200
