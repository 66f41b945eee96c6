"""The kernel's memory groups around workers, where this process may make them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from graders_engine.sandbox import cgroup
from graders_engine.sandbox.base import Program
from graders_engine.sandbox.pool import Pool

permitted = pytest.mark.skipif(cgroup.home() is None, reason="no memory group may be made here")
SOURCE = "import os\ndef grade(sample, item):\n    return 1.0\n"


def groups() -> list[Path]:
    found = cgroup.home()
    assert found is not None
    return list(found[0].glob(f"graders-{os.getpid()}-*"))


@permitted
def test_a_worker_and_all_that_it_starts_are_in_a_group_that_goes_with_it() -> None:
    async def check() -> None:
        pool = Pool(concurrency=1)
        try:
            result = await pool.grade(Program(SOURCE), b"{}", b"{}")
            assert result.reward == 1.0
            [group] = groups()
            busy = cgroup.Group(group)
            assert not busy.close()
            inside = (group / "cgroup.procs").read_text().split()
            assert str(pool.workers[0].pid) in inside
            assert len(inside) > 1
        finally:
            await pool.close()

    asyncio.run(check())
    assert groups() == []


@permitted
def test_the_kernel_ends_what_outgrows_its_group() -> None:
    hungry = "import sys\nsys.stdin.read()\nbytearray(300 << 20)\nprint('fed')"
    with subprocess.Popen(
        [sys.executable, "-c", hungry], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        group = cgroup.enclose(process.pid, 64 << 20)
        assert group is not None
        printed, _ = process.communicate(timeout=60)
    assert (printed, process.returncode) == ("", -9)
    assert group.close()
    assert group.close()
    assert groups() == []


@permitted
def test_groups_of_engines_that_were_killed_are_removed() -> None:
    found = cgroup.home()
    assert found is not None
    left = found[0] / "graders-999999999-0"
    left.mkdir()
    cgroup.remove_leftovers(found[0])
    assert not left.exists()


def test_where_no_group_may_be_made_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "home", lambda: None)
    assert cgroup.enclose(os.getpid(), 1) is None
    monkeypatch.setattr(cgroup, "home", lambda: (Path("/proc"), "memory.max"))
    assert cgroup.enclose(os.getpid(), 1) is None
