"""From a worker's answer to a verdict, in words."""

from __future__ import annotations

import math
import os
import signal

from graders_engine.sandbox.base import Kind, Limits, Verdict, WorkerLost
from graders_engine.sandbox.inside import plan, wire

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "bytes"))


def size(count: int) -> str:
    """A number of bytes as people write it: 2 GiB, 1.5 MiB."""
    unit, name = next((u, n) for u, n in _UNITS if count >= u or u == 1)
    return f"{count / unit:.4g} {name}"


def words(kind: Kind, limits: Limits) -> str:
    """What is said of a limit that was passed."""
    return {
        Kind.TIMEOUT: f"killed after {limits.wall_s:.1f} s",
        Kind.MEMORY: f"memory limit of {size(limits.memory_bytes)} passed",
        Kind.DISK: f"disk limit of {size(limits.disk_bytes)} passed",
        Kind.OUTPUT: f"output limit of {size(limits.output_bytes)} passed",
    }[kind]


_REASONS = {
    plan.TIMEOUT: Kind.TIMEOUT,
    plan.MEMORY: Kind.MEMORY,
    plan.DISK: Kind.DISK,
    plan.OUTPUT: Kind.OUTPUT,
}


def verdict(frame: wire.Frame, limits: Limits, seconds: float) -> Verdict:
    """The verdict that a frame stands for; WorkerLost when it tells of our own failure."""
    kind, reward, details = _read(frame, limits)
    return Verdict(kind, reward, details, frame.get("stdout", ""), frame.get("stderr", ""), seconds)


def _read(frame: wire.Frame, limits: Limits) -> tuple[Kind, float | None, str]:
    match frame.get("kind"):
        case "value":
            return _value(frame)
        case "failure":
            return _failure(frame, limits)
        case "killed":
            kind = _REASONS[frame["reason"]]
            return kind, None, words(kind, limits)
        case "gone":
            return _gone(frame["status"], limits)
        case "forged":
            return Kind.DIED, None, "the graded code wrote to the engine's channel; nothing counts"
        case _:
            raise WorkerLost("the worker sent an unknown answer")


def _value(frame: wire.Frame) -> tuple[Kind, float | None, str]:
    value = frame["value"]
    if frame["text"]:
        return Kind.BAD_RETURN, None, "grade returned a string; a finite number is wanted"
    if not math.isfinite(value):
        return Kind.BAD_RETURN, None, f"grade returned {value}; a finite number is wanted"
    return Kind.VALUE, value, ""


def _failure(frame: wire.Frame, limits: Limits) -> tuple[Kind, float | None, str]:
    text = frame["text"]
    match frame["type"]:
        case "bad_return":
            return Kind.BAD_RETURN, None, f"{text}; a finite number is wanted"
        case "memory":
            return Kind.MEMORY, None, f"{words(Kind.MEMORY, limits)}\n{text}"
        case "disk":
            return Kind.DISK, None, f"{words(Kind.DISK, limits)}\n{text}"
        case _:
            return Kind.EXCEPTION, None, text


def _gone(status: int | None, limits: Limits) -> tuple[Kind, float | None, str]:
    if status is None:
        return Kind.DIED, None, "the graded code closed the engine's channel before grade returned"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return Kind.TIMEOUT, None, words(Kind.TIMEOUT, limits)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        return Kind.DIED, None, f"the grade's process was ended by {name} before grade returned"
    code = os.waitstatus_to_exitcode(status)
    return Kind.DIED, None, f"the grade's process exited with code {code} before grade returned"
