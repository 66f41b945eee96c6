"""What a grade reports and prints, in memory that is allocated once and wiped after each row.

The template forks the next grades, and a fork inherits all that its parent's memory holds, freed
memory included. So what one row's grade said never becomes an object here: the kernel writes it into
these buffers and reads it from them, and they are zero again before the next fork.
"""

from __future__ import annotations

import _socket
import os
import sys

from graders_engine.sandbox.inside import wire

_CREDENTIALS = _socket.CMSG_SPACE(12)  # room for the sender's ids from the kernel, and nothing else
_LENGTH_AT, _ANSWER_AT = 0, wire.LENGTH.size
_REPORT_AT = _ANSWER_AT + wire.ANSWER.size
_ZEROS = memoryview(bytes(max(wire.MAX_REPORT, 2 * wire.KEPT)))


class Stream:
    """The beginning and the end of a stream that a grade prints to, and its length in bytes."""

    def __init__(self) -> None:
        self.total = 0
        memory = memoryview(bytearray(2 * wire.KEPT))
        self._memory = memory
        self._head, self._tail = memory[: wire.KEPT], memory[wire.KEPT :]  # the tail is a ring

    def read(self, descriptor: int) -> int:
        """Take what can be read now, or a part of it; how many bytes that is, 0 at the end."""
        if self.total < wire.KEPT:
            room = [self._head[self.total :], self._tail]
        else:
            at = (self.total - wire.KEPT) % wire.KEPT
            room = [self._tail[at:], self._tail[:at]]
        count = os.readv(descriptor, room)
        self.total += count
        return count

    def send(self, control: int) -> None:
        """Write what is kept."""
        kept = min(self.total, 2 * wire.KEPT)
        if kept < self.total:
            at = (self.total - wire.KEPT) % wire.KEPT
            for piece in (self._head, self._tail[at:], self._tail[:at]):
                wire.send(control, piece)
        elif kept:
            wire.send(control, self._memory[:kept])

    def wipe(self) -> None:
        """Forget everything."""
        kept = min(self.total, 2 * wire.KEPT)
        self._memory[:kept] = _ZEROS[:kept]
        self.total = 0


class AnswerBuffer:
    """The answer for one row."""

    def __init__(self) -> None:
        self.streams = (Stream(), Stream())
        self._frame = memoryview(bytearray(_REPORT_AT + wire.MAX_REPORT))
        self._packet = self._frame[_REPORT_AT:]
        self._report_bytes = 0
        self._dirty_bytes = 0  # of the longest packet, ignored ones included

    def receive(self, report: _socket.socket, pid: int) -> int:
        """Read one packet; what it means: a kind of answer, or 0 when it is not from that process."""
        try:
            count, ancillary, flags, _ = report.recvmsg_into([self._packet], _CREDENTIALS)
        except OSError:  # reset: the other end was closed in the middle of something
            return wire.GONE
        self._dirty_bytes = max(self._dirty_bytes, count)
        if not ancillary:  # each packet has its sender's ids; only the end of the stream has none
            return wire.FORGED if flags & _socket.MSG_CTRUNC else wire.GONE
        if flags & _socket.MSG_CTRUNC:  # it carried descriptors, for which there is no room
            return wire.FORGED
        if int.from_bytes(ancillary[0][2][:4], sys.byteorder) != pid:
            return 0
        if not count or flags & _socket.MSG_TRUNC:
            return wire.FORGED
        self._report_bytes = count
        return wire.REPORTED

    def read(self, stream: int, descriptor: int) -> int:
        """Take what can be read from one of the streams; how many bytes that is, 0 at the end."""
        return self.streams[stream].read(descriptor)

    @property
    def printed_bytes(self) -> int:
        """How much was printed."""
        return self.streams[0].total + self.streams[1].total

    def send(self, control: int, kind: int, detail: int, *, is_last: bool) -> None:
        """Send the answer to the engine, and wipe it."""
        size = self._report_bytes if kind == wire.REPORTED else 0
        totals = [stream.total for stream in self.streams]
        body = wire.ANSWER.size + size + sum(min(total, 2 * wire.KEPT) for total in totals)
        wire.LENGTH.pack_into(self._frame, _LENGTH_AT, body)
        wire.ANSWER.pack_into(self._frame, _ANSWER_AT, kind, is_last, detail, size, *totals)
        wire.send(control, self._frame[: _REPORT_AT + size])
        for stream in self.streams:
            if stream.total:
                stream.send(control)
        self._wipe()

    def _wipe(self) -> None:
        self._packet[: self._dirty_bytes] = _ZEROS[: self._dirty_bytes]
        self._report_bytes = self._dirty_bytes = 0
        for stream in self.streams:
            if stream.total:
                stream.wipe()
