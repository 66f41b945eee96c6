"""The frames between the engine and a worker.

Two private socket pairs connect them. `control` carries length-prefixed JSON frames both ways, and
requests to kill a grade. `rows` carries one request after the other, each read by the process that
grades it: a nonce, two lengths, the JSON of the sample and of the item. Every size is bounded on
arrival. What is malformed raises `BadFrame`, and the worker is discarded: there is no way to find
the next frame.

The grade's own report to its template is one packet: the reward (`REWARD`), or how it failed
(`FAILURE`, then the exception's name and the text). The template does not read it. It forwards it in
the frame that answers the row: `ANSWER`, the packet, and what is kept of stdout and of stderr.
"""

from __future__ import annotations

import json
import os
import struct

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from typing import Any

    Frame = dict[str, Any]

#: a frame holds a source (256 KiB) or a traceback and the output, in JSON's longest spelling
MAX_FRAME = 4 << 20
MAX_ROW = 256 << 20
NONCE_BYTES = 16

REWARD = struct.Struct(
    "<c16sd??"
)  # tag, nonce, reward, whether `grade` returned a string, (unused)
FAILURE = struct.Struct("<cBH")  # tag, place in FAILURE_TYPES, bytes of the exception's name
REWARD_TAG, FAILURE_TAG = b"V", b"F"
FAILURE_TYPES = ("exception", "bad_return", "memory", "disk")
MAX_REPORT = 64 << 10

#: kind; whether the worker ends with it; the reason of a kill, or the exit status (-1: not known);
#: bytes of the packet; bytes printed to stdout and to stderr
ANSWER = struct.Struct("<BBiIQQ")
REPORTED, GONE, KILLED, FORGED = ANSWER_KINDS = range(1, 5)
KEPT = 8 << 10  # bytes of a stream that are kept from its beginning, and as many from its end

#: where rows share a process, its reply to one: the row's number, whether it takes no more rows,
#: bytes of the report, bytes printed to stdout and to stderr; then the report and what is kept of both
REPLY = struct.Struct("<I?IQQ")
CLEAR, CLEARED = b"C", b"c"  # to the template: empty the scratch folders; and its answer
RESTARTED = {"restarted": True}  # from the template: the next process is there

_encode = json.JSONEncoder(separators=(",", ":")).encode
LENGTH = struct.Struct("<I")
_ROW = struct.Struct("<II")
_SHARED_ROW = struct.Struct("<III")
_KILL = struct.Struct("<IB")
KILL_BYTES = _KILL.size


class BadFrame(Exception):
    """Raised for bytes that are not a frame, and for a frame or row that is too large."""


class Closed(Exception):
    """Raised when the other end is closed."""


def frame(message: Frame) -> bytes:
    """The bytes of one message."""
    body = _encode(message).encode()
    if len(body) > MAX_FRAME:
        raise BadFrame(f"a frame of {len(body)} bytes is too large; at most {MAX_FRAME} are sent")
    return LENGTH.pack(len(body)) + body


def parse(body: bytes) -> Frame:
    """The message in a frame's body."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"the frame is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise BadFrame("the frame is not a JSON object")
    return message


class Reader:
    """Finds the bodies of frames in a stream of bytes, however it is cut into pieces."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies of the frames that `data` completes."""
        pending = self._pending + data if self._pending else data
        bodies: list[bytes] = []
        at = 0
        while len(pending) - at >= LENGTH.size:
            (length,) = LENGTH.unpack_from(pending, at)
            _check_length(length)
            end = at + LENGTH.size + length
            if len(pending) < end:
                break
            bodies.append(pending[at + LENGTH.size : end])
            at = end
        self._pending = pending[at:]
        return bodies


def row(nonce: bytes, sample_json: bytes, item_json: bytes) -> bytes:
    """The bytes of one request."""
    if len(nonce) != NONCE_BYTES:
        raise BadFrame(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
    size = len(sample_json) + len(item_json)
    if size > MAX_ROW:
        raise BadFrame(f"a row of {size} bytes is too large; at most {MAX_ROW} are sent")
    return nonce + _ROW.pack(len(sample_json), len(item_json)) + sample_json + item_json


def shared_row(nonce: bytes, number: int, sample_json: bytes, item_json: bytes) -> bytes:
    """The bytes of one request to a process that rows share; `number` counts its rows, from 0."""
    sizes = len(sample_json), len(item_json)
    return b"".join((nonce, _SHARED_ROW.pack(number, *sizes), sample_json, item_json))


def encode_kill(sequence: int, reason: int) -> bytes:
    """The request to kill the grade of that number."""
    return _KILL.pack(sequence & 0xFFFFFFFF, reason)


def decode_kill(data: bytes) -> tuple[int, int]:
    """The number of the grade and the reason."""
    sequence, reason = _KILL.unpack(data)
    return sequence, reason


def exactly(descriptor: int, count: int) -> bytes:
    """Read that many bytes from a blocking descriptor; Closed when it ends before."""
    data = os.read(descriptor, count)
    if len(data) == count:
        return data
    pieces = [data]
    missing = count - len(data)
    while missing:
        piece = os.read(descriptor, min(missing, 1 << 20)) if data else b""
        if not piece:
            raise Closed
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def receive(descriptor: int) -> Frame:
    """Read the next frame from a blocking descriptor."""
    (length,) = LENGTH.unpack(exactly(descriptor, LENGTH.size))
    _check_length(length)
    return parse(exactly(descriptor, length))


def _check_length(length: int) -> None:
    if length > MAX_FRAME:
        raise BadFrame(f"a frame of {length} bytes is announced; at most {MAX_FRAME} are accepted")


def receive_row(descriptor: int) -> tuple[bytes, bytes]:
    """Read sample and item of the next request, after its nonce."""
    sample_length, item_length = _ROW.unpack(exactly(descriptor, _ROW.size))
    sample = exactly(descriptor, sample_length) if sample_length else b""
    return sample, exactly(descriptor, item_length) if item_length else b""


def receive_shared_row(descriptor: int) -> tuple[int, bytes, bytes]:
    """Read number, sample and item of the next request to this process, after its nonce."""
    head = exactly(descriptor, _SHARED_ROW.size)
    number, sample_length, item_length = _SHARED_ROW.unpack(head)
    sample = exactly(descriptor, sample_length) if sample_length else b""
    return number, sample, exactly(descriptor, item_length) if item_length else b""


def send(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of it to a blocking descriptor."""
    sent = os.write(descriptor, data)
    while sent < len(data):
        sent += os.write(descriptor, data[sent : sent + (1 << 20)])
