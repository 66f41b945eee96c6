"""Frames survive any cutting, and nothing that is not a frame passes for one."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.sandbox.inside import wire

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
MESSAGES = st.dictionaries(st.text(), JSON, max_size=5)


@given(st.lists(MESSAGES, max_size=5), st.data())
def test_frames_arrive_whole_however_they_are_cut(
    messages: list[wire.Frame], data: st.DataObject
) -> None:
    stream = b"".join(wire.frame(m) for m in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = wire.Reader()
    arrived = [
        wire.parse(body)
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for body in reader.feed(stream[start:end])
    ]
    assert arrived == messages


@given(st.binary(max_size=200))
def test_noise_is_refused_or_waited_for_and_never_crashes(noise: bytes) -> None:
    try:
        frames = [wire.parse(body) for body in wire.Reader().feed(noise)]
    except wire.BadFrame:
        return
    assert all(isinstance(f, dict) for f in frames)


@given(st.integers(wire.MAX_FRAME + 1, 2**32 - 1), st.binary(max_size=20))
def test_a_frame_that_announces_too_much_is_refused_before_it_is_read(
    length: int, rest: bytes
) -> None:
    with pytest.raises(wire.BadFrame, match="announced"):
        wire.Reader().feed(struct.pack("<I", length) + rest)


def test_a_frame_that_is_too_large_is_not_sent() -> None:
    with pytest.raises(wire.BadFrame, match="at most"):
        wire.frame({"x": "x" * wire.MAX_FRAME})


@pytest.mark.parametrize("body", [b"[]", b"1", b"{", b"\xff", b"[" * 100_000, b""])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(wire.BadFrame):
        wire.parse(body)


@given(JSON, JSON, st.binary(min_size=16, max_size=16))
def test_a_row_is_read_back_from_a_pipe(sample: object, item: object, nonce: bytes) -> None:
    sample_json, item_json = json.dumps(sample).encode(), json.dumps(item).encode()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(wire.row(nonce, sample_json, item_json))
        assert os.read(theirs.fileno(), wire.NONCE_BYTES) == nonce
        assert wire.receive_row(theirs.fileno()) == (sample_json, item_json)


def test_a_large_row_is_read_in_pieces() -> None:
    ours, theirs = socket.socketpair()
    sample = b'"' + b"x" * (3 << 20) + b'"'
    with ours, theirs:
        sender = threading.Thread(target=ours.sendall, args=(wire.row(bytes(16), sample, b"{}"),))
        sender.start()
        assert wire.exactly(theirs.fileno(), 16) == bytes(16)
        assert wire.receive_row(theirs.fileno()) == (sample, b"{}")
        sender.join()


def test_a_row_beyond_the_bound_is_refused() -> None:
    with pytest.raises(wire.BadFrame, match="row"):
        wire.row(bytes(16), b"x" * wire.MAX_ROW, b"x")


@pytest.mark.parametrize("nonce", [b"", b"x" * 15, b"x" * 17])
def test_a_nonce_has_its_length(nonce: bytes) -> None:
    with pytest.raises(wire.BadFrame, match="nonce"):
        wire.row(nonce, b"1", b"1")


@given(MESSAGES)
def test_blocking_ends_speak_the_same(message: wire.Frame) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.send(ours.fileno(), wire.frame(message))
        assert wire.receive(theirs.fileno()) == message


def test_an_end_that_closes_in_the_middle_is_closed_and_not_a_frame() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.send(wire.frame({"a": 1})[:-1])
        ours.close()
        with pytest.raises(wire.Closed):
            wire.receive(theirs.fileno())


@given(st.integers(0, 2**32 - 1), st.integers(0, 255))
def test_a_request_to_kill_is_read_back(sequence: int, reason: int) -> None:
    assert wire.decode_kill(wire.encode_kill(sequence, reason)) == (sequence, reason)
