"""What a pool holds outside of Python's memory, and how it is given back when nobody closes the pool."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Collection
from functools import partial

from graders_engine.sandbox.base import SandboxUnavailable
from graders_engine.sandbox.process import Worker, WorkerState
from graders_engine.sandbox.scratch_dirs import ScratchDirs
from graders_engine.sandbox.watchdog import Watchdog

REAP_S = 5.0
"""How long to wait for processes that have been killed."""
_POLL_S = 0.005


class Owned:
    """The processes, folders and the thread of one pool. It does not refer to the pool.

    Args:
        workers: those that the pool uses; the pool changes this collection.
        discarded: those that are ending; the pool changes this one, too.

    Attributes:
        is_closed: whether the pool takes no more rows.
    """

    def __init__(self, workers: Collection[Worker], discarded: Collection[Worker]) -> None:
        self._workers, self._discarded = workers, discarded
        self._process: int | None = None
        self._watchdog: Watchdog | None = None
        self._scratch_dirs: ScratchDirs | None = None
        self.is_closed = False

    def watch(self, wall_s: float) -> None:
        """Have the workers watched, from the first one on.

        Raises:
            SandboxUnavailable: there is no thread for it.
        """
        if self._watchdog is None:
            self._process = os.getpid()
            try:
                self._watchdog = Watchdog(partial(list, self._workers), wall_s)
            except RuntimeError:
                raise SandboxUnavailable(
                    "this system refuses another thread: see the limit on processes (`ulimit -u`)"
                ) from None

    def new_folder(self) -> str:
        """Make a scratch folder on the host."""
        if self._scratch_dirs is None:
            self._scratch_dirs = ScratchDirs()
        return self._scratch_dirs.new()

    async def stop_watchdog(self) -> None:
        """End the thread that watches."""
        if self._watchdog is not None:
            self._watchdog.stop()
            while self._watchdog.is_running:  # no thread to wait in: the system may refuse one
                await asyncio.sleep(_POLL_S)

    async def close_folders(self) -> None:
        """`remove_folders`, in a thread where the system allows one: a crowd of files takes long."""
        try:
            await asyncio.to_thread(self.remove_folders)
        except RuntimeError:
            self.remove_folders()

    def remove_folders(self) -> None:
        """Remove the scratch folders; there is nothing left to release then."""
        if self._scratch_dirs is not None:
            self._scratch_dirs.close()
        self._scratch_dirs = self._watchdog = None

    def release(self) -> None:
        """End all of it, without the pool and its event loop; from any thread, and in a collection.

        In a forked process nothing is done: all of it belongs to the process that made it.
        """
        if os.getpid() != self._process or self._watchdog is None:
            return
        self.is_closed = True
        self._watchdog.request_stop()
        for worker in list(self._workers):
            worker.abandon()
        if threading.main_thread().is_alive():
            threading.Thread(target=self._clean_up, name="sandbox-cleanup").start()
        else:  # the interpreter is ending: it starts no thread any more, and has nothing else to do
            self._clean_up()

    def _clean_up(self) -> None:
        pending: list[Worker] = [*self._workers, *self._discarded]
        deadline = time.monotonic() + REAP_S
        while pending and time.monotonic() < deadline:
            for worker in pending:
                if worker.is_orphaned:  # its loop was closed before it could discard the worker
                    worker.discard()
            pending = [w for w in pending if w.state is not WorkerState.DISCARDED or not w.reap()]
            time.sleep(_POLL_S)
        self.remove_folders()
