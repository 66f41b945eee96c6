"""A job in several processes, which `accelerate launch` starts; this one passes on what they tell it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Listener, wait
from pathlib import Path
from typing import Any

from graders_engine.training.trainer import (
    JobSpec,
    Report,
    Resumed,
    TrainingFailed,
    TrainingPaused,
)

_END_S = 10.0
"""How long the processes may take to end by themselves."""
_LOOK_S = 0.5


def train_in_processes(spec: JobSpec, resumed: Resumed | None, report: Report) -> None:
    """Train as the configuration of `accelerate launch` says that the spec names.

    Raises:
        TrainingFailed, TrainingPaused: as by the first process.
        RuntimeError: a process died.
    """
    with tempfile.TemporaryDirectory(prefix="graders-ranks-") as folder:
        address = str(Path(folder) / "socket")
        with Listener(address, "AF_UNIX") as listener, _started(spec, address) as process:
            ranks = _connected(listener, process, (spec, resumed))
            Served(report, ranks).serve()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)


@contextmanager
def _started(spec: JobSpec, address: str) -> Iterator[subprocess.Popen[bytes]]:
    """The processes, which end with the context."""
    command = [
        *(sys.executable, "-P", "-m", "accelerate.commands.launch"),
        *("--config_file", str(spec.accelerate)),
        *("-m", "graders_engine.training.rank", address),
    ]
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    process = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 - of this machine
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _connected(
    listener: Listener, process: subprocess.Popen[bytes], given: Any
) -> list[Connection[Any, Any]]:
    """The connections of all processes, in the order of their ranks, each with what it was given."""
    found: dict[int, Connection[Any, Any]] = {}
    size = 1
    while len(found) < size:
        # The listener's own socket: `accept` would wait for a process that died.
        while not wait([listener._listener._socket], _LOOK_S):  # type: ignore[attr-defined]
            if process.poll() is not None:
                raise RuntimeError("accelerate launch has ended before its processes began.")
        connection = listener.accept()
        rank, size = connection.recv()
        connection.send(given)
        found[rank] = connection
    return [found[rank] for rank in range(size)]


class Served:
    """The report of a job in several processes.

    All processes do the same: what one of them asks at the end of a step, or to keep weights, all ask. Other
    calls come from the first one alone.

    Args:
        report: where the calls go.
        ranks: the processes.
    """

    def __init__(self, report: Report, ranks: Sequence[Connection[Any, Any]]) -> None:
        self._report, self._ranks = report, ranks

    def serve(self) -> None:
        """Answer until the first process is done."""
        first = self._ranks[0]
        try:
            while True:
                name, arguments = first.recv()
                if name == "done":
                    return
                if name == "failed":
                    raise TrainingFailed(*arguments)
                if name == "paused":
                    raise TrainingPaused(*arguments)
                self._call(name, arguments)
        except (EOFError, ConnectionError) as error:
            raise RuntimeError("A process of accelerate launch has died.") from error

    def _call(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "wanted":
            self._other_ranks(name)
            self._answer(self._report.wanted)
        elif name == "checkpoint":
            self._other_ranks(name)
            step, valid, final = arguments
            self._report.checkpoint(step, self._write, valid, final=final)
            self._answer(None)
        else:
            getattr(self._report, name)(*arguments)
            self._ranks[0].send(None)

    def _other_ranks(self, name: str) -> None:
        for rank in self._ranks[1:]:
            called, _ = rank.recv()
            if called != name:
                raise RuntimeError(f"The first process calls {name}, and another one {called}.")

    def _answer(self, value: Any) -> None:
        for rank in self._ranks:
            rank.send(value)

    def _write(self, folder: Path) -> None:
        """Let all processes write their parts of a checkpoint."""
        self._answer(folder)
        errors = [error for rank in self._ranks if (error := rank.recv()) is not None]
        if errors:
            raise errors[0]
