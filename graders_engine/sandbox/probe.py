"""The sandboxes of this machine: what each tier covers and does not cover, and a self-test of it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graders_engine.sandbox.advice import advice, refuse
from graders_engine.sandbox.base import GradeResult, Kind, Limits, Program, SandboxError
from graders_engine.sandbox.inside.plan import LANDLOCK, MAX_FILES, NAMESPACES
from graders_engine.sandbox.memory_use import beyond_limit
from graders_engine.sandbox.pool import Pool

_SELF_TEST_LIMITS = Limits(wall_s=2.0, memory_bytes=64 << 20, disk_bytes=16 << 20)


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the self-test; `detail` says how its grade ended."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier of sandbox on this machine.

    Attributes:
        name: the `tier` of a pool.
        available: whether it works on this machine.
        unavailable_because: the reason and what helps; empty for an available tier.
        covers: what it protects against.
        does_not_cover: what it does not protect against, and what it refuses to honest graders.
        checks: the self-test; empty when the tier is not available.
    """

    name: str
    available: bool
    unavailable_because: str
    covers: tuple[str, ...]
    does_not_cover: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def is_proved(self) -> bool:
        """Whether it is available and every check passed."""
        return self.available and all(c.passed for c in self.checks)


def _beyond(tier: str) -> str:
    most = beyond_limit(tier, Limits().processes)
    return (
        f"memory of the kernel for descriptors and empty files: at most {most >> 20:,} MiB in a call"
        " beyond its limit (without a memory cgroup), and for a moment what it takes between two"
        " looks of the watchdog, 0.05 s apart or more"
    )


COVERS = {
    NAMESPACES: (
        "files: a private read-only root with interpreter, packages, libraries",
        f"scratch: one folder (and /tmp, /dev/shm) of at most {MAX_FILES:,} files, emptied after each call",
        "network: none, not even the loopback interface or the Unix sockets of the host",
        "processes: a call is process 1 of a namespace; all it started ends with it",
        "limits: time, memory (each process and the sum), disk, output, processes",
        "privileges: no capabilities, no set-user-id, few system calls, Landlock",
        "rewards: forged frames, and forks or threads that answer for grade",
    ),
    LANDLOCK: (
        f"files: reads interpreter, packages, libraries; writes one folder of at most {MAX_FILES:,} files",
        "network: no sockets but connected pairs, which no descriptor can pass",
        "processes: none can be started, none can be signalled",
        "limits: time, memory, output; disk and threads are checked 20 times a second, less often if large",
        "privileges: no capabilities, no set-user-id, even fewer system calls",
        "rewards: forged frames, and threads that answer for grade",
    ),
}
DOES_NOT_COVER = {
    NAMESPACES: (
        "a fault of the kernel in an allowed system call",
        "model output that a grader executes in its own process: it can change its own reward",
        "reading the folders of the interpreter and the system",
        "a Unix socket that another program makes in one of those folders during a run",
        _beyond(NAMESPACES),
        "the memory of the scratch folder, which has the limit on the disk",
        "locks on ranges of a file (fcntl), on the host's files as well: 200 bytes of the kernel for each",
        "seeing the machine's uptime, load and memory, and its kernel's version",
        "the load of other grades on this machine, which can be measured",
        "honest graders that need flock, or shared memory without a file (mmap.mmap(-1, n)): refused",
    ),
    LANDLOCK: (
        "a fault of the kernel, model output in the grader's process, and load: as above",
        "seeing by name whether a file of the host exists, its size, owner, mode, times and link target",
        "seeing the host's name, uptime, load and memory, and its processes' ids, users and times",
        "disk, file and thread limits: can be exceeded for a moment before the watchdog acts",
        _beyond(LANDLOCK),
        "honest graders that need subprocess, multiprocessing, os.fork, sockets, /tmp, flock: refused",
        "honest graders that need shared memory without a file (mmap.mmap(-1, n)): refused",
        "honest graders that need chmod, utime or fcntl's locks: these have no effect",
    ),
}
_HOST_NAME_SHOWN = (
    "seeing the host's name, or the container's: a filter of system calls refuses `sethostname`"
)
"""Of namespaces, where it cannot be another one."""


async def _tier(name: str) -> Tier:
    covers, not_covered = COVERS[name], DOES_NOT_COVER[name]
    try:
        refuse(name)
    except SandboxError as error:
        return Tier(name, False, str(error), covers, not_covered, ())
    try:
        checks, shows_host_name = await self_test(name)
    except SandboxError as error:
        return Tier(name, False, f"{error}; {advice(name)}", covers, not_covered, ())
    if name == NAMESPACES and shows_host_name:
        not_covered = (*not_covered, _HOST_NAME_SHOWN)
    return Tier(name, True, "", covers, not_covered, checks)


async def self_test(tier: str) -> tuple[tuple[Check, ...], bool]:
    """Run each check of `selftest` in a sandbox of a tier; also whether graded code sees the host's name.

    Raises:
        SandboxUnavailable: the tier does not work on this machine.
    """
    program = Program(Path(__file__).with_name("selftest.py").read_text(encoding="utf-8"))
    pool = Pool(tier, _SELF_TEST_LIMITS, concurrency=1)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        _secret() as secret,
    ):
        item = {"secret": secret, "pid": os.getpid(), "port": listener.getsockname()[1]}
        try:
            checks = []
            for name, (kinds, reward) in _EXPECTED.items():
                result = await _asked(pool, program, name, item)
                passed = result.kind in kinds and result.reward in (reward, None)
                last = result.details.splitlines()[-1] if result.details else ""
                checks.append(Check(name, passed, last or f"reward {result.reward}"))
            named = await _asked(pool, program, "host name", item)
            return tuple(checks), named.reward != 1.0
        finally:
            await pool.close()


async def _asked(pool: Pool, program: Program, name: str, item: dict[str, Any]) -> GradeResult:
    sample = json.dumps({"output_text": name}).encode()
    return await pool.grade(program, sample, json.dumps(item).encode())


@contextmanager
def _secret() -> Iterator[str]:
    """A file of this user's; where nothing can be written, one that is on every system."""
    with ExitStack() as files:
        try:
            name = files.enter_context(tempfile.NamedTemporaryFile()).name
        except OSError:
            name = "/etc/shadow"
        yield name


#: for each check, the endings that pass, and the reward that a value must have
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
    """The tiers in order of strength, each tested on this machine; takes seconds."""

    async def all_tiers() -> list[Tier]:
        return [await _tier(name) for name in COVERS]

    return asyncio.run(all_tiers())
