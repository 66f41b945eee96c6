"""Who scores shards: the port, and the processes of this machine."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any, Protocol, Self, cast

import graders_engine
from graders_engine.dataset.scoring.grading import Job, Scored
from graders_engine.dataset.scoring.shards import Shard
from graders_engine.errors import DataSetError

STARTS = 3
"""Times that a worker is started before its end at the start is told as an error."""
_GONE = (EOFError, OSError, pickle.UnpicklingError)
"""What talking to a process that died raises; its last answer may be cut off."""


class Workers(Protocol):
    """Processes, here or elsewhere, that score shards of one job. Used as a `with` block.

    Attributes:
        room: shards that should be submitted at once, so that every worker has something to do.
    """

    room: int

    def submit(self, shard: Shard, *, alone: bool = False) -> None:
        """Have a shard scored; with `alone`, by a worker that has no other one meanwhile."""
        ...

    def next_done(self) -> tuple[Shard, Scored | None]:
        """Wait for any shard that was submitted; None instead of its results when its worker was lost.

        Raises:
            DataSetError: no worker can be had.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalWorkers:
    """Processes of this machine; one that dies is replaced.

    Args:
        job: what they do.
        count: how many.
    """

    def __init__(self, job: Job, count: int) -> None:
        self.room = 2 * count  # one under way and one waiting for each
        self._job = pickle.dumps(job)
        self._submitted: SimpleQueue[Shard | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[Shard, Scored | None] | Exception] = SimpleQueue()
        self._under_way = 0
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._closing = False
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing = True
        if self._under_way:
            for process in tuple(self._processes):
                process.kill()
        for _ in self._threads:
            self._submitted.put(None)
        for thread in self._threads:
            thread.join()

    def submit(self, shard: Shard, *, alone: bool = False) -> None:
        """Have a shard scored; every one is alone with its worker here."""
        self._under_way += 1
        self._submitted.put(shard)

    def next_done(self) -> tuple[Shard, Scored | None]:
        """Wait for any shard that was submitted."""
        done = self._done.get()
        if isinstance(done, Exception):
            raise done
        self._under_way -= 1
        return done

    def _serve(self) -> None:
        """One worker's thread: it hands shards to a process and takes back what they became."""
        process = None
        try:
            while (shard := self._submitted.get()) and not self._closing:
                process = process or self._started()
                scored = _asked(process, shard)
                if scored is None:
                    self._end(process)
                    process = None
                self._done.put((shard, scored))
        except Exception as error:  # noqa: BLE001 - whoever waits for the shard must not wait for ever
            self._done.put(error)
        finally:
            if process:
                self._end(process)

    def _started(self) -> subprocess.Popen[bytes]:
        for _ in range(STARTS):
            process = self._begun()
            if _asked(process, self._job) is not None:
                return process
            code = self._end(process)
            if self._closing:
                break
        raise DataSetError(
            f"A worker process cannot be started: it ended with code {code}. What it says is above; "
            "--workers 1 does without."
        )

    def _begun(self) -> subprocess.Popen[bytes]:
        root = str(Path(graders_engine.__file__).parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "graders_engine.dataset.scoring.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is for the one who asked for the work
            )
        except OSError as error:
            raise DataSetError(f"A worker process cannot be started: {error.strerror}.") from None
        self._processes.add(process)
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        """Close a worker's pipes, which ends it, and wait for that."""
        self._processes.discard(process)
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe:
                    pipe.close()
            except OSError:  # what it was sent last never reached it
                pass
        return process.wait()


def _asked(process: subprocess.Popen[bytes], message: Shard | bytes) -> Any:
    """A process's answer to a shard, or to a job that is a pickle already; None when the process is gone."""
    stdin, stdout = cast("tuple[IO[bytes], IO[bytes]]", (process.stdin, process.stdout))  # pipes
    try:
        stdin.write(message if isinstance(message, bytes) else pickle.dumps(message))
        stdin.flush()
        return pickle.load(stdout)  # noqa: S301 - our own program
    except _GONE:
        return None
