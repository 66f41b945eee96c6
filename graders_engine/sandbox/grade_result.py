"""From a worker's frame to the result of a grade."""

from __future__ import annotations

import math
import os
import signal

from graders_engine.sandbox.base import GradeResult, Kind, Limits, WorkerLost
from graders_engine.sandbox.inside import plan, wire

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "bytes"))


def format_bytes(count: int) -> str:
    """A number of bytes as people write it: 2 GiB, 1.5 MiB."""
    unit, name = next((u, n) for u, n in _UNITS if count >= u or u == 1)
    return f"{count / unit:.4g} {name}"


def describe_limit(kind: Kind, limits: Limits) -> str:
    """The sentence for a limit that was exceeded."""
    return {
        Kind.TIMEOUT: f"killed after {limits.wall_s:.1f} s",
        Kind.MEMORY: f"memory limit of {format_bytes(limits.memory_bytes)} passed",
        Kind.DISK: f"disk limit of {format_bytes(limits.disk_bytes)} passed",
        Kind.OUTPUT: f"output limit of {format_bytes(limits.output_bytes)} passed",
    }[kind]


_KIND_BY_REASON = {
    plan.TIMEOUT: Kind.TIMEOUT,
    plan.MEMORY: Kind.MEMORY,
    plan.DISK: Kind.DISK,
    plan.OUTPUT: Kind.OUTPUT,
}


def result_from_frame(frame: wire.Frame, limits: Limits, seconds: float) -> GradeResult:
    """The result that a frame stands for.

    Raises:
        WorkerLost: the frame is not one that a template sends.
    """
    kind, reward, details = _ending(frame, limits)
    return GradeResult(
        kind,
        reward,
        details,
        exception=frame.get("exception", ""),
        stdout=frame.get("stdout", ""),
        stderr=frame.get("stderr", ""),
        seconds=seconds,
    )


def _ending(frame: wire.Frame, limits: Limits) -> tuple[Kind, float | None, str]:
    match frame.get("kind"):
        case "value":
            return _value(frame)
        case "failure":
            return _failure(frame, limits)
        case "killed" if frame["reason"] == plan.PROCESSES:
            # as where the kernel refuses one more: there is an exception then
            text = f"limit of {limits.processes} processes and threads passed"
            return Kind.EXCEPTION, None, text
        case "killed":
            kind = _KIND_BY_REASON[frame["reason"]]
            return kind, None, describe_limit(kind, limits)
        case "gone":
            return _gone(frame["status"], limits)
        case "forged":
            return Kind.DIED, None, "the graded code wrote to the engine's channel; nothing counts"
        case _:
            raise WorkerLost("the worker sent an unknown frame")


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
            return Kind.MEMORY, None, f"{describe_limit(Kind.MEMORY, limits)}\n{text}"
        case "disk":
            return Kind.DISK, None, f"{describe_limit(Kind.DISK, limits)}\n{text}"
        case _:
            return Kind.EXCEPTION, None, text


def _gone(status: int | None, limits: Limits) -> tuple[Kind, float | None, str]:
    if status is None:
        return Kind.DIED, None, "the graded code closed the engine's channel before grade returned"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return Kind.TIMEOUT, None, describe_limit(Kind.TIMEOUT, limits)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        return Kind.DIED, None, f"the grade's process was ended by {name} before grade returned"
    code = os.waitstatus_to_exitcode(status)
    return Kind.DIED, None, f"the grade's process exited with code {code} before grade returned"
