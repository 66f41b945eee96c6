"""From a worker's answer to the result of a grade."""

from __future__ import annotations

import math
import os
import signal

from graders_engine.sandbox.answer import Answer, Failure, Reward
from graders_engine.sandbox.base import GradeResult, Kind, Limits
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


def result_from_answer(answer: Answer, limits: Limits, seconds: float) -> GradeResult:
    """The result that an answer stands for."""
    kind, reward, details = _ending(answer, limits)
    return GradeResult(
        kind,
        reward,
        details,
        exception=answer.report.exception if isinstance(answer.report, Failure) else "",
        stdout=answer.stdout,
        stderr=answer.stderr,
        seconds=seconds,
    )


def _ending(answer: Answer, limits: Limits) -> tuple[Kind, float | None, str]:
    if answer.kind == wire.KILLED and answer.detail == plan.PROCESSES:
        # as where the kernel refuses one more: there is an exception then
        return Kind.EXCEPTION, None, f"limit of {limits.processes} processes and threads passed"
    if answer.kind == wire.KILLED:
        kind = _KIND_BY_REASON[answer.detail]
        return kind, None, describe_limit(kind, limits)
    if answer.kind == wire.GONE:
        return _gone(answer.detail, limits)
    if isinstance(answer.report, Reward):
        return _reward(answer.report)
    if isinstance(answer.report, Failure):
        return _failure(answer.report, limits)
    return Kind.DIED, None, "the graded code wrote to the engine's channel; nothing counts"


def _reward(reward: Reward) -> tuple[Kind, float | None, str]:
    if reward.is_text:
        return Kind.BAD_RETURN, None, "grade returned a string; a finite number is wanted"
    if not math.isfinite(reward.value):
        return Kind.BAD_RETURN, None, f"grade returned {reward.value}; a finite number is wanted"
    return Kind.VALUE, reward.value, ""


def _failure(failure: Failure, limits: Limits) -> tuple[Kind, float | None, str]:
    match failure.type:
        case "bad_return":
            return Kind.BAD_RETURN, None, f"{failure.text}; a finite number is wanted"
        case "memory":
            return Kind.MEMORY, None, _after_limit(Kind.MEMORY, failure, limits)
        case "disk":
            return Kind.DISK, None, _after_limit(Kind.DISK, failure, limits)
        case _:
            return Kind.EXCEPTION, None, failure.text


def _after_limit(kind: Kind, failure: Failure, limits: Limits) -> str:
    return f"{describe_limit(kind, limits)}\n{failure.text}".rstrip("\n")


def _gone(status: int, limits: Limits) -> tuple[Kind, float | None, str]:
    if status < 0:
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
