"""A real server in a process of its own, and ways to talk to it below the level of a client."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import forked

GRADERS = [sys.executable, "-m", "graders_engine"]
RUN = "/v1/fine_tuning/alpha/graders/run"
VALIDATE = "/v1/fine_tuning/alpha/graders/validate"
BATCH = "/v1/fine_tuning/alpha/graders/run_batch"

CHECK: dict[str, Any] = {
    "type": "string_check",
    "name": "label",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "operation": "eq",
}
GOOD: dict[str, Any] = {"grader": CHECK, "model_sample": "cat", "item": {"label": "cat"}}
SLEEPER: dict[str, Any] = {
    "type": "python",
    "name": "sleeper",
    "source": "import time\ndef grade(sample, item):\n    time.sleep(item['seconds'])\n    return 1.0\n",
}


def python(body: str) -> dict[str, Any]:
    return {"type": "python", "name": "p", "source": f"def grade(sample, item):\n    {body}\n"}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_constant=_no_constant)

    @property
    def error(self) -> dict[str, Any]:
        assert set(self.json) == {"error"}
        assert set(self.json["error"]) == {"message", "type", "param", "code"}
        error: dict[str, Any] = self.json["error"]
        return error


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


@dataclass
class Server:
    """The process, its address and its log."""

    process: subprocess.Popen[str] | forked.Forked
    url: str
    log_file: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_file.read_text().splitlines()]

    def connect(self, timeout_s: float = 60.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout_s)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            connection.request(
                method, path, sent, {"content-type": "application/json", **(headers or {})}
            )
            response = connection.getresponse()
            return Answer(response.status, _lower(response.getheaders()), response.read())
        finally:
            connection.close()

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.ask("POST", path, body, headers)

    def is_well(self) -> bool:
        """Whether it grades."""
        answer = self.post(RUN, GOOD)
        return answer.status == 200 and answer.json["reward"] == 1.0

    def metric(self, name: str, headers: dict[str, str] | None = None) -> float:
        """One sample of /metrics, by its name with labels; 0.0 where it is not shown."""
        for line in self.ask("GET", "/metrics", None, headers).body.decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split(" ")[-1])
        return 0.0

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def _lower(headers: list[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def read_answer(connection: socket.socket) -> Answer:
    """The next answer on a socket."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Answer(response.status, _lower(response.getheaders()), response.read())


def raw_request(path: str, body: bytes, *headers: str) -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *headers]
    head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def command(*flags: str) -> list[str]:
    port = () if "--port" in flags else ("--port", "0")
    return [*GRADERS, "serve", *port, *flags]


def serving(folder: Path, *flags: str, **environment: str) -> AbstractContextManager[Server]:
    """Start a server, and stop it as its users do; its exit code must be 0."""
    return running(folder, command(*flags), environment)


@contextmanager
def running(folder: Path, started: list[str], environment: dict[str, str]) -> Iterator[Server]:
    """The same for a server that is started by another command line than the usual one."""
    log_file = folder / f"server-{time.monotonic_ns()}.log"
    with log_file.open("wb") as log:
        process: subprocess.Popen[str] | forked.Forked
        if started[:3] == GRADERS:
            process = forked.start(
                *started[3:], folder=folder, environment={**os.environ, **environment}, errors=log
            )
        else:
            process = subprocess.Popen(
                started, stdout=subprocess.PIPE, stderr=log, text=True,
                cwd=folder, env={**os.environ, **environment},
            )  # fmt: skip
    assert process.stdout is not None
    with process:
        try:
            line = process.stdout.readline()
            assert line.startswith("Serving graders on http://"), log_file.read_text()
            yield Server(process, line.split(" ")[3], log_file)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, log_file.read_text()
        finally:
            process.kill()


def eventually(holds: Any, seconds: float = 30.0) -> bool:
    """Whether the condition becomes true; how soon decides nothing."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return False
