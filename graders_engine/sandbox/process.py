"""One worker, seen from the engine: start it, load a program, send rows, take answers, end it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time

from graders_engine.sandbox.base import SandboxUnavailable, WorkerLost
from graders_engine.sandbox.cgroup import Group
from graders_engine.sandbox.inside import wire
from graders_engine.sandbox.inside.plan import Plan, Task
from graders_engine.sandbox.interpreter import Interpreter

_START_TIMEOUT_S = 30.0
_LOAD_TIMEOUT_S = 120.0
_SLOW_IMPORT_S = 5.0
_WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside", "worker.py")
_ONE_THREAD = (
    *("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS"),
)


def environment(interpreter: Interpreter) -> dict[str, str]:
    """All that a worker's environment holds; nothing is inherited."""
    return {
        "PATH": f"{os.path.dirname(interpreter.executable)}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONHASHSEED": "0",  # the same order of sets in every worker
        **dict.fromkeys(_ONE_THREAD, "1"),  # a template that forks must have one thread
    }


class Worker:
    """A worker process. Used by one task at a time; `busy_since` and `order` also by the watchdog."""

    def __init__(self, plan: Plan, interpreter: Interpreter) -> None:
        self._plan = plan
        self._interpreter = interpreter
        self._loop = asyncio.get_running_loop()
        self._reader = wire.Reader()
        self._waiting: asyncio.Future[wire.Frame] | None = None
        self._arrived: list[wire.Frame] = []
        self._nonce = b""
        self.busy_since: float | None = None
        self.sequence = 0
        self.ordered: int | None = None  # the reason of the last order to kill
        self.lost = False
        self.retired = False  # to be given up when it is next free
        self.first_size = 0
        self.served = 0
        self.notes: wire.Frame = {}
        self.group: Group | None = None  # the kernel's, where one may be made
        self._rows, rows_end = socket.socketpair()
        self._control, control_end = socket.socketpair()
        with rows_end, control_end:
            self._process = subprocess.Popen(  # noqa: S603 - our own program, by the image's Python
                [interpreter.executable, "-S", "-P", "-s", _WORKER]
                + [str(end.fileno()) for end in (rows_end, control_end)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(rows_end.fileno(), control_end.fileno()),
                env=environment(interpreter),
                cwd="/",
                start_new_session=True,
            )
        self._rows.setblocking(False)
        self._control.setblocking(False)
        self._loop.add_reader(self._control.fileno(), self._on_control)

    @property
    def pid(self) -> int:
        """The launcher's process id on the host."""
        return self._process.pid

    def remarks(self) -> list[str]:
        """What is to be said of the program's imports."""
        said = []
        if self.notes.get("import_s", 0) > _SLOW_IMPORT_S:
            said.append(
                f"its imports took {self.notes['import_s']:.1f} s, which every new worker pays"
            )
        if self.notes.get("threads", 1) > 1:
            others = self.notes["threads"] - 1
            said.append(
                f"its imports left threads running ({others}), which grades do not have: they may hang"
            )
        return said

    @property
    def plan(self) -> Plan:
        """What the worker was told."""
        return self._plan

    async def start(self) -> None:
        """Send the plan; back when the walls stand.

        Raises:
            SandboxUnavailable: they cannot stand here.
            WorkerLost: something else went wrong.
        """
        await self._ask(wire.frame(vars(self._plan)), _START_TIMEOUT_S)

    async def load(self, task: Task) -> None:
        """Send the task; back when the template is ready to fork. Raises like `start`."""
        self.notes = await self._ask(wire.frame(vars(task)), _LOAD_TIMEOUT_S)

    async def _ask(self, data: bytes, timeout_s: float) -> wire.Frame:
        try:
            async with asyncio.timeout(timeout_s):
                await self._loop.sock_sendall(self._control, data)
                frame = await self._next()
        except (TimeoutError, OSError) as error:
            self.discard()
            raise WorkerLost(f"the worker did not come up: {error or 'it took too long'}") from None
        if "failed" in frame:
            kind = SandboxUnavailable if frame.get("no_walls") else WorkerLost
            raise kind(str(frame["failed"]))
        return frame

    async def grade(self, sample_json: bytes, item_json: bytes) -> wire.Frame:
        """One row; the answer's frame. WorkerLost when the worker goes away."""
        self._nonce = os.urandom(wire.NONCE_BYTES)
        data = wire.row(self._nonce, sample_json, item_json)
        self.ordered = None
        self.busy_since = time.monotonic()
        rest: asyncio.Task[None] | None = None
        try:
            sent = self._send_row(data)
            if sent < len(data):
                rest = self._loop.create_task(self._loop.sock_sendall(self._rows, data[sent:]))
            frame = await self._next()
        except BaseException:
            self.discard()  # cancelled or broken: nobody knows what it is doing
            raise
        finally:
            self.busy_since = None
            if rest is not None:
                await self._settle(rest)
        self.served += 1
        self.sequence = (self.sequence + 1) & 0xFFFFFFFF
        if frame.get("last"):
            self.discard()
        if frame.get("kind") == "value" and frame.get("nonce") != self._nonce.hex():
            return {**frame, "kind": "forged"}
        return frame

    def _send_row(self, data: bytes) -> int:
        try:
            return self._rows.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise WorkerLost(f"the worker went away: {error}") from None

    async def _settle(self, rest: asyncio.Task[None]) -> None:
        if not rest.done():  # answered before all of the row was read: the stream is out of step
            rest.cancel()
            self.discard()
        await asyncio.gather(rest, return_exceptions=True)

    async def _next(self) -> wire.Frame:
        if self._arrived:
            return self._arrived.pop(0)
        if self.lost:
            raise WorkerLost("the worker went away")
        self._waiting = self._loop.create_future()
        try:
            return await self._waiting
        finally:
            self._waiting = None

    def _on_control(self) -> None:
        try:
            data = self._control.recv(1 << 16)
            frames = self._reader.feed(data)
        except BlockingIOError:
            return
        except (OSError, wire.BadFrame) as error:
            self.discard(f"the worker's channel broke: {error}")
            return
        if not data:
            self.discard("the worker went away")
            return
        for frame in frames:
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(frame)
            elif self.notes:
                self.discard("the worker spoke out of turn")
                return
            else:
                self._arrived.append(frame)

    def order(self, reason: int, sequence: int) -> None:
        """Have the grade of that number killed; safe from any thread, and ignored when late."""
        if sequence == self.sequence:
            self.ordered = reason
        try:
            self._control.send(wire.order(sequence, reason))
        except OSError:
            self.kill()

    def kill(self) -> None:
        """End the worker's processes at once; safe from any thread."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)

    def discard(self, why: str = "the worker was given up") -> None:
        """Give the worker up and end its processes; who waits for it is told why."""
        if self.lost:
            return
        self.lost = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(WorkerLost(why))
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        self._rows.close()
        self.kill()

    def gone(self) -> bool:
        """Whether a worker that was given up has ended; reaps it."""
        return self._process.poll() is not None
