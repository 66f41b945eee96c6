"""What a grade says reaches the engine whole, and only its own reward counts."""

from __future__ import annotations

import os
import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.sandbox.answer import Answer, Failure, Reward, read_answer, read_report
from graders_engine.sandbox.inside import wire
from graders_engine.sandbox.inside.answer_buffer import AnswerBuffer

NONCE = bytes(range(16))
RIGHT = wire.REWARD.pack(wire.REWARD_TAG, NONCE, 0.5, False, False)
LIMIT = 2 * wire.KEPT


def failure(type_: int, name: bytes, text: bytes, name_bytes: int | None = None) -> bytes:
    size = len(name) if name_bytes is None else name_bytes
    return wire.FAILURE.pack(wire.FAILURE_TAG, type_, size) + name + text


class Passage:
    """A grade's end and the engine's end of one answer buffer."""

    def __init__(self, buffer: AnswerBuffer) -> None:
        self.buffer = buffer

    def carry(self, packet: bytes | None, printed: tuple[bytes, bytes]) -> Answer:
        grade, report = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        report.setsockopt(socket.SOL_SOCKET, 16, 1)
        control, engine = socket.socketpair()
        with grade, report, control, engine:
            for stream, data in enumerate(printed):
                self._print(stream, data)
            kind = wire.KILLED
            if packet is not None:
                grade.send(packet)
                kind = self.buffer.receive(report, os.getpid())
            received: list[bytes] = []
            reader = threading.Thread(target=lambda: received.append(self._read(engine)))
            reader.start()
            self.buffer.send(control.fileno(), kind, 7, is_last=False)
            reader.join()
        return read_answer(received[0], NONCE)

    def _print(self, stream: int, data: bytes) -> None:
        ours, theirs = os.pipe()
        sent = 0
        while sent < len(data):
            sent += os.write(theirs, data[sent : sent + 4000])
            self.buffer.read(stream, ours)
            # the rest of what is in the pipe, which a short room may have left
            os.set_blocking(ours, False)
            try:
                while self.buffer.read(stream, ours):
                    pass
            except BlockingIOError:
                pass
        os.close(ours)
        os.close(theirs)

    @staticmethod
    def _read(engine: socket.socket) -> bytes:
        reader = wire.Reader()
        while True:
            if bodies := reader.feed(engine.recv(1 << 16)):
                return bodies[0]


def kept(data: bytes) -> str:
    if len(data) <= LIMIT:
        return data.decode("utf-8", "replace")
    note = f"\n... {len(data) - LIMIT} bytes left out ...\n".encode()
    return (data[: wire.KEPT] + note + data[-wire.KEPT :]).decode("utf-8", "replace")


SIZES = st.integers(0, 20) | st.integers(wire.KEPT - 2, wire.KEPT + 2) | st.integers(0, 60_000)
PRINTED = st.builds(lambda size, seed: bytes((k * seed) % 251 for k in range(size)), SIZES, SIZES)


@given(st.lists(st.tuples(PRINTED, PRINTED), min_size=1, max_size=3))
def test_beginning_and_end_of_what_is_printed_arrive_and_nothing_of_an_earlier_row(
    rows: list[tuple[bytes, bytes]],
) -> None:
    passage = Passage(AnswerBuffer())
    for printed in rows:
        answer = passage.carry(RIGHT, printed)
        assert answer == Answer(
            wire.REPORTED, 7, False, Reward(0.5, False), kept(printed[0]), kept(printed[1])
        )


@given(st.binary(max_size=60) | st.builds(failure, st.integers(0, 255), st.binary(), st.binary()))
def test_a_packet_without_the_nonce_is_never_a_reward(packet: bytes) -> None:
    assert not isinstance(read_report(packet, NONCE), Reward)


@pytest.mark.parametrize(
    "packet",
    [
        RIGHT[:-1],
        RIGHT + b"x",
        b"F" + RIGHT[1:],
        RIGHT[:1] + bytes(16) + RIGHT[17:],
        b"[" * 60_000,
        b"L" + b"[" * 60_000,
        b"[" * 150_000,
        b'{"type": "exception", "exception": "x", "text": "x"}',
        failure(len(wire.FAILURE_TYPES), b"E", b"t"),
        failure(0, b"E", b"t", name_bytes=3),
        b"F",
        b"V",
        b"",
        bytes(wire.MAX_REPORT),
        RIGHT + bytes(wire.MAX_REPORT),
    ],
)
def test_what_our_code_does_not_send_is_forged(packet: bytes) -> None:
    assert Passage(AnswerBuffer()).carry(packet, (b"", b"")).kind == wire.FORGED


@given(st.sampled_from(range(len(wire.FAILURE_TYPES))), st.text(max_size=200), st.text())
def test_a_failure_arrives_as_it_was_sent(type_: int, name: str, text: str) -> None:
    packet = failure(type_, name.encode(), text.encode())
    answer = Passage(AnswerBuffer()).carry(packet, (b"", b""))
    assert answer.report == Failure(wire.FAILURE_TYPES[type_], name, text)


def test_a_packet_of_another_process_does_not_count() -> None:
    grade, report = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    report.setsockopt(socket.SOL_SOCKET, 16, 1)
    buffer = AnswerBuffer()
    with grade, report:
        for packet in (RIGHT, b""):
            grade.send(packet)
            assert buffer.receive(report, os.getpid() + 1) == 0


def test_a_packet_with_descriptors_is_forged() -> None:
    grade, report = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    report.setsockopt(socket.SOL_SOCKET, 16, 1)
    with grade, report:
        socket.send_fds(grade, [RIGHT], [0, 1])
        assert AnswerBuffer().receive(report, os.getpid()) == wire.FORGED


@given(st.binary(max_size=100))
def test_noise_is_not_an_answer(noise: bytes) -> None:
    sizes = struct.pack("<BBiIQQ", 0, 0, 0, 0, 0, 0)
    for body in (noise, sizes + noise, b"\x01" + noise):
        with pytest.raises(wire.BadFrame):
            read_answer(body, NONCE)
