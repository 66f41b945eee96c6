"""One world per role, and one sandbox in it per tier, for the whole session; pools of each tier."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine.sandbox.base import Limits
from graders_engine.sandbox.pool import Pool
from tests.sandbox.pools import Body, Environment, Run, available
from tests.sandbox.world import MIB, Driven, World, skip_unless_possible

LIMITS: dict[str, Any] = {
    "wall_s": 1.5,
    "memory_bytes": 256 * MIB,
    "disk_bytes": 24 * MIB,
    "output_bytes": 4 * MIB,
    "processes": 48,
}


@pytest.fixture(scope="session")
def worlds() -> Iterator[Callable[[str], World]]:
    made: dict[str, World] = {}

    def world(role: str) -> World:
        skip_unless_possible(role)
        if role not in made:
            made[role] = World(role)
        return made[role]

    yield world
    for each in made.values():
        each.close()


@pytest.fixture(scope="session")
def sandboxes(worlds: Callable[[str], World]) -> Iterator[Callable[..., Driven]]:
    made: dict[tuple[str, str, float], Driven] = {}

    def sandbox(tier: str, role: str, wall_s: float = LIMITS["wall_s"]) -> Driven:
        key = tier, role, wall_s
        if key not in made:
            made[key] = Driven(worlds(role), tier, **(LIMITS | {"wall_s": wall_s}))
        return made[key]

    yield sandbox
    for each in made.values():
        each.close()


@pytest.fixture(params=["namespaces", "landlock", "none"])
def tier(request: pytest.FixtureRequest, known: dict[str, bool]) -> str:
    name = str(request.param)
    if name not in known:
        known[name] = available(name)
    if not known[name]:
        pytest.skip(f"this machine has no {name} tier")
    return name


@pytest.fixture(scope="session")
def known() -> dict[str, bool]:
    return {}


@pytest.fixture
def kind_of_pool() -> Any:
    """The class of the pools of `run`; the tests of another one replace it."""
    return Pool


@pytest.fixture
def run(tier: str, kind_of_pool: Any) -> Run:
    def with_pool(body: Body, limits: Limits | None = None, concurrency: int = 1) -> None:
        async def main() -> None:
            pool = kind_of_pool(tier, limits or Limits(wall_s=10.0), concurrency)
            try:
                await body(pool)
            finally:
                await pool.close()

        asyncio.run(main())

    return with_pool


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "env")
