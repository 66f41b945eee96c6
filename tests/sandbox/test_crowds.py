"""A crowd of files is stopped, and clearing it away keeps nothing waiting."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from graders_engine.sandbox import scratch_dirs
from graders_engine.sandbox.inside.plan import MAX_FILES
from tests.sandbox.world import MIB, ROLES, TIERS, Driven, World

# links, which are made faster than files
CROWD = """
import os, time
def grade(sample, item):
    open("f", "w").close()
    for k in range(item["count"] - 1):
        os.link("f", str(k))
    time.sleep(item["then_s"])
    return float(len(os.listdir(".")))
"""


@pytest.fixture(scope="module")
def patient(worlds: Callable[[str], World]) -> Iterator[Callable[[str, str], Driven]]:
    """Sandboxes with time enough for a crowd."""
    made: dict[tuple[str, str], Driven] = {}

    def sandbox(tier: str, role: str) -> Driven:
        if (tier, role) not in made:
            made[tier, role] = Driven(worlds(role), tier, wall_s=60.0, disk_bytes=512 * MIB)
        return made[tier, role]

    yield sandbox
    for each in made.values():
        each.close()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("tier", TIERS)
def test_more_files_than_are_allowed_end_a_call(
    tier: str, role: str, patient: Callable[[str, str], Driven]
) -> None:
    sandbox = patient(tier, role)

    result = sandbox.grade(CROWD, item={"count": MAX_FILES + 500, "then_s": 20})

    assert result["kind"] == "disk", result
    innocent = sandbox.grade(CROWD, item={"count": 1, "then_s": 0})
    assert innocent["reward"] == 1.0, innocent


def test_a_folder_full_of_files_is_removed_while_a_loop_runs_freely(tmp_path: Path) -> None:
    folder = tmp_path / "crowd"
    folder.mkdir()
    for number in range(20_000):
        os.close(os.open(folder / str(number), os.O_CREAT))

    async def remove() -> int:
        calls = 1
        while not scratch_dirs.discard(str(folder)):
            calls += 1
            await asyncio.sleep(0.001)
        return calls

    assert asyncio.run(remove()) > 1, "it was removed within one call"
    assert not folder.exists()
