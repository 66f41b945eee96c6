"""Who scores shards: the port, and processes of this machine."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Protocol, Self, cast

import graders_engine
from graders_engine.dataset.rows.shards import Shard
from graders_engine.dataset.scoring.grading import Job, ShardResults
from graders_engine.errors import DataSetError
from graders_engine.processes import OWN_GROUP

MAX_EXITS = 3
"""How often a worker may exit by itself while it starts, before that is reported as an error."""
MAX_KILLS = 8
"""How often in a row a worker may be killed while it starts, such as by a system that is out of memory."""
KILL_WAIT_S = 0.1
"""Seconds to wait after the first such kill; twice as long after each further one, 25 s in all."""
_GONE = (EOFError, OSError, pickle.UnpicklingError)
"""Raised by talking to a process that died; its last answer may be incomplete."""


class Workers(Protocol):
    """Processes, here or elsewhere, that score the shards of one job. Used as a `with` block.

    Attributes:
        room: how many shards to submit at once, so that every worker has something to do.
    """

    room: int

    def submit(self, shard: Shard, *, alone: bool = False) -> None:
        """Have a shard scored; with `alone`, by a worker that has no other shard meanwhile."""
        ...

    def next_done(self) -> tuple[Shard, ShardResults | None]:
        """Wait for any submitted shard; its results are None if its worker was lost.

        Raises:
            DataSetError: workers cannot be started.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class LocalWorkers:
    """Processes of this machine; one that dies is replaced.

    Args:
        job: what they do.
        count: how many.
    """

    def __init__(self, job: Job, count: int) -> None:
        self.room = 2 * count  # one being scored and one waiting for each
        self._job = pickle.dumps(job)
        self._submitted: SimpleQueue[Shard | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[Shard, ShardResults | None] | Exception] = SimpleQueue()
        self._in_flight = 0
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        if self._in_flight:
            for process in tuple(self._processes):
                process.kill()
        for _thread in self._threads:
            self._submitted.put(None)
        for thread in self._threads:
            thread.join()

    def submit(self, shard: Shard, *, alone: bool = False) -> None:
        """Have a shard scored; here, every shard is alone in its worker."""
        self._in_flight += 1
        self._submitted.put(shard)

    def next_done(self) -> tuple[Shard, ShardResults | None]:
        """Wait for any submitted shard."""
        done = self._done.get()
        if isinstance(done, Exception):
            raise done
        self._in_flight -= 1
        return done

    def _serve(self) -> None:
        """The thread of one worker: sends shards to a process and receives their results."""
        process = None
        try:
            while (shard := self._submitted.get()) and not self._closing.is_set():
                process = process or self._start()
                results = _ask(process, shard)
                if results is None:
                    self._end(process)
                    process = None
                self._done.put((shard, results))
        except Exception as error:  # noqa: BLE001 - raised by `next_done`, which must not wait for ever
            self._done.put(error)
        finally:
            if process:
                self._end(process)

    def _start(self) -> subprocess.Popen[bytes]:
        """A process that has accepted the job.

        One that exits by itself does so again; one that was killed is started again after a growing wait.
        """
        exits = kills = code = 0
        while exits < MAX_EXITS and kills < MAX_KILLS and not self._closing.is_set():
            process = self._spawn()
            if _ask(process, self._job) is not None:
                return process
            code = self._end(process)
            if code < 0:
                self._closing.wait(KILL_WAIT_S * 2**kills)
                kills += 1
            else:
                exits += 1
        raise DataSetError(
            f"A worker process cannot be started: it ended with code {code}. Its own message is above; "
            "--workers 1 works without worker processes."
        )

    def _spawn(self) -> subprocess.Popen[bytes]:
        root = str(Path(graders_engine.__file__).parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "graders_engine.dataset.scoring.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
                **OWN_GROUP,  # Ctrl-C is meant for this process, which ends the workers
            )
        except OSError as error:
            raise DataSetError(f"A worker process cannot be started: {error.strerror}.") from None
        self._processes.add(process)
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        """Close a worker's pipes, which ends it, and wait for its exit code."""
        self._processes.discard(process)
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe:
                    pipe.close()
            except OSError:  # the last message to it was not delivered
                pass
        return process.wait()


def _ask(process: subprocess.Popen[bytes], message: Shard | bytes) -> Any:
    """A process's answer to a shard or to a pickled job; None if the process is gone."""
    stdin, stdout = cast("tuple[IO[bytes], IO[bytes]]", (process.stdin, process.stdout))  # pipes
    try:
        stdin.write(message if isinstance(message, bytes) else pickle.dumps(message))
        stdin.flush()
        return pickle.load(stdout)  # noqa: S301 - our own program
    except _GONE:
        return None
