"""The template: imports what the source names, compiles it, and forks one process per grade.

It never runs a line of the source and never holds a row, nor what a row's grade said: the grade reads
its row itself, and its answer passes through an `AnswerBuffer`. The next grades are forked while the
present one runs, and wait until it is their turn, so that most of the cost of a process falls outside
a call. They are forked a few at a time: after each fork the template copies every page that it writes
to, and so it does that once for a few.
"""

from __future__ import annotations

import _socket
import gc
import os
import select
import time
from fcntl import F_DUPFD, fcntl

from graders_engine.sandbox.inside import child, wire
from graders_engine.sandbox.inside.answer_buffer import AnswerBuffer
from graders_engine.sandbox.inside.confine import Confinement, Unconfined
from graders_engine.sandbox.inside.plan import DISK, OUTPUT, SPARES, Plan, Task
from graders_engine.sandbox.inside.preload import prepare
from graders_engine.sandbox.inside.scratch import ScratchSpace, TooMuchToClear

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from typing import Any, NoReturn

_ABOVE = child.ROWS + 1  # the first descriptor that a grade does not use
# the interpreter specializes code that has run a few times; better here than in each fork
_REHEARSALS = 20
_SO_PASSCRED = 16  # Linux, every architecture that has a table here
_SIGKILL = 9
_READY, _GO = b"R", b"G"
_MAX_MESSAGE = 4096  # of our own code, before it runs a row
_RUNS = -1  # not an exit status
_EXIT_S = 0.2  # a process that has closed all its descriptors ends within this time


def _status_within(pid: int, seconds: float) -> int:
    """The exit status of a process that has closed its channel; _RUNS when it does not end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.001)
    return _RUNS


class GradeProcess:
    """One forked grade, seen from the template."""

    def __init__(self, pid: int, report: _socket.socket, streams: tuple[int, int]) -> None:
        self.pid = pid
        self.report = report
        self.streams = streams

    def close(self) -> None:
        """Close its descriptors."""
        self.report.close()
        for stream in self.streams:
            os.close(stream)


class TemplateProcess:
    """The loop that serves one program until the engine goes away."""

    def __init__(self, plan: Plan, confinement: Confinement, rows: int, control: int) -> None:
        self._plan = plan
        self._confinement = confinement
        self._rows = rows
        self._control = control
        self._sequence = 0
        self._answer = AnswerBuffer()

    def run(self) -> NoReturn:
        """Receive the task and prepare it, then grade row after row."""
        report = self._get_ready()
        grade = self._fork()
        self._release(grade)
        wire.send(self._control, wire.frame(report))
        spares: list[GradeProcess] = []
        while True:
            if not spares:
                spares = [self._fork() for _ in range(SPARES)]
            spare = spares.pop()
            self._answer_row(grade, spare, {spare.pid, *(s.pid for s in spares)})
            grade = spare

    def _get_ready(self) -> dict[str, Any]:
        """Receive the task and prepare it; the report on it for the engine."""
        task = Task(**wire.receive(self._control))
        confinement = self._confinement
        self._prepared, report = prepare(task, confinement)
        self._scratch = ScratchSpace({p: confinement.kept(p) for p in confinement.places})
        for _ in range(_REHEARSALS):
            child.rehearse()
            child.rehearse_descriptors()
        gc.collect()
        gc.freeze()  # every fork shares what is alive now: the collector must not write to it
        gc.disable()
        return report

    def _answer_row(self, grade: GradeProcess, following: GradeProcess, others: set[int]) -> None:
        """Send what becomes of the row that `grade` has, after letting the following grade take one.

        `others` are the grades that were forked ahead.
        """
        kind, detail = self._wait_for_grade(grade, others)
        is_last = self._has_left_its_row()
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        try:
            left = self._scratch.reset()
            if left > self._plan.disk_bytes:  # written between two checks of the watchdog
                kind, detail = wire.KILLED, DISK
            self._release(following)
        except (TooMuchToClear, Unconfined, OSError):
            is_last = True
        self._answer.send(self._control, kind, detail, is_last=is_last)
        if is_last:
            os._exit(0)

    def _fork(self) -> GradeProcess:
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        ours.setsockopt(_socket.SOL_SOCKET, _SO_PASSCRED, 1)
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        pid = self._confinement.fork()
        if pid == 0:
            self._become_grade(theirs.fileno(), out_end, err_end)
        theirs.close()
        os.close(out_end)
        os.close(err_end)
        return GradeProcess(pid, ours, (out, err))

    def _become_grade(self, report: int, out: int, err: int) -> NoReturn:
        try:
            # first to numbers that the next lines do not overwrite; no fixed ones, which a limit may forbid
            rows, report = (fcntl(each, F_DUPFD, _ABOVE) for each in (self._rows, report))
            os.dup2(out, 1)
            os.dup2(err, 2)
            os.dup2(rows, child.ROWS, inheritable=False)
            os.dup2(report, child.REPORT, inheritable=False)
            os.closerange(_ABOVE, 1 << 16)
            self._confinement.drop_privileges()
            child.get_ready(self._prepared.seed)
            os.write(child.REPORT, _READY)
            if os.read(child.REPORT, 1) != _GO:  # the template is gone
                os._exit(0)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it must not run unconfined
            os.write(child.REPORT, repr(error).encode())
            os._exit(1)
        self._main()

    def _main(self) -> NoReturn:
        """What a forked grade runs when it may."""
        child.main(self._prepared)

    def _release(self, grade: GradeProcess) -> None:
        """Let a waiting grade take the next row; until then it has run only our own code.

        The engine stops processes for moments; where it was killed in one, the grade would never be ready.
        """
        poll = select.poll()
        poll.register(grade.report.fileno(), select.POLLIN)
        poll.register(
            self._control, 0
        )  # only that the engine is gone: what it asks for is read later
        if all(descriptor == self._control for descriptor, _ in poll.poll()):
            os._exit(0)  # the kernel ends the grades with this process
        message = grade.report.recv(_MAX_MESSAGE)
        if message != _READY:
            raise Unconfined(f"a grade could not be confined: {message.decode('utf-8', 'replace')}")
        grade.report.send(_GO)

    def _wait_for_grade(self, grade: GradeProcess, others: set[int]) -> tuple[int, int]:
        """Wait until the grade has reported, ended or been killed, and remove all that is left of it.

        The kind of its answer, and the reason of a kill or the exit status.
        """
        poll = select.poll()
        for descriptor in (grade.report.fileno(), self._control, *grade.streams):
            poll.register(descriptor, select.POLLIN)
        kind = detail = 0
        while not kind:
            for descriptor, _ in poll.poll():
                kind, detail = self._on_event(grade, descriptor, poll)
                if kind:
                    break
        if kind == wire.GONE:
            detail = _status_within(grade.pid, _EXIT_S)
        if kind != wire.GONE or detail == _RUNS:
            os.kill(grade.pid, _SIGKILL)
            os.waitpid(grade.pid, 0)  # in its own namespace it returns when all it started is gone
        if not self._confinement.has_pid_namespace:
            self._confinement.kill_strays(others | {self._scratch.cleaner_pid})
        self._read_rest(grade, poll)
        grade.close()
        return kind, detail

    def _on_event(self, grade: GradeProcess, descriptor: int, poll: select.poll) -> tuple[int, int]:
        """Read what a descriptor has; zeros while the grade runs."""
        if descriptor == grade.report.fileno():
            return self._answer.receive(grade.report, grade.pid), 0
        if descriptor == self._control:
            return self._on_control()
        if not self._read_stream(grade, descriptor):
            poll.unregister(descriptor)
        is_too_much = self._answer.printed_bytes > self._plan.output_bytes
        return (wire.KILLED, OUTPUT) if is_too_much else (0, 0)

    def _on_control(self) -> tuple[int, int]:
        """Read a request to kill; zeros when it is for a grade that has ended."""
        data = os.read(self._control, wire.KILL_BYTES)
        if len(data) < wire.KILL_BYTES:
            os._exit(0)  # the engine is gone; the kernel ends the grades with this process
        sequence, reason = wire.decode_kill(data)
        return (wire.KILLED, reason) if sequence == self._sequence else (0, 0)

    def _read_stream(self, grade: GradeProcess, descriptor: int) -> int:
        return self._answer.read(grade.streams.index(descriptor), descriptor)

    def _read_rest(self, grade: GradeProcess, poll: select.poll) -> None:
        """Take what is in the pipes now. Not to their end: a descriptor in a socket may keep one open."""
        readable = True
        while readable and self._answer.printed_bytes <= self._plan.output_bytes:
            readable = False
            for descriptor, event in poll.poll(0):
                if descriptor in grade.streams and event & select.POLLIN:
                    readable = self._read_stream(grade, descriptor) > 0

    def _has_left_its_row(self) -> bool:
        """Whether the grade ended before it had read its row, which the next one would take for its own."""
        poll = select.poll()
        poll.register(self._rows, select.POLLIN)
        return bool(poll.poll(0))
