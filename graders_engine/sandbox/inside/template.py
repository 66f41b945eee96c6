"""The template: imports what the source names, compiles it, and forks one process per grade.

It never runs a line of the source and never holds a row: the grade reads its row itself. The next
grades are forked while the present one runs, and wait behind a gate until it is their turn; so most
of the price of a process is paid while nobody is waiting. They are forked a few at a time: after
each fork the template copies every page that it writes to, and so it does that for a few at once.
"""

from __future__ import annotations

import _socket
import gc
import json
import os
import select
import sys
import time

from graders_engine.sandbox.inside import child, wire
from graders_engine.sandbox.inside.confine import Confinement, Unconfined
from graders_engine.sandbox.inside.plan import DISK, OUTPUT, SPARES, Plan, Task
from graders_engine.sandbox.inside.preload import prepare
from graders_engine.sandbox.inside.scratch import Crowded, Scratch

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from typing import Any, NoReturn

_KEPT = 8 << 10  # bytes of output kept from the beginning, and as many from the end
_CREDENTIALS = _socket.CMSG_SPACE(12)  # room for the kernel's signature, and for nothing else
_HIGH = 200  # beyond all descriptors that a template has
# the interpreter rewrites what it has run a few times; better here than in each fork
_REHEARSALS = 20
_SO_PASSCRED = 16  # Linux, every architecture that has a table here
_SIGKILL = 9
_READY, _GO = b"R", b"G"
_MAX_PACKET = 1 << 18
_DEATH_S = 0.2  # a process that has closed all it had takes no longer to be gone


class Capture:
    """The beginning and the end of what a grade prints, and how much it was."""

    def __init__(self) -> None:
        self.head = b""
        self.tail = b""
        self.total = 0

    def add(self, data: bytes) -> None:
        """Keep what is to be kept of the next piece."""
        self.total += len(data)
        room = _KEPT - len(self.head)
        if room > 0:
            self.head += data[:room]
            data = data[room:]
        if data:
            self.tail = (self.tail + data)[-_KEPT:]

    def text(self) -> str:
        """Beginning and end, with a note of what is missing between them."""
        missing = self.total - len(self.head) - len(self.tail)
        note = f"\n... {missing} bytes left out ...\n".encode() if missing else b""
        return (self.head + note + self.tail).decode("utf-8", "replace")


def _status_within(pid: int, seconds: float) -> int | None:
    """How a process ended that has closed its channel; None when it has not ended after all."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.001)
    return None


class Grade:
    """One forked process, seen from the template."""

    def __init__(self, pid: int, report: _socket.socket, streams: tuple[int, int]) -> None:
        self.pid = pid
        self.report = report
        self.streams = streams
        self.captures = (Capture(), Capture())

    def close(self) -> None:
        """Let go of its descriptors."""
        self.report.close()
        for stream in self.streams:
            os.close(stream)


class Template:
    """The loop that serves one program until the engine goes away."""

    def __init__(self, plan: Plan, walls: Confinement, rows: int, control: int) -> None:
        self._plan = plan
        self._walls = walls
        self._rows = rows
        self._control = control
        self._sequence = 0

    def run(self) -> NoReturn:
        """Prepare the task that comes first, then grade for ever."""
        task = Task(**wire.receive(self._control))
        self._prepared, notes = prepare(task, self._walls)
        self._scratch = Scratch({p: self._walls.kept(p) for p in self._walls.places})
        for _ in range(_REHEARSALS):
            child.rehearse()
            child.rehearse_descriptors()
        gc.collect()
        gc.freeze()  # what is alive now is shared by every fork: the collector need not touch it
        gc.disable()
        grade = self._fork()
        self._release(grade)
        wire.send(self._control, wire.frame(notes))
        spares: list[Grade] = []
        while True:
            if not spares:
                spares = [self._fork() for _ in range(SPARES)]
            spare = spares.pop()
            answer = self._attend(grade, {spare.pid, *(s.pid for s in spares)})
            self._sequence = (self._sequence + 1) & 0xFFFFFFFF
            try:
                left = self._scratch.reset()
                if left > self._plan.disk_bytes:  # grown between two looks of the watchdog
                    answer |= {"kind": "killed", "reason": DISK}
                self._release(spare)
            except (Crowded, Unconfined, OSError):
                answer["last"] = True
            wire.send(self._control, wire.frame(answer))
            if "last" in answer:
                os._exit(0)
            grade = spare

    def _fork(self) -> Grade:
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        ours.setsockopt(_socket.SOL_SOCKET, _SO_PASSCRED, 1)
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        pid = self._walls.fork()
        if pid == 0:
            self._become_grade(theirs.fileno(), out_end, err_end)
        theirs.close()
        os.close(out_end)
        os.close(err_end)
        return Grade(pid, ours, (out, err))

    def _become_grade(self, report: int, out: int, err: int) -> NoReturn:
        try:
            # first away from the numbers that are about to be taken
            os.dup2(self._rows, _HIGH)
            os.dup2(report, _HIGH + 1)
            os.dup2(out, 1)
            os.dup2(err, 2)
            os.dup2(_HIGH, child.ROWS, inheritable=False)
            os.dup2(_HIGH + 1, child.REPORT, inheritable=False)
            os.closerange(child.ROWS + 1, 1 << 16)
            self._walls.strip()
            child.get_ready(self._prepared.seed)
            os.write(child.REPORT, _READY)
            if os.read(child.REPORT, 1) != _GO:  # the template is gone
                os._exit(0)
        except BaseException as error:  # noqa: BLE001 - it must not go on unconfined, whatever it was
            os.write(child.REPORT, repr(error).encode())
            os._exit(1)
        child.main(self._prepared)

    def _release(self, grade: Grade) -> None:
        """Let a grade that is waiting take the next row. What it says before that is our own code."""
        said = grade.report.recv(_MAX_PACKET)
        if said != _READY:
            raise Unconfined(f"a grade could not be confined: {said.decode('utf-8', 'replace')}")
        grade.report.send(_GO)

    def _attend(self, grade: Grade, others: set[int]) -> dict[str, Any]:
        """Wait until the grade has reported, died or been killed; nothing of it is left after."""
        poll = select.poll()
        for descriptor in (grade.report.fileno(), self._control, *grade.streams):
            poll.register(descriptor, select.POLLIN)
        answer: dict[str, Any] | None = None
        while answer is None:
            for descriptor, _ in poll.poll():
                if descriptor == grade.report.fileno():
                    answer = self._hear(grade) or answer
                elif descriptor == self._control:
                    answer = self._obey() or answer
                else:
                    answer = self._drain(grade, descriptor, poll) or answer
        if answer["kind"] == "gone":
            answer["status"] = _status_within(grade.pid, _DEATH_S)
        if answer.get("status") is None:
            os.kill(grade.pid, _SIGKILL)
            os.waitpid(grade.pid, 0)  # in a namespace of its own: when all that it started is gone
        if not self._walls.own_tree:
            self._walls.sweep(others)
        self._finish(grade, answer, poll)
        return answer

    def _hear(self, grade: Grade) -> dict[str, Any] | None:
        """One packet; only the graded process itself is listened to, as the kernel names it."""
        data, ancillary, flags, _ = grade.report.recvmsg(_MAX_PACKET, _CREDENTIALS)
        if flags & _socket.MSG_CTRUNC:  # descriptors were sent along; there is no room for them
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
        if not isinstance(message, dict) or message.keys() != {"kind", "text"}:
            return {"kind": "forged"}
        return {"kind": "failure", "type": str(message["kind"]), "text": str(message["text"])}

    def _obey(self) -> dict[str, Any] | None:
        data = os.read(self._control, wire.ORDER_BYTES)
        if len(data) < wire.ORDER_BYTES:
            os._exit(0)  # the engine has gone; the namespace, or the sweep, takes the rest along
        sequence, reason = wire.parse_order(data)
        return {"kind": "killed", "reason": reason} if sequence == self._sequence else None

    def _drain(self, grade: Grade, descriptor: int, poll: select.poll) -> dict[str, Any] | None:
        data = os.read(descriptor, 1 << 16)
        if not data:
            poll.unregister(descriptor)
            return None
        capture = grade.captures[grade.streams.index(descriptor)]
        capture.add(data)
        if sum(c.total for c in grade.captures) > self._plan.output_bytes:
            return {"kind": "killed", "reason": OUTPUT}
        return None

    def _finish(self, grade: Grade, answer: dict[str, Any], poll: select.poll) -> None:
        """Take what is left in the pipes. Not to their end: a writer may be in flight in some socket."""
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
