"""The frames between the engine and a worker.

Two private socket pairs connect them. `control` carries length-prefixed JSON frames both ways, and
requests to kill a grade. `rows` carries one request after the other, each read by the process that
grades it: a nonce, two lengths, the JSON of the sample and of the item. Every size is bounded on
arrival. What is malformed raises `BadFrame`, and the worker is discarded: there is no way to find
the next frame.

The grade's own report to its template is not a frame but one packet (see `child`).
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

_encode = json.JSONEncoder(separators=(",", ":")).encode
_LENGTH = struct.Struct("<I")
_ROW = struct.Struct("<II")
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
    return _LENGTH.pack(len(body)) + body


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
    """Finds the frames in a stream of bytes, however it is cut into pieces."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
        pending = self._pending + data if self._pending else data
        frames: list[Frame] = []
        at = 0
        while len(pending) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(pending, at)
            _check_length(length)
            end = at + _LENGTH.size + length
            if len(pending) < end:
                break
            frames.append(parse(pending[at + _LENGTH.size : end]))
            at = end
        self._pending = pending[at:]
        return frames


def row(nonce: bytes, sample_json: bytes, item_json: bytes) -> bytes:
    """The bytes of one request."""
    if len(nonce) != NONCE_BYTES:
        raise BadFrame(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
    size = len(sample_json) + len(item_json)
    if size > MAX_ROW:
        raise BadFrame(f"a row of {size} bytes is too large; at most {MAX_ROW} are sent")
    return nonce + _ROW.pack(len(sample_json), len(item_json)) + sample_json + item_json


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
    (length,) = _LENGTH.unpack(exactly(descriptor, _LENGTH.size))
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


def send(descriptor: int, data: bytes) -> None:
    """Write all of it to a blocking descriptor."""
    sent = os.write(descriptor, data)
    while sent < len(data):
        sent += os.write(descriptor, data[sent : sent + (1 << 20)])
