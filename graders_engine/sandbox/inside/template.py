"""The template: imports what the source names, compiles it, and forks one process per grade.

It never runs a line of the source and never holds a row: the grade reads its row itself. The next
grades are forked while the present one runs, and wait until it is their turn, so that most of the
cost of a process falls outside a call. They are forked a few at a time: after each fork the template
copies every page that it writes to, and so it does that once for a few.
"""

from __future__ import annotations

import _socket
import gc
import json
import os
import select
import sys
import time
from fcntl import F_DUPFD, fcntl

from graders_engine.sandbox.inside import child, wire
from graders_engine.sandbox.inside.confine import Confinement, Unconfined
from graders_engine.sandbox.inside.plan import DISK, OUTPUT, SPARES, Plan, Task
from graders_engine.sandbox.inside.preload import prepare
from graders_engine.sandbox.inside.scratch import ScratchSpace, TooMuchToClear

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from typing import Any, NoReturn

_KEPT = 8 << 10  # bytes of output kept from the beginning, and as many from the end
_CREDENTIALS = _socket.CMSG_SPACE(12)  # room for the sender's ids from the kernel, and nothing else
_ABOVE = child.ROWS + 1  # the first descriptor that a grade does not use
# the interpreter specializes code that has run a few times; better here than in each fork
_REHEARSALS = 20
_SO_PASSCRED = 16  # Linux, every architecture that has a table here
_SIGKILL = 9
_READY, _GO = b"R", b"G"
_MAX_PACKET = 1 << 18
_EXIT_S = 0.2  # a process that has closed all its descriptors ends within this time


class Capture:
    """The beginning and the end of a stream that a grade prints to, and its length in bytes."""

    def __init__(self) -> None:
        self.head = b""
        self.tail = b""
        self.total = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self.total += len(data)
        room = _KEPT - len(self.head)
        if room > 0:
            self.head += data[:room]
            data = data[room:]
        if data:
            self.tail = (self.tail + data)[-_KEPT:]

    def text(self) -> str:
        """Beginning and end, with a note of how much is missing between them."""
        missing = self.total - len(self.head) - len(self.tail)
        note = f"\n... {missing} bytes left out ...\n".encode() if missing else b""
        return (self.head + note + self.tail).decode("utf-8", "replace")


def _status_within(pid: int, seconds: float) -> int | None:
    """The exit status of a process that has closed its channel; None when it does not end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.001)
    return None


class GradeProcess:
    """One forked grade, seen from the template."""

    def __init__(self, pid: int, report: _socket.socket, streams: tuple[int, int]) -> None:
        self.pid = pid
        self.report = report
        self.streams = streams
        self.captures = (Capture(), Capture())

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

    def run(self) -> NoReturn:
        """Receive the task and prepare it, then grade row after row."""
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
        grade = self._fork()
        self._release(grade)
        wire.send(self._control, wire.frame(report))
        spares: list[GradeProcess] = []
        while True:
            if not spares:
                spares = [self._fork() for _ in range(SPARES)]
            spare = spares.pop()
            answer = self._wait_for_grade(grade, {spare.pid, *(s.pid for s in spares)})
            self._sequence = (self._sequence + 1) & 0xFFFFFFFF
            try:
                left = self._scratch.reset()
                if left > self._plan.disk_bytes:  # written between two checks of the watchdog
                    answer |= {"kind": "killed", "reason": DISK}
                self._release(spare)
            except (TooMuchToClear, Unconfined, OSError):
                answer["last"] = True
            wire.send(self._control, wire.frame(answer))
            if "last" in answer:
                os._exit(0)
            grade = spare

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
        child.main(self._prepared)

    def _release(self, grade: GradeProcess) -> None:
        """Let a waiting grade take the next row; until then it has run only our own code."""
        message = grade.report.recv(_MAX_PACKET)
        if message != _READY:
            raise Unconfined(f"a grade could not be confined: {message.decode('utf-8', 'replace')}")
        grade.report.send(_GO)

    def _wait_for_grade(self, grade: GradeProcess, others: set[int]) -> dict[str, Any]:
        """Wait until the grade has reported, ended or been killed, and remove all that is left of it.

        `others` are the grades that were forked ahead.
        """
        poll = select.poll()
        for descriptor in (grade.report.fileno(), self._control, *grade.streams):
            poll.register(descriptor, select.POLLIN)
        answer: dict[str, Any] | None = None
        while answer is None:
            for descriptor, _ in poll.poll():
                if descriptor == grade.report.fileno():
                    answer = self._on_report(grade) or answer
                elif descriptor == self._control:
                    answer = self._on_control() or answer
                else:
                    answer = self._drain(grade, descriptor, poll) or answer
        if answer["kind"] == "gone":
            answer["status"] = _status_within(grade.pid, _EXIT_S)
        if answer.get("status") is None:
            os.kill(grade.pid, _SIGKILL)
            os.waitpid(grade.pid, 0)  # in its own namespace it returns when all it started is gone
        if not self._confinement.has_pid_namespace:
            self._confinement.kill_strays(others)
        self._finish(grade, answer, poll)
        return answer

    def _on_report(self, grade: GradeProcess) -> dict[str, Any] | None:
        """Read one packet; by the kernel's word it must come from the graded process itself."""
        data, ancillary, flags, _ = grade.report.recvmsg(_MAX_PACKET, _CREDENTIALS)
        if flags & _socket.MSG_CTRUNC:  # it carried descriptors, for which there is no room
            return {"kind": "forged"}
        if not data:
            return {"kind": "gone"}
        sender = int.from_bytes(ancillary[0][2][:4], sys.byteorder) if ancillary else 0
        if sender != grade.pid:
            return None
        if len(data) == child.REWARD.size:
            nonce, value, is_text, _ = child.REWARD.unpack(data)
            return {"kind": "value", "nonce": nonce.hex(), "value": value, "text": is_text}
        try:
            message = json.loads(data)
        except ValueError:
            message = None
        if not isinstance(message, dict) or message.keys() != child.FAILURE_KEYS:
            return {"kind": "forged"}
        failure = {key: str(message[key]) for key in child.FAILURE_KEYS}
        return {"kind": "failure", **failure}

    def _on_control(self) -> dict[str, Any] | None:
        """Read a request to kill; None when it is for a grade that has ended."""
        data = os.read(self._control, wire.KILL_BYTES)
        if len(data) < wire.KILL_BYTES:
            os._exit(0)  # the engine is gone; the kernel ends the grades with this process
        sequence, reason = wire.decode_kill(data)
        return {"kind": "killed", "reason": reason} if sequence == self._sequence else None

    def _drain(
        self, grade: GradeProcess, descriptor: int, poll: select.poll
    ) -> dict[str, Any] | None:
        data = os.read(descriptor, 1 << 16)
        if not data:
            poll.unregister(descriptor)
            return None
        capture = grade.captures[grade.streams.index(descriptor)]
        capture.add(data)
        if sum(c.total for c in grade.captures) > self._plan.output_bytes:
            return {"kind": "killed", "reason": OUTPUT}
        return None

    def _finish(self, grade: GradeProcess, answer: dict[str, Any], poll: select.poll) -> None:
        """Take what is in the pipes now. Not to their end: a descriptor in a socket may keep one open."""
        readable = True
        while readable:
            readable = False
            for descriptor, event in poll.poll(0):
                if descriptor in grade.streams and event & select.POLLIN:
                    readable = self._drain(grade, descriptor, poll) is None
        for name, capture in zip(("stdout", "stderr"), grade.captures, strict=True):
            if capture.total:
                answer[name] = capture.text()
        grade.close()
