"""After many calls, good and bad, nothing is left: no process, descriptor, mount, folder or memory.

GRADERS_LEAK_CALLS sets how many calls (default 300; the project's bar is 20,000).
"""

from __future__ import annotations

import asyncio
import glob
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from graders_engine.sandbox import cgroup
from graders_engine.sandbox.base import Kind, Limits, Program, SandboxUnavailable
from graders_engine.sandbox.inside.plan import SPARES, TEMPLATES
from graders_engine.sandbox.pool import Pool
from graders_engine.sandbox.scratch_dirs import ScratchDirs
from tests.environment import DISK

CALLS = int(os.environ.get("GRADERS_LEAK_CALLS", "300"))
MIB = 1 << 20
SOURCE = """
import os, time
def grade(sample, item):
    what = item["what"]
    if what == "sleep":
        time.sleep(60)
    elif what == "hoard":
        keep = [bytearray(1 << 20) for _ in range(10_000)]
    elif what == "crash":
        os.abort()
    elif what == "litter":
        for k in range(20):
            open(f"litter-{k}", "w").write("x" * 1000)
        try:
            if os.fork() == 0:
                time.sleep(60)
        except OSError:
            pass
    return item["want"]
"""
ENDS = {"sleep": Kind.TIMEOUT, "hoard": Kind.MEMORY, "crash": Kind.DIED}


def what_of(number: int) -> str:
    """One in a hundred each times out, hoards memory and crashes; one in twenty leaves litter."""
    return {11: "sleep", 37: "hoard", 73: "crash"}.get(
        number % 100, "litter" if number % 20 == 0 else ""
    )


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def groups() -> list[str]:
    """The memory groups of this process's workers, where it may make some."""
    found = cgroup.home()
    return sorted(map(str, found[0].glob(f"graders-{os.getpid()}-*"))) if found else []


def mounts() -> list[str]:
    """What is mounted, without the disks of tests that run beside this one."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if DISK not in line.split()]


def below(*pids: int) -> set[int]:
    """All processes that descend from these."""
    parents = {}
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            fields = Path(stat).read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        parents[int(stat.split("/")[2])] = int(fields[1])
    found: set[int] = set()
    while more := {p for p, parent in parents.items() if parent in found.union(pids)} - found:
        found |= more
    return found


def new_below(before: set[int]) -> set[int]:
    """This process's descendants that are neither these nor started by them, as by a browser that is open."""
    return below(os.getpid()) - before - below(*before)


@pytest.mark.parametrize("tier", ["namespaces", "landlock"])
def test_nothing_is_left_after_many_calls(
    tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    processes, open_files, mounted = below(os.getpid()), descriptors(), mounts()
    threads, grouped = set(threading.enumerate()), groups()
    early = late = 0

    async def call(pool: Pool, number: int) -> None:
        what = what_of(number)
        item = json.dumps({"what": what, "want": number / 7}).encode()
        result = await pool.grade(Program(SOURCE), b"{}", item)
        assert result.kind is ENDS.get(what, Kind.VALUE), (number, result)
        assert what in ENDS or result.reward == number / 7

    async def main() -> None:
        nonlocal early, late
        pool = Pool(tier, Limits(wall_s=1.0, memory_bytes=48 * MIB, disk_bytes=16 * MIB), 2)
        numbers = iter(range(CALLS))

        async def crew() -> None:
            nonlocal early
            for number in numbers:
                await call(pool, number)
                if number == CALLS // 3:
                    early = resident()

        try:
            await asyncio.gather(crew(), crew())
            late = resident()
            # launcher, templates and their cleaners, the grade that waits and those behind it, and no
            # more: the last grades may still be ending
            most = 1 + 2 * TEMPLATES + 1 + SPARES
            while len(new_below(processes)) > most * len(pool.workers):
                await asyncio.sleep(0.01)
        except SandboxUnavailable as error:
            pytest.skip(str(error))
        finally:
            await pool.close()

    asyncio.run(main())

    assert not new_below(processes)
    assert descriptors() == open_files
    assert mounts() == mounted
    assert set(threading.enumerate()) == threads
    assert groups() == grouped
    assert list(tmp_path.iterdir()) == []
    assert late - early < 8 * MIB


@pytest.mark.parametrize("tier", ["namespaces", "landlock"])
def test_everything_ends_with_an_engine_that_is_killed(tier: str) -> None:
    code = (
        "import asyncio, os\n"
        "from graders_engine.sandbox.base import Program\n"
        "from graders_engine.sandbox.pool import Pool\n"
        "async def main():\n"
        f"    pool = Pool({tier!r})\n"
        "    await pool.grade(Program('def grade(s, i): return 1.0'), b'1', b'1')\n"
        "    busy = pool.grade(Program('while True: pass'), b'1', b'1')\n"
        "    asyncio.get_running_loop().call_later(0.3, lambda: os.write(1, b'up'))\n"
        "    await busy\n"
        "asyncio.run(main())\n"
    )

    async def main() -> set[int]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        if await process.stdout.read(2) != b"up":
            pytest.skip(f"this machine has no {tier} tier")
        started = below(process.pid)
        assert started
        process.kill()
        await process.wait()
        for _ in range(100):
            await asyncio.sleep(0.02)
            left = {p for p in started if alive(p)}
            if not left:
                break
        return left

    assert asyncio.run(main()) == set()


def test_what_a_killed_engine_has_left_is_cleared_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import os, signal, sys, tempfile\n"
        "tempfile.tempdir = sys.argv[1]\n"
        "from graders_engine.sandbox.scratch_dirs import ScratchDirs\n"
        "open(ScratchDirs().new() + '/litter', 'w').close()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    mine = ScratchDirs()
    assert not left.exists()
    other = ScratchDirs()
    assert len(list(tmp_path.iterdir())) == 2, "one that lives is left alone"
    mine.close()
    other.close()
    assert list(tmp_path.iterdir()) == []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
