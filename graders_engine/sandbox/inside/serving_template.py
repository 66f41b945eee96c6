"""The template of rows that share a process: it forks one process at a time, which serves row after row.

When that process ends, however it ends, the template says so and waits until the engine has put its
rows in order. Then it discards what is left on the row socket and forks the next one.
"""

from __future__ import annotations

import os
import select

from graders_engine.sandbox.inside import wire
from graders_engine.sandbox.inside.plan import RESTART
from graders_engine.sandbox.inside.scratch import TooMuchToClear
from graders_engine.sandbox.inside.serving import Printers, serve
from graders_engine.sandbox.inside.surroundings import Surroundings
from graders_engine.sandbox.inside.template import GradeProcess, TemplateProcess

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from typing import NoReturn

_CHUNK = 1 << 20


class ServingTemplate(TemplateProcess):
    """The loop that starts the processes of one program, one after the other."""

    def run(self) -> NoReturn:
        """Receive the task and prepare it, then have rows graded until the engine goes away."""
        report = self._get_ready()
        while True:
            grade = self._fork()
            self._release(grade)
            wire.send(self._control, wire.frame(report))
            kind, detail = self._wait_for_grade(grade)
            self._answer.send(self._control, kind, detail, is_last=False)
            self._wait_for_order()
            self._discard_rows()
            self._scratch.reset()
            report = wire.RESTARTED

    def _main(self) -> NoReturn:
        confinement, prepared = self._confinement, self._prepared
        try:
            surroundings = Surroundings(
                confinement.places,
                prepared,
                owns_all=confinement.has_pid_namespace,
                memory_bytes=self._plan.memory_bytes,
            )
            surroundings.reseed()
            serve(prepared, surroundings, Printers(self._plan.output_bytes))
        finally:  # whatever was raised, this process is no template
            os._exit(1)

    def _on_event(self, grade: GradeProcess, descriptor: int, poll: select.poll) -> tuple[int, int]:
        """As for one row, but a packet of the process is a request to empty the scratch folders."""
        if descriptor != grade.report.fileno():
            return super()._on_event(grade, descriptor, poll)
        try:
            request = grade.report.recv(len(wire.CLEAR) + 1)
        except OSError:
            return wire.GONE, 0
        if not request:
            return wire.GONE, 0
        if request != wire.CLEAR:
            return wire.FORGED, 0
        try:
            is_too_much = self._scratch.reset() > self._plan.disk_bytes
        except (TooMuchToClear, OSError):
            os._exit(0)  # a new worker is cheaper; the row is graded again
        try:
            grade.report.send(b"-" if is_too_much else wire.CLEARED)
        except OSError:
            return wire.GONE, 0
        return 0, 0

    def _on_control(self) -> tuple[int, int]:
        """Read an order to kill; one for a row of an earlier process is ignored."""
        sequence, reason = self._order()
        if reason == RESTART or (sequence - self._sequence) & 0x80000000:
            return 0, 0
        return wire.KILLED, reason

    def _order(self) -> tuple[int, int]:
        data = os.read(self._control, wire.KILL_BYTES)
        if len(data) < wire.KILL_BYTES:
            os._exit(0)  # the engine is gone; the kernel ends the process with this one
        return wire.decode_kill(data)

    def _wait_for_order(self) -> None:
        """Wait until the engine wants another process, and learn the number of its first row."""
        reason = 0
        while reason != RESTART:
            self._sequence, reason = self._order()

    def _discard_rows(self) -> None:
        """Discard the rows that the process has not read; the engine has sent none since it ended."""
        poll = select.poll()
        poll.register(self._rows, select.POLLIN)
        while poll.poll(0):
            if not os.read(self._rows, _CHUNK):
                os._exit(0)
