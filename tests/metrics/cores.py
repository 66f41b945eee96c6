"""The functions of both cores."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graders_engine.metrics import METRICS, core, load, load_pure

Metric = Callable[[str, str], float]
Load = Callable[..., Metric]
"""Called as `metrics.load`."""

ALL = [(name, variant) for name, variants in METRICS.items() for variant in variants]

COMPILED = [
    ("bleu", "sacrebleu"),
    ("gleu", "nltk"),
    *((name, "default") for name in METRICS if name.startswith("rouge")),
]
"""What the compiled core has."""

NOT_COMPILED = f"the compiled metrics are not used: {core.REASON}"

needs_compiled = pytest.mark.skipif(core.ACTIVE == "pure", reason=NOT_COMPILED)


def pairs_of_cores() -> list[tuple[Metric, Metric]]:
    """Each compiled function with the Python one."""
    return [(load(*names), load_pure(*names)) for names in COMPILED]


def values_of_both(name: str, variant: str | None, answer: str, reference: str) -> set[float]:
    """The value, or the different values of the two cores."""
    functions = {load(name, variant), load_pure(name, variant)}
    return {function(answer, reference) for function in functions}
