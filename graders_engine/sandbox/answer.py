"""A worker's answer for one row, read from its frame.

What the graded code wrote is in it as bytes: nothing here parses more than lengths, so that no
report, however it is made, can do more than be no report.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from struct import Struct

from graders_engine.sandbox.inside import wire

_PLAIN = Struct(wire.REPLY.format + wire.REWARD.format.lstrip("<"))


@dataclass(frozen=True, slots=True)
class Reward:
    """What `grade` returned.

    Attributes:
        value: as a float, finite or not.
        is_text: whether it was a string, which Python can take for a number.
    """

    value: float
    is_text: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception that ended the grade.

    Attributes:
        type: one of `wire.FAILURE_TYPES`.
        exception: the name of the exception's type.
        text: for people.
    """

    type: str
    exception: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one row.

    Attributes:
        kind: one of `wire.ANSWER_KINDS`.
        detail: the reason of a kill, or the exit status of a process that ended by itself (-1 when
            it is not known).
        is_last: whether the worker ends with it.
        report: the grade's own words, when the kind is `wire.REPORTED`.
        stdout: what is kept of what was printed.
        stderr: likewise.
    """

    kind: int
    detail: int = 0
    is_last: bool = False
    report: Reward | Failure | None = None
    stdout: str = ""
    stderr: str = ""


def read_answer(body: bytes, nonce: bytes) -> Answer:
    """The answer in a frame's body; a reward counts if it comes with the nonce.

    Raises:
        BadFrame: a template does not send this.
    """
    if len(body) < wire.ANSWER.size:
        raise wire.BadFrame(f"an answer of {len(body)} bytes is too short")
    kind, is_last, detail, report_bytes, out_total, err_total = wire.ANSWER.unpack_from(body)
    report_end = wire.ANSWER.size + report_bytes
    out_end = report_end + min(out_total, 2 * wire.KEPT)
    if kind not in wire.ANSWER_KINDS or len(body) != out_end + min(err_total, 2 * wire.KEPT):
        raise wire.BadFrame("it is not an answer")
    report = None
    if kind == wire.REPORTED:
        report = read_report(body[wire.ANSWER.size : report_end], nonce)
        kind = wire.FORGED if report is None else kind
    return Answer(
        kind,
        detail,
        bool(is_last),
        report,
        stdout=_printed(body[report_end:out_end], out_total),
        stderr=_printed(body[out_end:], err_total),
    )


def read_plain_reply(body: bytes, number: int, nonce: bytes) -> float | None:
    """The reward in a reply that has nothing else: it is finite, nothing was printed, and rows may follow."""
    if len(body) != _PLAIN.size:
        return None
    got, is_last, size, out, err, tag, given, value, is_text, _ = _PLAIN.unpack(body)
    is_plain = tag == wire.REWARD_TAG and given == nonce and got == number
    if not is_plain or is_last or is_text or out or err or size != wire.REWARD.size:
        return None
    return float(value) if isfinite(value) else None


def read_reply(body: bytes, number: int, nonce: bytes) -> tuple[Answer, bool]:
    """The answer in the reply of a process that rows share, and whether it takes another row.

    Raises:
        BadFrame: it is not the reply to the row of that number and nonce.
    """
    if len(body) < wire.REPLY.size:
        raise wire.BadFrame(f"a reply of {len(body)} bytes is too short")
    got, is_last, report_bytes, out_total, err_total = wire.REPLY.unpack_from(body)
    report_end = wire.REPLY.size + report_bytes
    out_end = report_end + min(out_total, 2 * wire.KEPT)
    if got != number or len(body) != out_end + min(err_total, 2 * wire.KEPT):
        raise wire.BadFrame("it is not the reply to the row")
    report = read_report(body[wire.REPLY.size : report_end], nonce)
    if report is None:
        raise wire.BadFrame("it has no report of the row")
    out, err = body[report_end:out_end], body[out_end:]
    answer = Answer(
        wire.REPORTED,
        report=report,
        stdout=_printed(out, out_total),
        stderr=_printed(err, err_total),
    )
    return answer, not is_last


def read_report(packet: bytes, nonce: bytes) -> Reward | Failure | None:
    """What a grade reported; None for anything that our own code in it does not send."""
    if len(packet) == wire.REWARD.size and packet.startswith(wire.REWARD_TAG):
        _, given, value, is_text, _ = wire.REWARD.unpack(packet)
        return Reward(value, is_text) if given == nonce else None
    if len(packet) >= wire.FAILURE.size and packet.startswith(wire.FAILURE_TAG):
        _, type_, name_bytes = wire.FAILURE.unpack_from(packet)
        text_at = wire.FAILURE.size + name_bytes
        if type_ < len(wire.FAILURE_TYPES) and text_at <= len(packet):
            name = packet[wire.FAILURE.size : text_at].decode("utf-8", "replace")
            text = packet[text_at:].decode("utf-8", "replace")
            return Failure(wire.FAILURE_TYPES[type_], name, text)
    return None


def _printed(kept: bytes, total: int) -> str:
    """Beginning and end of a stream, with a note of how much is missing between them."""
    if not total:
        return ""
    missing = total - len(kept)
    note = f"\n... {missing} bytes left out ...\n".encode() if missing else b""
    return (kept[: wire.KEPT] + note + kept[wire.KEPT :]).decode("utf-8", "replace")
