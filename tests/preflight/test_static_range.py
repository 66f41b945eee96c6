"""The rewards that a grader can give, by its form alone."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest

from graders_engine.errors import FormulaFailure
from graders_engine.graders.multi import MultiGrader
from graders_engine.graders.parse import parse
from graders_engine.graders.static_range import range_of
from tests.preflight.ask import EXACT
from tests.preflight.graders import CLOSE, HEAD, SAME, judge, multi, python

LEAVES: list[tuple[Any, tuple[float, float] | None]] = [
    (EXACT, (0, 1)),
    (CLOSE, (0, 1)),
    (judge(), (0, 1)),
    (judge(range=[1.0, 5.0]), (1, 5)),
    (python(HEAD + SAME), None),
]


@pytest.mark.parametrize(("grader", "expected"), LEAVES)
def test_the_range_of_a_grader_without_parts(
    grader: Any, expected: tuple[float, float] | None
) -> None:
    assert range_of(parse(grader)) == expected


RANGES: dict[str, tuple[float, float] | None] = {
    "exact": (0, 1),
    "exact + judge": (0, 11),
    "0.5 * exact + 0.05 * judge": (0, 1),
    "exact - close": (-1, 1),
    "-2 * exact": (-2, 0),
    "exact / (1 + close)": (0, 1),
    "judge / 10 - 0.5": (-0.5, 0.5),
    "min(judge, 5) / 5": (0, 1),
    "max(0, judge - 5, exact)": (0, 5),
    "abs(close - 0.5)": (0, 0.5),
    "floor(judge / 3)": (0, 3),
    "ceil(close)": (0, 1),
    "sqrt(close)": (0, 1),
    "exp(0 * close)": (1, 1),
    "log(1 + close)": (0, math.log(2)),
    "close ^ 2": (0, 1),
    "(close - 0.5) ^ 2": (0, 0.25),
    "close ^ exact": (0, 1),
    "2 ^ judge": (1, 1024),
    # used more than once: each case of the parts with few rewards, pieces of the others
    "exact * (1 - exact)": (0, 0),
    "exact * close + (1 - exact) * 0.2": (0, 1),
    "close * (1 - close)": (0, 0.25),
    "close - close": (0, 0),
    # a pole, a value outside a function's domain, a number beyond all range
    "exact / close": None,
    "1 / (close - 0.3)": None,
    "log(close)": None,
    "sqrt(close - 1)": None,
    "close ^ -1": None,
    "(close - 1) ^ 0.5": None,
    "exp(1000 * close)": None,
    # python may give anything
    "code": None,
    "exact + code": None,
    "max(0, min(1, code))": (0, 1),
    "exact + 0 * code": (0, 1),
    "1 / (1 + exp(-code))": (0, 1),
}


@pytest.mark.parametrize(("formula", "expected"), RANGES.items())
def test_the_range_of_a_formula(formula: str, expected: tuple[float, float] | None) -> None:
    found = range_of(parse(multi(formula)))
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert tuple(found) == pytest.approx(expected, abs=1e-9)


def test_a_formula_of_many_parts_has_an_outer_bound_soon() -> None:
    keys = [f"part{number}" for number in range(30)]
    formula = " + ".join(f"({key} - 0.5) * {key}" for key in keys)
    found = range_of(parse(multi(formula, **dict.fromkeys(keys, CLOSE))))
    assert found is not None
    assert found.low <= -30 / 16
    assert found.high >= 15


def _random_formula(dice: random.Random, depth: int) -> str:
    if depth == 0:
        return dice.choice(["exact", "close", "judge", "0.5", "2"])
    one, other = _random_formula(dice, depth - 1), _random_formula(dice, depth - 1)
    form = dice.choice(
        ["({} + {})", "({} - {})", "({} * {})", "({} / ({} + 0.7))", "min({}, {})", "max({}, {})",
         "abs({} - {})", "floor({} + {})", "sqrt(abs({} - {}))", "(({} - {}) ^ 2)"]
    )  # fmt: skip
    return form.format(one, other)


@pytest.mark.parametrize("seed", range(60))
def test_no_value_of_a_formula_is_far_outside_of_its_range(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - a test's dice
    formula = _random_formula(dice, 3)
    spec = parse(multi(f"{formula} + 0 * (exact + close + judge)"))
    assert isinstance(spec, MultiGrader)
    found = range_of(spec)
    if found is None:
        return
    slack = 0.02 * max(found.width, 1.0)
    points = itertools.product(
        (0.0, 1.0), [dice.random() for _ in range(8)], [10 * dice.random() for _ in range(8)]
    )
    for exact, close, judged in points:
        try:
            value = spec.calculate_output.evaluate(
                {"exact": exact, "close": close, "judge": judged}
            )
        except FormulaFailure:
            pytest.fail(f"{formula} has a range, but no value")
        assert found.low - slack <= value <= found.high + slack, formula
