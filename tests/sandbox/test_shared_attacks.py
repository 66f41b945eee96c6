"""Hostile graders where rows share a process: the walls hold, and an innocent row after each is right.

The attacks of `attacks.json` that aim at walls, run one after the other on the same process. Those that
run into a limit of time are left out: such a row is graded in a process of its own anyhow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.sandbox.conftest import LIMITS
from tests.sandbox.test_attacks import CHAPTERS, STAGE, perform
from tests.sandbox.world import Driven, World

WITHOUT_WALLS = ("time", "output", "what grade returns", "sources")
WITHOUT_OWN_WALLS = (
    *WITHOUT_WALLS, "subprocesses", "disk that is not seen", "memory of the kernel", "crashes",
    "memory", "what is left for the next",
)  # fmt: skip
"""In the weaker tier also those whose walls are the watchdog's and the template's, as in the other one."""
OPEN = {
    "descriptors that are not its own",
    "something to read on a descriptor",
}
"""What is lost, as the README of the sandbox says: code in the process reaches the engine's channel."""
WALLS = [
    pytest.param(tier, chapter, id=f"{tier}: {chapter['chapter']}")
    for tier in ("namespaces", "landlock")
    for chapter in CHAPTERS
    if chapter["chapter"] not in (WITHOUT_WALLS if tier == "namespaces" else WITHOUT_OWN_WALLS)
]


@pytest.fixture(scope="module")
def shared(worlds: Callable[[str], World]) -> Iterator[Callable[[str], Driven]]:
    made: dict[str, Driven] = {}

    def sandbox(tier: str) -> Driven:
        if tier not in made:
            made[tier] = Driven(worlds("root"), tier, shared=True, **LIMITS)
        return made[tier]

    yield sandbox
    for each in made.values():
        each.close()


@pytest.mark.parametrize(("tier", "chapter"), WALLS)
def test_an_attack_on_a_wall_gains_nothing_where_rows_share_a_process(
    tier: str, chapter: dict[str, object], shared: Callable[[str], Driven]
) -> None:
    sandbox = shared(tier)
    item = {"how": "innocent", "shown_below_tmp": sandbox.world.shown_below_tmp()}
    attacks = chapter["attacks"]
    assert isinstance(attacks, list)
    for attack in attacks:
        result = perform(sandbox, attack)

        allowed = attack["ends"].get("value", 0.0)  # None: it may, since it gains nothing by it
        if attack["name"] not in OPEN and allowed is not None:
            assert result["reward"] in (None, 0.0, allowed), (attack["name"], result)
        innocent = sandbox.grade(STAGE, {"text": "ROW-OF-ANOTHER-SECRET"}, item)
        assert innocent["reward"] == 0.625, (attack["name"], innocent)
    sandbox.world.assert_untouched()
