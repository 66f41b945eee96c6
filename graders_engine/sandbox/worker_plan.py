"""The plan of one worker: what this machine has for it, and its limits."""

from __future__ import annotations

import contextlib
import os

from graders_engine.sandbox.base import Limits
from graders_engine.sandbox.inside import plan
from graders_engine.sandbox.interpreter import Interpreter

_HOST_IDS = 0x6F000000  # user ids far from those that systems give out


def make_plan(
    tier: str,
    interpreter: Interpreter,
    limits: Limits,
    number: int,
    folder: str,
    template_s: float,
    *,
    shared: bool = False,
) -> plan.Plan:
    """The plan for the worker of that number.

    Args:
        tier: the sandbox's.
        interpreter: the Python that it runs.
        limits: of one call.
        number: different for each worker of the process.
        folder: its scratch folder on the host; empty where it has a private root.
        template_s: processor seconds that it may use in addition to those of one call.
        shared: whether rows share a process.
    """
    return plan.Plan(
        tier=tier,
        readable=list(interpreter.readable),
        module_path=list(interpreter.module_path),
        prefix=interpreter.prefix,
        folder=folder,
        host_id=0 if os.geteuid() else _unused_id(number),
        affinity=_affinity(limits.cpus, number),
        memory_bytes=limits.memory_bytes,
        disk_bytes=limits.disk_bytes,
        output_bytes=limits.output_bytes,
        processes=limits.processes,
        cpu_s=int(limits.wall_s * limits.cpus + template_s),
        shared=shared,
    )


def _unused_id(number: int) -> int:
    """A user id that no account has, for the worker of that number; 0 when no id is left."""
    wanted = _HOST_IDS + number % 0x100000
    with contextlib.suppress(OSError), open("/proc/self/uid_map", encoding="ascii") as ranges:
        ends = [int(r.split()[0]) + int(r.split()[2]) for r in ranges]
        if wanted >= max(ends):  # a container with few ids: one of the highest
            return max(max(ends) - 1 - number % 1000, 0)
    return wanted


def _affinity(cpus: int, number: int) -> list[int]:
    """The processors for the worker of that number; empty when it may use all."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) <= cpus:
        return []
    first = number * cpus
    return [mine[(first + k) % len(mine)] for k in range(cpus)]
