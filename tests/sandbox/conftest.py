"""One world per role, and one sandbox in it per tier, for the whole session."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.sandbox.world import MIB, Driven, World, skip_unless_possible

LIMITS = {
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
def sandboxes(worlds: Callable[[str], World]) -> Iterator[Callable[[str, str], Driven]]:
    made: dict[tuple[str, str], Driven] = {}

    def sandbox(tier: str, role: str) -> Driven:
        if (tier, role) not in made:
            made[tier, role] = Driven(worlds(role), tier, **LIMITS)
        return made[tier, role]

    yield sandbox
    for each in made.values():
        each.close()
