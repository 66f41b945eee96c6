"""Forks a process for each command that it is asked for; `tests.forked` starts this and asks.

    python -m tests.forking DESCRIPTOR

It has imported what the commands import, which takes a command that starts by itself longer than all that it
does in most tests. It reads requests from the socket DESCRIPTOR until that is closed.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import socket
import sys
from importlib import import_module
from typing import Any

from graders_engine.cli.main import COMMANDS, module_of

# What commands import when they come to it.
LATER = (
    "aiohttp",
    "asyncio",
    "filelock",
    "graders_engine.dataset.results.compare",
    "graders_engine.engine",
    "graders_engine.jobs.creating",
    "graders_engine.jobs.validation.validating",
    "graders_engine.preflight.examine",
    "graders_engine.report.html.eval_run",
    "graders_engine.report.html.page",
    "graders_engine.report.terminal.compare",
    "graders_engine.server.evals.routes",
    "graders_engine.server.files.routes",
    "graders_engine.server.jobs.handlers",
    "graders_engine.server.reward.route",
    "graders_engine.server.serving",
    "graders_engine.server.store.local_judges",
    "graders_engine.server.uvicorn_protocol",
    "graders_engine.server.uvicorn_server",
    "graders_engine.statistics.correlation",
    "jinja2",
    "numpy.ma",
    "ruamel.yaml",
    "sqlite3",
)


def received(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next request, and its descriptors: the three standard streams, and where its end is told."""
    head, descriptors, _, _ = socket.recv_fds(connection, 8, 4)
    if not head:
        return None
    left, body = int.from_bytes(head, "big"), bytearray()
    while len(body) < left:
        body += connection.recv(left - len(body))
    request: dict[str, Any] = json.loads(body)
    return request, descriptors


def forked(connection: socket.socket) -> dict[str, Any] | None:
    """In a process made for it, the next command; None in this one, when there is none left to come."""
    while (asked := received(connection)) is not None:
        request, (*standard, told) = asked
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if (command := os.fork()) == 0:
                connection.close()
                os.close(told)
                for number, descriptor in enumerate(standard):
                    os.dup2(descriptor, number)
                    os.close(descriptor)
                return request
            _tell_how_it_ends(command, standard, told)
        for descriptor in (*standard, told):
            os.close(descriptor)
    return None


def _tell_how_it_ends(command: int, standard: list[int], told: int) -> None:
    """The number of a process, and then the status with which it ends."""
    for descriptor in (0, 1, 2, *standard):
        os.close(descriptor)
    os.write(told, command.to_bytes(8, "big"))
    _, status = os.waitpid(command, 0)
    os.write(told, os.waitstatus_to_exitcode(status).to_bytes(8, "big", signed=True))
    os._exit(0)


def become(request: dict[str, Any]) -> None:
    """Run a command as `python -m graders_engine` does, in this process."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    more = filter(None, request["environment"].get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:1] = [request["folder"], *(path for path in more if path not in sys.path[1:])]
    sys.argv = ["", *request["arguments"]]
    # The command itself makes anew what writes to the two others.
    sys.stdin = os.fdopen(0, encoding=sys.stdin.encoding, errors=sys.stdin.errors)
    runpy.run_module("graders_engine", run_name="__main__", alter_sys=True)


def main() -> None:
    for name in COMMANDS:
        import_module(f"graders_engine.cli.{module_of(name)}")
    for name in LATER:
        import_module(name)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that tell
    if request := forked(socket.socket(fileno=int(sys.argv[1]))):
        become(request)


if __name__ == "__main__":
    main()
