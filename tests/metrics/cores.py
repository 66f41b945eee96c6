"""The functions of both cores."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from graders_engine.metrics import METRICS, core, load, load_pure

Metric = Callable[[str, str], float]
Load = Callable[..., Metric]
"""Called as `metrics.load`."""

ALL = [(name, variant) for name, variants in METRICS.items() for variant in variants]

COMPILED = [(name, variant) for name, variant in ALL if variant not in ("ratio", "unicode")]
"""What the compiled core has."""

BATCHED = [(name, variant) for name, variant in COMPILED if name != "meteor" and variant != "stem"]
"""What it has for many pairs at once: all but what asks Python."""

NOT_COMPILED = f"the compiled metrics are not used: {core.REASON}"

needs_compiled = pytest.mark.skipif(core.ACTIVE == "pure", reason=NOT_COMPILED)


def pairs_of_cores() -> list[tuple[Metric, Metric]]:
    """Each compiled function with the Python one."""
    return [(load(*names), load_pure(*names)) for names in COMPILED]


def values_of_both(name: str, variant: str | None, answer: str, reference: str) -> set[float]:
    """The value, or the different values of the two cores."""
    functions = {load(name, variant), load_pure(name, variant)}
    return {function(answer, reference) for function in functions}


def in_fresh_process(code: str, cache: str) -> str:
    """What a process prints that has met no words; in its code, `ask(compute)` replaces this cache."""
    start = f"""
from graders_engine.metrics import _core, meteor, rouge, tokens
from graders_engine.metrics.porter import stem

def ask(compute):
    class Asked(dict):
        def __missing__(self, word):
            return compute(word)
    {cache} = Asked()
"""
    command = [sys.executable, "-c", start + code]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()
