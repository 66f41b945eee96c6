"""Graders as people write them: they must keep working. `ordinary.json` has them.

Those marked `only: namespaces` need what the weaker tier refuses (other processes, folders beside
their own); there they must fail in words, and never give a wrong number.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.world import ROLES, TIERS, Driven, World

GRADERS = json.loads(Path(__file__).with_name("ordinary.json").read_text(encoding="utf-8"))
SAMPLE = {"output_text": "Paris", "output_json": None}
ITEM = {"answer": "Paris"}


@pytest.fixture(scope="module")
def roomy(worlds: Callable[[str], World]) -> Iterator[Callable[[str, str], Driven]]:
    """Sandboxes with the limits that people get."""
    made: dict[tuple[str, str], Driven] = {}

    def sandbox(tier: str, role: str) -> Driven:
        if (tier, role) not in made:
            made[tier, role] = Driven(worlds(role), tier, wall_s=30.0)
        return made[tier, role]

    yield sandbox
    for each in made.values():
        each.close()


@pytest.mark.parametrize("grader", [pytest.param(g, id=g["name"]) for g in GRADERS])
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("tier", TIERS)
def test_an_ordinary_grader_works(
    grader: dict[str, Any], tier: str, role: str, roomy: Callable[[str, str], Driven]
) -> None:
    if grader["needs"] and importlib.util.find_spec(grader["needs"]) is None:
        pytest.skip(f"{grader['needs']} is not installed")

    result = roomy(tier, role).grade("\n".join(grader["code"]) + "\n", SAMPLE, ITEM)

    if grader["only"] in (None, tier):
        assert result["kind"] == "value", result["details"]
        assert result["reward"] == grader["reward"]
    else:
        assert result["kind"] != "value"
        assert result["details"]
