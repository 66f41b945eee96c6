"""One worker, seen from the engine: start it, load a program, send rows, receive results, end it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from graders_engine.sandbox import cgroup, scratch_dirs
from graders_engine.sandbox.answer import Answer, read_answer
from graders_engine.sandbox.base import SandboxUnavailable, WorkerLost
from graders_engine.sandbox.inside import wire
from graders_engine.sandbox.inside.plan import Plan, Task
from graders_engine.sandbox.interpreter import Interpreter

_START_TIMEOUT_S = 30.0
_LOAD_TIMEOUT_S = 120.0
_WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside", "worker.py")
# Without the site module and its .pth files, the script's folder and the user's packages. Not -I: it
# would also ignore PYTHONUTF8 and PYTHONHASHSEED, and the environment holds nothing but our own.
_ISOLATED = ("-S", "-P", "-s")
_ONE_THREAD = (
    *("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS"),
)


def environment(interpreter: Interpreter) -> dict[str, str]:
    """All variables of a worker; nothing is inherited."""
    return {
        "PATH": f"{os.path.dirname(interpreter.executable)}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONHASHSEED": "0",  # the same order of sets in every worker
        **dict.fromkeys(_ONE_THREAD, "1"),  # a template that forks must have one thread
    }


class WorkerEnded(WorkerLost):
    """Raised when a worker's process went away while something was asked of it."""


class WorkerState(Enum):
    """What a worker is doing."""

    STARTING = "starting"
    """It confines itself, then imports what its program needs."""
    IDLE = "idle"
    """It waits for a row."""
    GRADING = "grading"
    DISCARDED = "discarded"
    """Given up: its processes are ended, and it takes no more rows."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How the imports of a program went in a template.

    Attributes:
        seconds: how long they took.
        threads: how many threads the template has after them; more than one is a danger, since a
            fork has only the thread that forked.
    """

    seconds: float
    threads: int

    def warnings(self, slow_s: float) -> list[str]:
        """What the author of the grader should know; imports above `slow_s` seconds are slow."""
        found = []
        if self.seconds > slow_s:
            found.append(f"its imports took {self.seconds:.1f} s, which every new worker pays")
        if self.threads > 1:
            found.append(
                f"its imports left threads running ({self.threads - 1}), which grades do not have: "
                "they may hang"
            )
        return found


@dataclass(slots=True, eq=False, weakref_slot=True)
class RunningGrade:
    """The grade that a worker is running.

    Attributes:
        sequence: its number, the same on both ends; a request to kill another number is ignored.
        started: on the monotonic clock, in seconds.
        kill_reason: why it is to be killed, one of the reasons in `plan`; None while it may run.
            The watchdog alone sets it, through `Worker.kill_grade`.
    """

    sequence: int
    started: float
    kill_reason: int | None = None


class Worker:
    """A worker process. One task uses it at a time.

    The watchdog's thread reads `running`, `plan` and `pid`, and calls `kill_grade` and `kill`; the
    rest belongs to the event loop.
    """

    def __init__(self, plan: Plan, interpreter: Interpreter) -> None:
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._reader = wire.Reader()
        self._reply: asyncio.Future[bytes | None] | None = None
        self._state = WorkerState.STARTING
        self._lost_because = ""
        self._running: RunningGrade | None = None
        self._sequence = 0
        self._rows, rows_end = socket.socketpair()
        self._control, control_end = socket.socketpair()
        with rows_end, control_end:
            ends = (rows_end.fileno(), control_end.fileno())
            self._process = subprocess.Popen(  # noqa: S603 - our own program, by the image's Python
                [interpreter.executable, *_ISOLATED, _WORKER, *map(str, ends)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=ends,
                env=environment(interpreter),
                cwd="/",
                start_new_session=True,
            )
        self._rows.setblocking(False)
        self._control.setblocking(False)
        # Before it gets its plan: all that it starts from then on is in the group.
        self._group = cgroup.enclose(
            self.pid, plan.memory_bytes + plan.disk_bytes + cgroup.TEMPLATE_BYTES
        )
        self._loop.add_reader(self._control.fileno(), self._on_control)

    @property
    def pid(self) -> int:
        """The launcher's process id on the host."""
        return self._process.pid

    @property
    def plan(self) -> Plan:
        """What the worker was started with."""
        return self._plan

    @property
    def state(self) -> WorkerState:
        """What it is doing."""
        return self._state

    @property
    def running(self) -> RunningGrade | None:
        """The grade that it is running."""
        return self._running

    async def start(self) -> None:
        """Send the plan, and wait until the worker has confined itself.

        Raises:
            SandboxUnavailable: it cannot be confined like this here.
            WorkerEnded: its process went away.
            WorkerLost: something else went wrong.
        """
        await self._ask(wire.frame(vars(self._plan)), _START_TIMEOUT_S)

    async def load(self, task: Task) -> ImportReport:
        """Send the task, and wait until the template is ready to fork. Raises like `start`."""
        report = await self._ask(wire.frame(vars(task)), _LOAD_TIMEOUT_S)
        self._become_idle()
        return ImportReport(report["import_s"], report["threads"])

    async def _ask(self, data: bytes, timeout_s: float) -> wire.Frame:
        try:
            with self._expect_reply() as reply:
                async with asyncio.timeout(timeout_s):
                    await self._loop.sock_sendall(self._control, data)
                    frame = wire.parse(await self._wait_for(reply))
        except (TimeoutError, OSError, wire.BadFrame) as error:
            self.discard()
            raise WorkerLost(f"the worker did not start: {error or 'it took too long'}") from None
        if "failed" in frame:
            error_type = SandboxUnavailable if frame.get("unconfined") else WorkerLost
            raise error_type(str(frame["failed"]))
        return frame

    async def grade(self, sample_json: bytes, item_json: bytes) -> Answer:
        """Grade one row.

        Raises:
            WorkerEnded: the worker went away, and not because the watchdog had to kill the grade.
        """
        nonce = os.urandom(wire.NONCE_BYTES)
        data = wire.row(nonce, sample_json, item_json)
        running = self._running = RunningGrade(self._sequence, time.monotonic())
        try:
            answer = await self._exchange(data, nonce)
        except WorkerLost:
            if running.kill_reason is None:
                raise
            # The worker had to be killed together with its grade: the row did that.
            return Answer(wire.KILLED, running.kill_reason)
        finally:
            self._running = None
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        return answer

    async def _exchange(self, data: bytes, nonce: bytes) -> Answer:
        """Send a row and wait for its answer; anything else ends the worker."""
        rest: asyncio.Task[None] | None = None
        try:
            with self._expect_reply() as reply:
                self._state = WorkerState.GRADING
                sent = self._send_at_once(data)
                if sent < len(data):
                    rest = self._loop.create_task(self._loop.sock_sendall(self._rows, data[sent:]))
                answer = read_answer(await self._wait_for(reply), nonce)
                self._become_idle()
        except wire.BadFrame as error:
            self.discard()
            raise WorkerEnded(f"the worker's answer cannot be read: {error}") from None
        except BaseException:
            self.discard()  # cancelled or broken: what it is doing is not known
            raise
        finally:
            if rest is not None:
                await self._finish_sending(rest)
        if answer.is_last or answer.kind == wire.FORGED:  # the process may have had another row
            self.discard()
        return answer

    def _send_at_once(self, data: bytes) -> int:
        try:
            self._require_quiet()
            return self._rows.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise WorkerEnded(f"the worker went away: {error}") from None

    def _require_quiet(self) -> None:
        """Check that no frame has come that nobody asked for: it would be taken for this row's answer."""
        with contextlib.suppress(BlockingIOError):
            self._control.recv(1, socket.MSG_PEEK)
            raise WorkerEnded("an answer to no row, or the worker went away")

    async def _finish_sending(self, rest: asyncio.Task[None]) -> None:
        # Answered before the whole row was read: the next row would not be found in the stream.
        if not rest.done():
            rest.cancel()
            self.discard()
        await asyncio.gather(rest, return_exceptions=True)

    @contextlib.contextmanager
    def _expect_reply(self) -> Iterator[asyncio.Future[bytes | None]]:
        """A future for the next frame; it gets None when the worker is lost."""
        if self._state is WorkerState.DISCARDED:
            raise WorkerEnded(self._lost_because)
        self._reply = self._loop.create_future()
        try:
            yield self._reply
        finally:
            self._reply = None

    async def _wait_for(self, reply: asyncio.Future[bytes | None]) -> bytes:
        body = await reply
        if body is None:
            raise WorkerEnded(self._lost_because)
        return body

    def _become_idle(self) -> None:
        if self._state is not WorkerState.DISCARDED:  # by a frame that came after the reply
            self._state = WorkerState.IDLE

    def _on_control(self) -> None:
        try:
            data = self._control.recv(1 << 16)
            bodies = self._reader.feed(data)
        except BlockingIOError:
            return
        except (OSError, wire.BadFrame) as error:
            self.discard(f"the worker's channel broke: {error}")
            return
        if not data:
            self.discard("the worker went away")
            return
        for body in bodies:
            self._on_frame(body)

    def _on_frame(self, body: bytes) -> None:
        if self._reply is None or self._reply.done():
            self.discard("unexpected frame from the worker")
        else:
            self._reply.set_result(body)

    def kill_grade(self, grade: RunningGrade, reason: int) -> None:
        """Have the template kill a grade; safe from any thread, and ignored when it has ended."""
        grade.kill_reason = reason
        try:
            self._control.send(wire.encode_kill(grade.sequence, reason))
        except OSError:
            self.kill()

    def kill(self) -> None:
        """End the worker's processes at once; safe from any thread."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)

    @property
    def is_orphaned(self) -> bool:
        """Whether its event loop is closed, so that nobody can wait for it any more; safe from any thread."""
        return self._loop.is_closed() and self._state is not WorkerState.DISCARDED

    def abandon(self) -> None:
        """`discard` from any thread, for a worker whose pool or event loop is gone."""
        self.kill()
        try:
            self._loop.call_soon_threadsafe(self.discard)
        except RuntimeError:  # the loop is closed
            self.discard()

    def discard(self, why: str = "the worker was discarded") -> None:
        """Give the worker up and end its processes; a call that waits for it raises WorkerLost."""
        if self._state is WorkerState.DISCARDED:
            return
        self._state = WorkerState.DISCARDED
        self._lost_because = why
        self.kill()
        reply, self._reply = self._reply, None  # it refers to who waits, and so to the pool
        if not self._loop.is_closed():  # a closed one wakes nobody, and refuses to be asked
            if reply is not None and not reply.done():
                reply.set_result(None)
            self._loop.remove_reader(self._control.fileno())
        self._control.close()
        self._rows.close()

    def reap(self) -> bool:
        """After `discard`: remove what belonged to the worker; whether all of it is gone."""
        if self._process.poll() is None:
            return False
        if self._plan.folder and not scratch_dirs.discard(self._plan.folder):
            return False
        # The kernel keeps a group until the last process in it is gone, a moment after the worker.
        return self._group is None or self._group.close()
