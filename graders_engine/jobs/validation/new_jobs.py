"""Starts the checks of new jobs, some at a time, and again when one has ended without a result."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from tempfile import TemporaryFile
from typing import IO

from graders_engine.evals.run.spec import environment_without_keys
from graders_engine.evals.worker_processes import end_of
from graders_engine.files import without_paths
from graders_engine.jobs.states import change
from graders_engine.jobs.validation.validating import VALIDATING
from graders_engine.jobs.validation.validator import FULL_DISK
from graders_engine.processes import OWN_GROUP, end_group
from graders_engine.storage.job_records import NewEvent
from graders_engine.storage.store import Store

ATTEMPTS = 3
"""Checks of a job that may end without a result; then the job has failed."""
AT_ONCE = 2
"""Checks at a time: one may wait for a download."""
POLL_S = 0.2
SLOW_S = 120.0
"""A check that takes longer is warned of."""
AGAIN_S = 30.0
"""How often new jobs are looked for when nobody says that there is one."""
COMMAND = (sys.executable, "-P", "-m", "graders_engine.jobs.validation.validator")
_DOWNLOADING = ("HF_", "HUGGING_FACE_")
"""How variables begin that say where models are downloaded, and with which token."""
_GPUS = "CUDA_VISIBLE_DEVICES"

_log = logging.getLogger("graders_engine")


class NewJobs:
    """Checks the jobs of a store that are new.

    Args:
        store: where they are.
        config: path of graders.toml; empty without one.
        on_queued: called when a job was queued.
        command: starts a check; the folder, the job's id and the path are added.
    """

    def __init__(
        self,
        store: Store,
        config: str,
        on_queued: Callable[[], None],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._store, self._config, self._on_queued = store, config, on_queued
        self._command = command
        self._woken = asyncio.Event()
        self._ended: dict[str, int] = {}

    def wake(self) -> None:
        """Look for new jobs now. To be called in the event loop."""
        self._woken.set()

    async def watch(self) -> None:
        """Check what is new, for ever; what is being checked at a cancellation, the next server checks.

        Raises:
            GradersError: the store cannot be read or written.
            OSError: the disk is full, or no process can be started.
        """
        checking: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                self._woken.clear()
                for state in await asyncio.to_thread(self._store.jobs.states, VALIDATING):
                    if state.id not in checking and len(checking) < AT_ONCE:
                        checking[state.id] = asyncio.create_task(self._check(state.id))
                await self._wait_for(checking.values())
                for job_id in [one for one, task in checking.items() if task.done()]:
                    checking.pop(job_id).result()
        finally:
            for task in checking.values():
                task.cancel()
            await asyncio.gather(*checking.values(), return_exceptions=True)

    async def _wait_for(self, checking: Collection[asyncio.Task[None]]) -> None:
        """Wait until there is something to do."""
        woken = asyncio.create_task(self._woken.wait())
        try:
            await asyncio.wait(
                {woken, *checking}, timeout=AGAIN_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            woken.cancel()

    async def _check(self, job_id: str) -> None:
        command = [*self._command, str(self._store.folder.absolute()), job_id, self._config]
        with TemporaryFile() as printed:
            process = subprocess.Popen(  # noqa: S603 - no part of the command comes from a request
                command, cwd=self._store.folder, env=environment(), stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=printed, **OWN_GROUP,
            )  # fmt: skip
            try:
                slow_at = time.monotonic() + SLOW_S
                while process.poll() is None and not await self._is_cancelled(job_id):
                    await asyncio.sleep(POLL_S)
                    if time.monotonic() > slow_at:
                        slow_at = math.inf
                        await asyncio.to_thread(self._say_that_it_is_slow, job_id)
            finally:
                _end(process)
            if process.returncode == FULL_DISK:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            await self._judge(job_id, printed)

    def _say_that_it_is_slow(self, job_id: str) -> None:
        message = (
            f"The check of the job's files has taken {SLOW_S:g} s so far; a model may have to be "
            f"downloaded. At most {AT_ONCE} jobs are checked at a time."
        )
        self._store.jobs.add_event(
            job_id, "warn", message, once="slow check", while_in=[VALIDATING]
        )

    async def _is_cancelled(self, job_id: str) -> bool:
        state = await asyncio.to_thread(self._store.jobs.state, job_id)
        return state is None or state.status == "cancelled"

    async def _judge(self, job_id: str, printed: IO[bytes]) -> None:
        """See what came of a check."""
        state = await asyncio.to_thread(self._store.jobs.state, job_id)
        if state is None or state.status != VALIDATING:
            self._ended.pop(job_id, None)
            self._on_queued()
            return
        self._ended[job_id] = self._ended.get(job_id, 0) + 1
        if self._ended[job_id] < ATTEMPTS:
            return
        del self._ended[job_id]
        await asyncio.to_thread(self._give_up, job_id, end_of(printed))

    def _give_up(self, job_id: str, printed: str) -> None:
        _log.warning("the check of job %s ended without a result: %s", job_id, printed)
        message = (
            f"The check of the job's files ended {ATTEMPTS} times without a result: "
            f"{without_paths(printed) or 'it was killed.'}"
        )
        error = {"code": "validation_failed", "message": message, "param": None}
        event = NewEvent("error", message)
        change(self._store.jobs, job_id, "failed", [VALIDATING], [event], error=error)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a check with what it has started, such as a download; that may live when the check is dead."""
    with contextlib.suppress(OSError):
        end_group(process.pid)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def environment(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a check: what a download needs, and no key of the server's or of a judge's."""
    more = {
        name: value
        for name, value in given.items()
        if name.startswith(_DOWNLOADING) or name == _GPUS
    }
    return environment_without_keys(given) | more
