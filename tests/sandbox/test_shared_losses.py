"""What rows lose that share a process: each line of the table in the guide `worker`, by its number.

A line that a later Python or a later engine wins back fails here, and can then be struck from the table.
"""

from __future__ import annotations

import re

import pytest

from graders_engine.guides import text_of
from graders_engine.sandbox import shared_pool
from graders_engine.sandbox.base import RowsMix
from graders_engine.sandbox.shared_pool import SharedPool
from tests.sandbox.test_shared_rows import Unchecked, graded, share

LOST: dict[int, tuple[str, list[object], list[float | None]]] = {
    1: (
        "import sys\ndef grade(s, i):\n    sys.runs = getattr(sys, 'runs', 0) + 1\n    return sys.runs",
        [0, 0, 0],
        [1.0, 2.0, 3.0],
    ),
    2: (
        (
            "import collections\n"
            "def grade(s, i):\n"
            "    if i == 'patch': collections.Counter.most_common = lambda *a: [('patched', 9)]\n"
            "    return collections.Counter('aab').most_common(1)[0][1]"
        ),
        [0, "patch", 0],
        [2.0, 9.0, 9.0],
    ),
    3: (
        (
            "import collections\n"
            "def grade(s, i):\n"
            "    exec(i, {})\n"
            "    return 1.0 if collections.Counter('no') == collections.Counter('answer') else 0.0"
        ),
        ["", "import collections; collections.Counter.__eq__ = lambda *a: True", ""],
        [0.0, 1.0, 1.0],
    ),
    4: (
        (
            "import gc\n"
            "def grade(s, i):\n"
            "    found = [o for o in gc.get_objects() if isinstance(o, dict) and 'secret' in o]\n"
            "    gc.garbage.append({'secret': [i]}) if i else None\n"
            "    return len(found)"
        ),
        ["of a row", 0],
        [0.0, 1.0],
    ),
    5: (
        (
            "import locale\n"
            "def grade(s, i):\n"
            "    if i: locale.setlocale(locale.LC_ALL, 'C')\n"
            "    return float(locale.setlocale(locale.LC_ALL) == 'C')"
        ),
        [0, 1, 0],
        [0.0, 1.0, 1.0],
    ),
    6: (
        (
            "import os\n"
            "def grade(s, i):\n"
            "    try: return float(os.fstat(3).st_mode > 0 and os.fstat(4).st_mode > 0)\n"
            "    except OSError: return 0.0"
        ),
        [0],
        [1.0],
    ),
    8: (
        (
            "import decimal, gc\n"
            "def held(cell):\n"
            "    with decimal.localcontext(): yield cell\n"
            "def grade(s, i):\n"
            "    if i:\n"
            "        cell = []\n"
            "        cell.append(held(cell))\n"
            "        next(cell[0])\n"
            "        return 0.0\n"
            "    decimal.setcontext(decimal.Context(prec=3))\n"
            "    gc.collect()\n"
            "    return len(str(decimal.Decimal(1) / 3))"
        ),
        [0, 1, 0],
        [5.0, 0.0, 30.0],
    ),
}
PRINTED = "import os\ndef grade(s, i):\n    os.write(1, b'raw')\n    print('text')\n    return 1.0"


def rows_of_the_table() -> dict[int, str]:
    lines = text_of("worker").splitlines()
    found = (re.match(r"\| (\d+) \| (.+?) \|", line) for line in lines)
    return {int(match[1]): match[2] for match in found if match}


def test_each_line_of_the_table_has_a_test() -> None:
    assert sorted(rows_of_the_table()) == sorted([*LOST, 7])


@pytest.mark.parametrize("number", LOST)
def test_this_is_lost_as_the_table_says(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_pool, "SpotCheck", Unchecked)
    source, items, rewards = LOST[number]

    async def body(pool: SharedPool) -> None:
        for item, reward in zip(items, rewards, strict=True):
            (result,) = await graded(pool, source, [item])
            assert result.reward == reward, result

    share(body)


def test_text_to_a_raw_descriptor_belongs_to_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 7."""
    monkeypatch.setattr(shared_pool, "SpotCheck", Unchecked)

    async def body(pool: SharedPool) -> None:
        (result,) = await graded(pool, PRINTED, [0])
        assert (result.reward, result.stdout) == (1.0, "text\n")

    share(body)


def test_rows_after_one_that_differed_are_graded_in_processes_of_their_own() -> None:
    source, items, _ = LOST[1]

    async def body(pool: SharedPool) -> None:
        with pytest.raises(RowsMix):
            await graded(pool, source, items * 2)
        assert [result.reward for result in await graded(pool, source, items)] == [1.0] * 3

    share(body)


@pytest.mark.parametrize("number", [1, 2, 3, 5, 6])
def test_the_spot_check_ends_a_run_whose_first_rows_lose_this(number: int) -> None:
    source, items, _ = LOST[number]

    async def body(pool: SharedPool) -> None:
        with pytest.raises(RowsMix, match=r"the reward .* in a process of its own"):
            await one_after_the_other(pool)

    async def one_after_the_other(pool: SharedPool) -> None:
        for item in items:
            await graded(pool, source, [item])

    share(body)
