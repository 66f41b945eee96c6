"""One worker whose rows share a process, seen from the engine.

Rows are sent ahead and answered one after the other. When the process ends, the row that it was at is
given back as one to be graded in a process of its own, unless an order to kill another row has hit it;
the rows behind it are given back to be graded again; and the template starts the next process.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable

from graders_engine.sandbox.answer import Answer, read_answer, read_plain_reply, read_reply
from graders_engine.sandbox.inside import plan as plans
from graders_engine.sandbox.inside import wire
from graders_engine.sandbox.interpreter import Interpreter
from graders_engine.sandbox.process import RunningGrade, Worker, WorkerState

_RESTART_S = 30.0  # the next process is there within a millisecond, on a machine that breathes
_CHUNK = 1 << 18
_RESTARTED = wire.frame(wire.RESTARTED)[wire.LENGTH.size :]
_NONCES = 64  # drawn at a time


class SharedRow(RunningGrade):
    """A row that is to be graded in a process that rows share.

    Attributes:
        sample_json: the sample.
        item_json: the item.
        answer: what the process answered: a finite reward alone, where nothing was printed, or all of it;
            None when it did not answer, so that the row needs a process of its own.
        nonce: what a reward must come with.
        number: the row's place among those of the process, from 0.
        seconds: how long the process took for it.
    """

    __slots__ = ("answer", "item_json", "nonce", "number", "sample_json", "seconds")

    def __init__(
        self, sample_json: bytes, item_json: bytes, answer: asyncio.Future[Answer | float | None]
    ) -> None:
        self.sample_json, self.item_json, self.answer = sample_json, item_json, answer
        self.nonce, self.number, self.seconds = b"", 0, 0.0
        self.sequence, self.started, self.kill_reason = 0, 0.0, None

    def settle(self, answer: Answer | float | None) -> None:
        """Give the answer to who waits for it, if anybody still does."""
        if not self.answer.done():
            self.answer.set_result(answer)


class SharedWorker(Worker):
    """A worker that has several rows at a time.

    Args:
        plan: what it is started with; `shared` is set.
        interpreter: the Python that it runs.
        on_change: called with this worker when it can take rows, or is lost, and with the rows that it
            gives back to be graded again.

    Attributes:
        rows: how many rows it has.
    """

    def __init__(
        self,
        plan: plans.Plan,
        interpreter: Interpreter,
        on_change: Callable[[SharedWorker, list[SharedRow]], None],
    ) -> None:
        super().__init__(plan, interpreter)
        self._on_change = on_change
        self._sent: deque[SharedRow] = deque()
        self._batch, self._unsent = bytearray(), bytearray()
        self._is_batching = False
        self._nonces: list[bytes] = []
        self._replies = wire.Reader()
        self._next = self.rows = 0
        self._restart_timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._rows.fileno(), self._on_replies)

    @property
    def is_ready(self) -> bool:
        """Whether it takes rows."""
        return self._state in (WorkerState.IDLE, WorkerState.GRADING)

    @property
    def running(self) -> RunningGrade | None:
        """The row that the process is at; those behind it wait, and their clock has not started."""
        try:
            return self._sent[0]
        except IndexError:  # the watchdog's thread asks
            return None

    def take(self, row: SharedRow) -> None:
        """Send a row, together with those that come in the same turn of the event loop."""
        row.nonce = self._new_nonce()
        row.number = self._next
        row.sequence, row.kill_reason = (self._sequence + self._next) & 0xFFFFFFFF, None
        row.started = time.monotonic()
        self._next += 1
        self.rows += 1
        self._sent.append(row)
        self._state = WorkerState.GRADING
        self._batch += wire.shared_row(row.nonce, row.number, row.sample_json, row.item_json)
        if not self._is_batching:
            self._is_batching = True
            self._loop.call_soon(self._send_batch)

    def _new_nonce(self) -> bytes:
        if not self._nonces:
            drawn = os.urandom(_NONCES * wire.NONCE_BYTES)
            self._nonces = [
                drawn[at : at + wire.NONCE_BYTES] for at in range(0, len(drawn), wire.NONCE_BYTES)
            ]
        return self._nonces.pop()

    def _send_batch(self) -> None:
        self._is_batching = False
        data, self._batch = self._batch, bytearray()
        if not data or self._state is not WorkerState.GRADING:
            return  # its rows have been given back
        if self._unsent:
            self._unsent += data
            return
        sent = self._send_some(data)
        if sent < len(data) and not self._is_given_up():
            self._unsent += memoryview(data)[sent:]
            self._loop.add_writer(self._rows.fileno(), self._write_rest)

    def _write_rest(self) -> None:
        sent = self._send_some(self._unsent[:_CHUNK])
        if not self._is_given_up():
            del self._unsent[:sent]
            if not self._unsent:
                self._loop.remove_writer(self._rows.fileno())

    def _is_given_up(self) -> bool:
        return self._state is WorkerState.DISCARDED

    def _send_some(self, data: bytes | bytearray) -> int:
        try:
            return self._rows.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.discard(f"the worker went away: {error}")
            return 0

    def _on_replies(self) -> None:
        try:
            data = self._rows.recv(_CHUNK)
            if not data:
                self.discard("the worker went away")
                return
            bodies = self._replies.feed(data)
            if self._settle(bodies):
                self._give_back([])
        except BlockingIOError:
            return
        except (OSError, wire.BadFrame) as error:
            self.discard(f"the worker's answers cannot be read: {error}")

    def _settle(self, bodies: list[bytes]) -> bool:
        """Settle the rows that these replies answer; whether there is room for more."""
        now = time.monotonic()
        for body in bodies:
            if not self.rows:
                raise wire.BadFrame("a reply to no row")
            row = self._sent[0]
            answer: Answer | float | None = read_plain_reply(body, row.number, row.nonce)
            takes_more = True
            if answer is None:
                answer, takes_more = read_reply(body, row.number, row.nonce)
            row.seconds = now - row.started
            self._sent.popleft()
            self.rows -= 1
            if self.rows:
                self._sent[0].started = now
            row.settle(answer)
            if not takes_more:
                self._state = WorkerState.STARTING  # until the template says that it has ended
                self._hand_back()
                return False
        if not self.rows and self._state is WorkerState.GRADING:
            self._state = WorkerState.IDLE
        return self.is_ready

    def _on_frame(self, body: bytes) -> None:
        if self._reply is not None and not self._reply.done():
            super()._on_frame(body)
        elif self._restart_timer is not None:
            self._on_restart(body)
        else:
            self._on_end(body)

    def _on_restart(self, body: bytes) -> None:
        """The next process is there, or the template says why it is not."""
        timer, self._restart_timer = self._restart_timer, None
        if timer is not None:
            timer.cancel()
        if body != _RESTARTED:
            self.discard("the template has failed")
            return
        self._state = WorkerState.IDLE
        self._give_back([])

    def _become_idle(self) -> None:
        if self._restart_timer is None:  # else the first process has ended already
            super()._become_idle()

    def _on_end(self, body: bytes) -> None:
        """The process has ended: settle what it has answered, then have the next one started."""
        try:
            ending = read_answer(body, b"")
            self._read_last_replies()
        except wire.BadFrame as error:
            self.discard(f"the worker's answer cannot be read: {error}")
            return
        except OSError as error:
            self.discard(f"the worker's channel broke: {error}")
            return
        self._state = WorkerState.STARTING
        self._blame(ending)
        self._hand_back()
        self._batch.clear()
        if self._unsent:
            self._unsent.clear()
            self._loop.remove_writer(self._rows.fileno())
        self._replies = wire.Reader()
        self._sequence, self._next = (self._sequence + self._next) & 0xFFFFFFFF, 0
        self._restart_timer = self._loop.call_later(_RESTART_S, self.discard, "it did not restart")
        try:
            self._control.send(wire.encode_kill(self._sequence, plans.RESTART))
        except OSError as error:
            self.discard(f"the worker went away: {error}")

    def _read_last_replies(self) -> None:
        """Read what the process had sent before it ended: all of it has arrived."""
        while True:
            try:
                data = self._rows.recv(_CHUNK)
            except BlockingIOError:
                return
            if not data:
                raise OSError("it was closed")
            self._settle(self._replies.feed(data))

    def _blame(self, ending: Answer) -> None:
        """Settle the row that the process was at, if it is that row that ended it."""
        if not self._sent:
            return
        is_ordered = ending.kind == wire.KILLED and ending.detail != plans.OUTPUT
        if is_ordered and self._sent[0].kill_reason is None:
            return  # the order was for a row that had just been answered
        self._sent.popleft().settle(None)

    def _hand_back(self) -> None:
        rows, self._sent, self.rows = list(self._sent), deque(), 0
        self._give_back(rows)

    def _give_back(self, rows: list[SharedRow]) -> None:
        self._on_change(self, rows)

    def discard(self, why: str = "the worker was discarded") -> None:
        """Give the worker up; the row that it was at gets a process of its own, the others another worker."""
        if self._state is WorkerState.DISCARDED:
            return
        is_open = not self._loop.is_closed()
        if is_open:
            if self._restart_timer is not None:
                self._restart_timer.cancel()
            self._loop.remove_reader(self._rows.fileno())
            self._loop.remove_writer(self._rows.fileno())
        super().discard(why)
        if is_open:
            if self._sent:
                self._sent.popleft().settle(None)
            self._hand_back()
