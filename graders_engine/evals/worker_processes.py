"""The processes that work on runs and jobs: given their settings at the start, and left alone at the end."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from graders_engine.errors import GradersError
from graders_engine.processes import OWN_GROUP
from graders_engine.settings import EngineSettings
from graders_engine.settings_json import as_json

INTERVAL_S, POLL_S = 0.25, 0.05
"""Seconds between two looks at the work: in a server, and where somebody waits for a part of it."""
KILL_S = 10.0
"""A worker that does not end so long after its work was cancelled is killed."""
_LOG_CHARS = 2_000
"""Of the end of a dead worker's log, in an error."""

_log = logging.getLogger("graders_engine")


class WorkerProcesses(ABC):
    """Looks after the workers of one kind of work, of which each piece has an id.

    Args:
        settings: that each worker gets.
        what: is worked on, for the log.

    Raises:
        InvalidRequest: the settings hold an object, which no worker can have.
    """

    def __init__(self, settings: EngineSettings, what: str) -> None:
        self._sent, self._what = as_json(settings), what
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._woken = asyncio.Event()

    @abstractmethod
    def look(self, only: str | None = None) -> None:
        """Look at all work once, or at this piece: start, start again, end what is to end."""

    def wake(self) -> None:
        """Look at once; called in the event loop of `watch`."""
        self._woken.set()

    async def watch(self) -> None:
        """Look after the work until this is cancelled; the workers go on then.

        What keeps it from doing so is logged, and tried again.
        """
        logged = ""
        try:
            while True:
                self._woken.clear()
                try:
                    await asyncio.to_thread(self.look)
                except (GradersError, OSError) as error:
                    if str(error) != logged:
                        logged = str(error)
                        _log.warning("%s cannot be worked on: %s", self._what, logged)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), INTERVAL_S)
        finally:
            self.close()

    def close(self) -> None:
        """Leave the workers to themselves: they go on, and their locks tell others of them."""
        for process in self._started.values():
            if process.poll() is None:
                process.returncode = 0  # else its object complains that nobody waited
        self._started.clear()

    def _reap(self) -> None:
        """Take note of what has ended: else it stays a zombie until this process ends."""
        for id_, process in list(self._started.items()):
            if process.poll() is not None:
                del self._started[id_]

    def _wait_for(self, id_: str) -> None:
        """Let a worker end that has said its last word, and leave the others."""
        with suppress(KeyError, subprocess.TimeoutExpired):
            self._started.pop(id_).wait(KILL_S)
        self.close()

    def _spawn(
        self, id_: str, command: Sequence[str], log: Path, variables: Mapping[str, str]
    ) -> None:
        """Start a worker in the folder of its log.

        Raises:
            OSError: this system does not.
        """
        log_file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        # A file, not a pipe: should this process end just now, the worker has all of its settings.
        with os.fdopen(log_file, "ab") as printed, TemporaryFile() as settings:
            settings.write(self._sent)
            settings.seek(0)
            self._started[id_] = subprocess.Popen(  # noqa: S603 - this package's own program
                command, stdin=settings, stdout=printed, stderr=printed, cwd=log.parent,
                env=variables, **OWN_GROUP,
            )  # fmt: skip


def end_of_log(log: Path) -> str:
    """The last lines of a worker's log; empty where there is none."""
    try:
        with log.open("rb") as file:
            return end_of(file)
    except OSError:
        return ""


def end_of(file: IO[bytes]) -> str:
    """The last lines of a file, which may be large."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LOG_CHARS))
    end = file.read()
    if len(end) < size:
        end = end.partition(b"\n")[2] or end  # a line's end says nothing without its beginning
    return end.decode("utf-8", "replace").strip()
