"""What this machine gives: tier by tier what each covers and what it does not, proved by a self-test."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from graders_engine.sandbox.advice import advice
from graders_engine.sandbox.base import Kind, Limits, Program, SandboxError
from graders_engine.sandbox.inside.plan import LANDLOCK, NAMESPACES
from graders_engine.sandbox.pool import Pool

_SELF_TEST_LIMITS = Limits(wall_s=2.0, memory_bytes=64 << 20, disk_bytes=16 << 20)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the self-test: what was tried, whether the wall held, and what was said."""

    name: str
    held: bool
    said: str = ""


@dataclass(frozen=True, slots=True)
class Tier:
    """One strength of sandbox on this machine.

    Attributes:
        name: what `tier` a pool is given.
        available: whether it can be had here.
        missing: if not, what is missing and what helps.
        covers: what it keeps graded code from.
        does_not_cover: what it does not, or what it refuses to honest graders.
        checks: the self-test; empty when the tier is not available.
    """

    name: str
    available: bool
    missing: str
    covers: tuple[str, ...]
    does_not_cover: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def proved(self) -> bool:
        """Whether it is there and every check held."""
        return self.available and all(c.held for c in self.checks)


COVERS = {
    NAMESPACES: (
        "files: a private read-only root with the interpreter, its packages and the system's libraries",
        "a scratch folder (also /tmp and /dev/shm) of its own size, emptied after each call",
        "network: none, not even the machine's own",
        "processes: each call is process 1 of its own namespace and dies with all it started",
        "time, memory (one process and their sum), disk, output, number of processes",
        "privileges: no capabilities, no set-user-id, a list of allowed system calls; Landlock beneath",
        "rewards: forged frames, forks and threads that answer in grade's place",
    ),
    LANDLOCK: (
        "files: read the interpreter, its packages and the system's libraries; write one scratch folder",
        "network: no sockets at all",
        "processes: none can be started, none can be signalled",
        "time, memory, output; total disk by a watchdog that looks about twenty times a second",
        "privileges: no capabilities, no set-user-id, a shorter list of allowed system calls",
        "rewards: forged frames and threads that answer in grade's place",
    ),
}
DOES_NOT_COVER = {
    NAMESPACES: (
        "a fault in the kernel behind an allowed system call",
        "a grader that executes model output in its own process: that output can change its own reward",
        "what stands in the interpreter's and the system's folders can be read",
        "the load of other grades on the same machine can be felt",
    ),
    LANDLOCK: (
        "all that the stronger tier does not cover",
        "whether files exist on the host, and their size, can be seen by name",
        "the host's name and process ids can be seen",
        "refused to honest graders: subprocess, multiprocessing, os.fork, joblib with processes",
        "refused as well: files in /tmp by that name, sockets; chmod and utime have no effect",
        "a disk limit can be passed for a moment before the watchdog sees it",
    ),
}


async def _tier(name: str) -> Tier:
    covers, not_covered = COVERS[name], DOES_NOT_COVER[name]
    try:
        checks = await self_test(name)
    except SandboxError as error:
        missing = f"{error}; {advice(name)}"
        return Tier(name, False, missing, covers, not_covered, ())
    return Tier(name, True, "", covers, not_covered, checks)


async def self_test(tier: str) -> tuple[Check, ...]:
    """Try the walls of a tier from inside; SandboxUnavailable when it cannot be had."""
    program = Program(Path(__file__).with_name("selftest.py").read_text(encoding="utf-8"))
    pool = Pool(tier, _SELF_TEST_LIMITS, concurrency=1)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        tempfile.NamedTemporaryFile() as secret,
    ):
        item = {"secret": secret.name, "pid": os.getpid(), "port": listener.getsockname()[1]}
        try:
            checks = []
            for name, (kinds, reward) in _EXPECTED.items():
                sample = json.dumps({"output_text": name}).encode()
                result = await pool.grade(program, sample, json.dumps(item).encode())
                held = result.kind in kinds and result.reward in (reward, None)
                last = result.details.splitlines()[-1] if result.details else ""
                checks.append(Check(name, held, last or f"reward {result.reward}"))
            return tuple(checks)
        finally:
            await pool.close()


#: check -> the ends that show that the wall held, and the reward if it is one
_EXPECTED: dict[str, tuple[set[Kind], float]] = {
    **dict.fromkeys(
        ["files", "writing", "network", "processes", "privileges", "environment", "descriptors"],
        ({Kind.VALUE}, 1.0),
    ),
    "forgery": ({Kind.VALUE, Kind.DIED, Kind.EXCEPTION}, 0.0),
    "time": ({Kind.TIMEOUT}, 0.0),
    "memory": ({Kind.MEMORY}, 0.0),
}


def report() -> list[Tier]:
    """The tiers in order of strength, each probed and tested on this machine; takes seconds."""

    async def all_tiers() -> list[Tier]:
        return [await _tier(name) for name in COVERS]

    return asyncio.run(all_tiers())
