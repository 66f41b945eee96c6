"""Hostile graders, one per test, in each tier, as root and as an ordinary user.

`attacks.json` has them by chapter. Each says how it is run and which ends are acceptable; an end
`value` with a number must give that number. After each, an innocent grade on the same worker must
be right, and the host must be as it was.

    try      the code is tried; 1.0 if it got through, 0.0 if it raised
    grade    the code defines `grade`
    program  the code is a program of its own
    exec     the code is model output, executed by a grader that knows the answer
    run      the code is model output, run by a grader in a subprocess
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.world import ROLES, TIERS, Driven, World

CHAPTERS = json.loads(Path(__file__).with_name("attacks.json").read_text(encoding="utf-8"))
ATTACKS = [
    pytest.param(attack, id=f"{chapter['chapter']}: {attack['name']}")
    for chapter in CHAPTERS
    for attack in chapter["attacks"]
]

STAGE = """
import os

def is_clean():
    for place in (".", "/tmp", "/dev/shm"):
        try:
            left = os.listdir(place)
        except OSError:
            continue
        for name in left:
            if place != "/tmp" or name not in SHOWN:
                return False
    import random, signal
    return (
        "POISON" not in os.environ
        and os.umask(0o22) == 0o22
        and not signal.pthread_sigmask(signal.SIG_BLOCK, [])
        and random.random() != 0.5
        and len("abc") == 3
    )

def grade(sample, item):
    global SHOWN
    SHOWN = item.get("shown_below_tmp", [])
    if item["how"] == "innocent":
        return 0.625 if is_clean() and sample["text"][::-1] == "TERCES-REHTONA-FO-WOR" else -1.0
    if item["how"] == "exec":
        names = {}
        exec(sample["output_text"], names)
        return 1.0 if names.get("x") == item["reference"] else 0.0
    if item["how"] == "run":
        import subprocess, sys
        command = [sys.executable, "-c", sample["output_text"]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1)
        return 1.0 if done.stdout.strip() == item["reference"] else 0.0
    names = dict(item["facts"], __name__="attack")
    exec(item["code"], names)
    return names["grade"](sample, item)
"""

TRY = """
def grade(sample, item):
    try:
{body}
    except BaseException as error:
        print(repr(error))
        return 0.0
    return 1.0
"""


def code_of(attack: dict[str, Any]) -> str:
    code = "\n".join(attack["code"]) + "\n"
    if "repeat" in attack:
        piece, times = attack["repeat"]
        code = code.replace("@", piece * times, 1)
    return TRY.format(body=textwrap.indent(code, " " * 8)) if attack["how"] == "try" else code


def row_of(attack: dict[str, Any], world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sample and item that have the STAGE perform an attack; not for a program of its own."""
    code = code_of(attack)
    how = attack["how"] if attack["how"] in ("exec", "run") else "grade"
    item = {"how": how, "facts": world.facts(), "reference": "SECRET-REF"}
    return {"output_text": code}, item | ({"code": code} if how == "grade" else {})


def perform(sandbox: Driven, attack: dict[str, Any]) -> dict[str, Any]:
    if attack["how"] == "program":
        return sandbox.grade(code_of(attack))
    return sandbox.grade(STAGE, *row_of(attack, sandbox.world))


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("tier", TIERS)
def test_an_attack_gains_nothing(
    attack: dict[str, Any], tier: str, role: str, sandboxes: Callable[..., Driven]
) -> None:
    sandbox = sandboxes(tier, role)

    result = perform(sandbox, attack)
    if result["kind"] == "timeout" and "timeout" not in attack["ends"]:
        # The machine is busy: how it ends is seen with more time.
        sandbox = sandboxes(tier, role, 60.0)
        result = perform(sandbox, attack)

    assert result["kind"] in attack["ends"], result
    expected = attack["ends"][result["kind"]]
    if expected is not None:
        assert result["reward"] == expected, result
    item = {"how": "innocent", "shown_below_tmp": sandbox.world.shown_below_tmp()}
    innocent = sandbox.grade(STAGE, {"text": "ROW-OF-ANOTHER-SECRET"}, item)
    assert innocent["reward"] == 0.625, innocent
    sandbox.world.assert_untouched()
