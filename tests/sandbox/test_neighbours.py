"""No hostile row touches the reward of another: each attack of the suite, among honest rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.sandbox.base import Limits, SandboxUnavailable
from tests.sandbox.conftest import LIMITS
from tests.sandbox.test_attacks import CHAPTERS, STAGE, row_of
from tests.sandbox.world import TIERS, World

HONEST_PER_ATTACK = int(os.environ.get("GRADERS_HONEST_ROWS", "4"))
GRADER = {
    "type": "python",
    "source": STAGE.replace(
        'if item["how"] == "innocent":',
        'if item["how"] == "honest":\n        return item["want"]\n    if item["how"] == "innocent":',
    ),
}


def rows(world: World) -> Iterator[dict[str, Any]]:
    number = 0
    for chapter in CHAPTERS:
        for attack in chapter["attacks"]:
            if attack["how"] != "program":
                sample, item = row_of(attack, world)
                yield {"item": item, "sample": sample}
            for _ in range(HONEST_PER_ATTACK):
                number += 1
                yield {"item": {"how": "honest", "want": number}, "sample": {"output_text": "x"}}


@pytest.mark.parametrize("tier", TIERS)
def test_honest_rows_keep_their_rewards_among_hostile_ones(
    tier: str, worlds: Callable[[str], World]
) -> None:
    world = worlds("root" if os.geteuid() == 0 else "user")
    data = list(rows(world))
    bounds = Limits(**(LIMITS | {"wall_s": 1.0}))
    with Engine(sandbox=tier, limits=bounds, concurrency=2) as engine:
        outcomes = list(engine.score(GRADER, data))
    if any(f.type == SandboxUnavailable.type for o in outcomes for f in o.outcome.failures):
        pytest.skip(f"this machine has no {tier} tier")
    lost = [
        (row["item"]["want"], outcome)
        for row, outcome in zip(data, outcomes, strict=True)
        if row["item"]["how"] == "honest" and outcome.reward != row["item"]["want"]
    ]
    assert lost == []
