"""The frames between the engine and a worker.

Two private socket pairs join them. Over `control` go length-prefixed JSON frames both ways, and
orders to kill. Over `rows` goes one request after the other, read by the process that grades it: a
nonce, two lengths, the JSON of the sample and of the item. Every size is bounded on arrival, and
what is not well formed is `BadFrame`: there is no resynchronising, the worker is given up.

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

#: a frame holds a source (256 KiB), or two traces and four captures, in JSON's worst spelling
MAX_FRAME = 4 << 20
MAX_ROW = 256 << 20
NONCE_BYTES = 16

_encode = json.JSONEncoder(separators=(",", ":")).encode
_LENGTH = struct.Struct("<I")
_ROW = struct.Struct("<II")
_ORDER = struct.Struct("<IB")
ORDER_BYTES = _ORDER.size


class BadFrame(Exception):
    """What arrived is not a frame of ours, or is too large to be one."""


class Closed(Exception):
    """The other end went away."""


def frame(message: Frame) -> bytes:
    """One message as it is sent."""
    body = _encode(message).encode()
    if len(body) > MAX_FRAME:
        raise BadFrame(f"a frame of {len(body)} bytes; at most {MAX_FRAME} are sent")
    return _LENGTH.pack(len(body)) + body


def parse(body: bytes) -> Frame:
    """The message in a frame's body."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"a frame that is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise BadFrame("a frame that is not a JSON object")
    return message


class Reader:
    """Frames out of a stream of bytes that arrives in any pieces."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
        pending = self._pending + data if self._pending else data
        frames: list[Frame] = []
        at = 0
        while len(pending) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(pending, at)
            if length > MAX_FRAME:
                raise BadFrame(
                    f"a frame of {length} bytes is announced; at most {MAX_FRAME} may come"
                )
            end = at + _LENGTH.size + length
            if len(pending) < end:
                break
            frames.append(parse(pending[at + _LENGTH.size : end]))
            at = end
        self._pending = pending[at:]
        return frames


def row(nonce: bytes, sample_json: bytes, item_json: bytes) -> bytes:
    """One request."""
    if len(nonce) != NONCE_BYTES:
        raise BadFrame(f"a nonce has {NONCE_BYTES} bytes")
    if len(sample_json) + len(item_json) > MAX_ROW:
        size = len(sample_json) + len(item_json)
        raise BadFrame(f"a row of {size} bytes; at most {MAX_ROW} are sent to a sandbox")
    return nonce + _ROW.pack(len(sample_json), len(item_json)) + sample_json + item_json


def order(sequence: int, reason: int) -> bytes:
    """The order to kill the grade of that number, and why."""
    return _ORDER.pack(sequence & 0xFFFFFFFF, reason)


def parse_order(data: bytes) -> tuple[int, int]:
    """Number and reason."""
    sequence, reason = _ORDER.unpack(data)
    return sequence, reason


def exactly(descriptor: int, count: int) -> bytes:
    """That many bytes from a blocking descriptor."""
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
    """The next frame from a blocking descriptor."""
    (length,) = _LENGTH.unpack(exactly(descriptor, _LENGTH.size))
    if length > MAX_FRAME:
        raise BadFrame(f"a frame of {length} bytes is announced; at most {MAX_FRAME} may come")
    return parse(exactly(descriptor, length))


def receive_row(descriptor: int) -> tuple[bytes, bytes]:
    """Sample and item of the next request, whose nonce has been read already."""
    sample_length, item_length = _ROW.unpack(exactly(descriptor, _ROW.size))
    sample = exactly(descriptor, sample_length) if sample_length else b""
    return sample, exactly(descriptor, item_length) if item_length else b""


def send(descriptor: int, data: bytes) -> None:
    """All of it, blocking."""
    sent = os.write(descriptor, data)
    while sent < len(data):
        sent += os.write(descriptor, data[sent : sent + (1 << 20)])
