"""Finds the process that answers, and starts it where there is none."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

from graders_engine.files import without_paths
from graders_engine.inference.environment import environment
from graders_engine.inference.errors import ModelLost, ModelUnavailable
from graders_engine.inference.options import InferenceOptions
from graders_engine.inference.place import LOCK, LOG, Address, address_in
from graders_engine.processes import OWN_GROUP
from graders_engine.storage.lock import ProcessLock

LOCKED = 75
"""Exit code of a process that found another one at work."""
START_S = 60.0
"""How long is waited until it listens; it does before it loads anything."""
_POLL_S = 0.02
_LOG_CHARS = 2_000
_LONGEST_LOG = 1 << 20
_WORKER = "graders_engine.inference.worker"


class Starter:
    """Finds or starts the process of a folder.

    Args:
        folder: of the process; it is made where it is missing.
        options: for a process that is started.
    """

    def __init__(self, folder: Path, options: InferenceOptions) -> None:
        self._folder, self._options = folder.absolute(), options
        self._started: subprocess.Popen[bytes] | None = None
        self._has_begun = False
        self._log_start = 0
        self._looking = threading.Lock()

    @property
    def folder(self) -> Path:
        """The process's."""
        return self._folder

    async def address(self, lost: Address | None = None) -> Address:
        """Where the process answers; it is started if need be.

        Args:
            lost: where nobody answers, whatever the folder says.

        Raises:
            ModelUnavailable: it cannot be started.
        """
        found = address_in(self._folder)
        if found is not None and found != lost:
            return found
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            await asyncio.to_thread(self._look)
            found = address_in(self._folder)
            if found is not None and found != lost:
                self._has_begun = True
                return found
            await asyncio.sleep(_POLL_S)
        raise ModelUnavailable(
            f"The process that answers has not begun within {START_S:.0f} s.{self._log()}"
        )

    def _look(self) -> None:
        """Start a process if none lives; one thread at a time.

        Raises:
            ModelUnavailable: one that was started has died before it answered anything; `ModelLost` if it was
                killed; or its folder cannot be used.
        """
        with self._looking:
            try:
                self._look_alone()
            except OSError as error:
                raise ModelUnavailable(
                    f"The process that answers has no folder: it cannot be used: {error.strerror}."
                ) from error

    def _look_alone(self) -> None:
        if self._started is not None:
            code = self._started.poll()
            if code is None:
                return
            self._started = None
            if code < 0 and not self._has_begun:
                raise ModelLost("The process that answers was killed as it began: ask again.")
            if code not in (0, LOCKED) and not self._has_begun:
                raise ModelUnavailable(f"The process that answers cannot start.{self._log()}")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = ProcessLock(self._folder / LOCK)
        free = lock.take()
        lock.release()
        if free:
            self._start()

    def _start(self) -> None:
        if sys.platform == "win32":
            raise ModelUnavailable(
                "Models of this machine do not answer on Windows: use WSL 2, or a Linux container."
            )
        options, self._has_begun = self._options, False
        command = [
            options.python, "-P", "-m", _WORKER, str(self._folder),
            "--idle-s", str(options.idle_s),
            "--device", options.device,
            "--generator", options.generator,
        ]  # fmt: skip
        log_file = os.open(self._log_path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            with os.fdopen(log_file, "ab") as log:
                self._log_start = os.fstat(log_file).st_size
                self._started = subprocess.Popen(  # noqa: S603 - this package's own program
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder,
                    env=environment(), **OWN_GROUP,
                )  # fmt: skip
            # Else it would stay a zombie when it has ended.
            Thread(target=self._started.wait, daemon=True, name="reaper").start()
        except OSError as error:
            raise ModelUnavailable(
                f"The process that answers cannot be started: {options.python}: {error.strerror}. "
                "[inference] or [training] in graders.toml names its Python."
            ) from None

    def _log_path(self) -> Path:
        """The log that a process adds to; a long one begins again."""
        path = self._folder / LOG
        if path.exists() and path.stat().st_size > _LONGEST_LOG:
            path.unlink(missing_ok=True)
        return path

    def _log(self) -> str:
        """A sentence with the end of what this process has printed; others had other callers."""
        with suppress(OSError):
            printed = (self._folder / LOG).read_bytes()[self._log_start :][-_LOG_CHARS:]
            text = without_paths(printed.decode("utf-8", "replace").strip())
            return f" The end of its log: {text or '(empty)'}"
        return ""
