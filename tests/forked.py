"""Commands in processes that are forked from one that has imported what they import.

They are processes of their own, with their own standard streams, folder and environment, and end as those do
that `python -m graders_engine` starts; but they start at once, while that one imports the package anew.
Tests of how a command starts, and of what it imports, start it by itself.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Self

ROOT = Path(__file__).parent.parent
OFFLINE = os.fspath(Path(__file__).parent / "offline")


class Forked:
    """A process that runs a command; it has what tests use of `subprocess.Popen`."""

    def __init__(self, told: socket.socket, stdout: IO[str], stderr: IO[str] | None) -> None:
        self._told = told
        self.stdout, self.stderr = stdout, stderr
        self.returncode: int | None = None
        self.pid = self._number(None)

    def _number(self, timeout_s: float | None) -> int:
        self._told.settimeout(timeout_s)
        said = self._told.recv(8, socket.MSG_WAITALL)
        assert len(said) == 8, "the process that forks has ended"
        return int.from_bytes(said, "big", signed=True)

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            try:
                self.returncode = self._number(timeout)
            except TimeoutError:
                raise subprocess.TimeoutExpired(["graders"], timeout or 0) from None
        return self.returncode

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired, BlockingIOError):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        for opened in (self.stdout, self.stderr, self._told):
            if opened is not None:
                opened.close()


class _Forking:
    """The process that forks; it is started for the first command.

    Args:
        python: what starts it.
        environment: its environment; commands may have others, but for what is read at the start.
    """

    def __init__(self, python: str, environment: Mapping[str, str]) -> None:
        self.asking = threading.Lock()
        self.connection, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [python, "-m", "tests.forking", str(theirs.fileno())], cwd=ROOT, env=environment,
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        self.variables = _read_at_the_start(environment)
        atexit.register(self.end)

    def end(self) -> None:
        self.connection.close()
        self.process.wait()

    def ask(self, request: dict[str, Any], descriptors: list[int]) -> None:
        body = json.dumps(request).encode()
        with self.asking:
            socket.send_fds(self.connection, [len(body).to_bytes(8, "big")], descriptors)
            self.connection.sendall(body)


_started: dict[str, _Forking] = {}


def _forking(python: str, environment: Mapping[str, str]) -> _Forking:
    if python not in _started:
        _started[python] = _Forking(python, os.environ if python == sys.executable else environment)
    return _started[python]


def _read_at_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    """What is read as Python starts, and as modules are imported; more folders of modules do no harm."""
    customized = [
        path
        for path in environment.get("PYTHONPATH", "").split(os.pathsep)
        if path and Path(path, "sitecustomize.py").exists() and path != OFFLINE
    ]
    return {"customized": os.pathsep.join(customized)} | {
        name: value
        for name, value in environment.items()
        if name != "PYTHONPATH"
        and name.startswith(("GRADERS_PURE", "GRADERS_TESTS", "LANG", "LC_", "LD_", "PYTHON", "TZ"))
    }


def is_measured(environment: Mapping[str, str]) -> bool:
    """Whether coverage measures the processes that have this environment; it does so from their start."""
    return any(name.startswith("COV") for name in environment)


def start(
    *arguments: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    given: int = subprocess.DEVNULL,
    errors: IO[Any] | None = None,
    python: str = sys.executable,
) -> Forked | subprocess.Popen[str]:
    """Start `graders` with these arguments.

    Args:
        arguments: the command line, without `graders`.
        folder: where it runs; this process's folder by default.
        environment: all of it; this process's by default.
        given: the descriptor of what it reads from standard input.
        errors: where it writes what is not its output; by default to a pipe.
        python: what starts a Python, and a process that forks of its own: this process's Python by default.
    """
    environment = os.environ if environment is None else environment
    forking = None if is_measured(environment) else _forking(python, environment)
    if forking is None or _read_at_the_start(environment) != forking.variables:
        return subprocess.Popen(
            [python, "-m", "graders_engine", *arguments], cwd=folder, env=environment, text=True,
            stdin=given, stdout=subprocess.PIPE, stderr=errors or subprocess.PIPE,
        )  # fmt: skip
    request = {
        "arguments": arguments,
        "folder": os.path.abspath(folder or "."),
        "environment": dict(environment),
    }
    ours, theirs = socket.socketpair()
    with contextlib.ExitStack() as opened:
        opened.enter_context(theirs)
        if given == subprocess.DEVNULL:
            given = opened.enter_context(open(os.devnull, "rb")).fileno()
        pipes = [os.pipe() for _ in range(1 if errors else 2)]
        for _, end in pipes:
            opened.callback(os.close, end)
        standard = [given, *(end for _, end in pipes), *([errors.fileno()] if errors else [])]
        forking.ask(request, [*standard, theirs.fileno()])
    read = [os.fdopen(end, encoding="utf-8") for end, _ in pipes]
    return Forked(ours, read[0], None if errors else read[1])


def graders(
    *arguments: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    given: str = "",
    python: str = sys.executable,
) -> subprocess.CompletedProcess[str]:
    """What `graders` prints, and the code it ends with; the same as for `start`, with the text it reads."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        file.write(given)
        file.seek(0)
        with (
            start(
                *arguments,
                folder=folder,
                environment=environment,
                given=file.fileno(),
                python=python,
            ) as process,
            ThreadPoolExecutor(2) as readers,
        ):
            assert process.stdout is not None
            assert process.stderr is not None
            printed = [readers.submit(one.read) for one in (process.stdout, process.stderr)]
            try:
                code = process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    out, err = (one.result() for one in printed)
    return subprocess.CompletedProcess(["graders", *arguments], code, out, err)
