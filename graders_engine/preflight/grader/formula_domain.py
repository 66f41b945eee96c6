"""For some rewards of its parts the formula has no value: a division by 0, a logarithm of 0.

Why: such an answer gets 0.0 and a flag in place of what it earned. It is often the worst or the
best answer of all, for 0 and 1 are what parts give most.

Example: `exact / close` divides by 0 for an answer that has nothing in common with the reference.

To mend it: keep the divisor away from 0, as in `exact / max(close, 0.01)`, and what stands in `log`
or `sqrt` above it.

Ignore it when: the parts cannot give these rewards together.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from graders_engine.errors import FormulaFailure
from graders_engine.language.formula import Formula
from graders_engine.language.formula_range import Interval, NoValue, PartRange, interval_of
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.grader.phrases import and_joined
from graders_engine.preflight.grader_facts import GraderFacts
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.showing import number

_MOST_CASES = 2_000
_MOST_INTEGERS = 20
_MOST_TRIED = 4
_HALVINGS = 60

Rewards = Mapping[str, float]


def _ask(inputs: Inputs) -> Answer:
    facts = inputs.grader
    if facts is None or facts.multi is None:
        return NotChecked("the grader has no formula")
    formula = facts.multi.calculate_output
    found = _without_value(formula, facts) or _pole(formula, facts)
    if found is None:
        return []
    rewards, why = found
    values = and_joined(f"`{key}` is {number(value)}" for key, value in rewards.items())
    when = f"where {values}" if rewards else "for any reward of its parts"
    return [
        Finding(
            "formula-domain",
            "warning",
            f"`{formula.source}` has no value {when}: {why}.",
            _FIXES.get(why, "Keep what it computes within the range of a number."),
            where=[Location(inputs.grader_file, 0, "calculate_output")],
            numbers={"rewards": dict(rewards)},
        )
    ]


_ZERO = "a division by zero"
_FIXES = {
    _ZERO: "Keep the divisor away from 0, as in `max(divisor, 0.01)`.",
    "a function outside its domain": "Keep what stands in the function above 0, as in `max(value, 0.01)`.",
}


def _without_value(formula: Formula, facts: GraderFacts) -> tuple[Rewards, str] | None:
    """Rewards of the parts for which the formula has no value, the plainest found, and why."""
    for rewards in _cases(formula, facts):
        try:
            formula.evaluate(rewards)
        except FormulaFailure as error:
            return _needed(formula, facts, rewards), str(error).rpartition(": ")[2]
    return None


def _needed(formula: Formula, facts: GraderFacts, rewards: Rewards) -> Rewards:
    """Those of the rewards that have to do with it: whatever the other parts give, there is no value."""
    needed = dict(rewards)
    for key in rewards:
        others = {name: [value] for name, value in needed.items() if name != key}
        free = {name: _values(facts.part_ranges[name])[:_MOST_TRIED] for name in rewards}
        if all(_fails(formula, case) for case in _product({**free, **others})):
            del needed[key]
    return needed


def _fails(formula: Formula, rewards: Rewards) -> bool:
    try:
        formula.evaluate(rewards)
    except FormulaFailure:
        return True
    return False


def _product(choices: Mapping[str, Sequence[float]]) -> Iterator[dict[str, float]]:
    for case in itertools.islice(itertools.product(*choices.values()), _MOST_CASES):
        yield dict(zip(choices, case, strict=True))


def _cases(formula: Formula, facts: GraderFacts) -> Iterator[dict[str, float]]:
    choices = {key: _values(facts.part_ranges[key]) for key in formula.names}
    while math.prod(map(len, choices.values())) > _MOST_CASES:
        longest = max(choices, key=lambda key: len(choices[key]))
        if len(choices[longest]) == 1:
            break
        choices[longest] = choices[longest][: len(choices[longest]) // 2]
    return _product(choices)


def _values(part: PartRange) -> Sequence[float]:
    """Rewards that a part may give, its ends first."""
    low, high = part.interval
    if part.values:
        return part.values
    if not math.isfinite(high - low):
        return (0.0, 1.0)  # a source that fails counts as 0, and 1 is a usual full mark
    whole = range(math.ceil(low), math.floor(high) + 1)
    inside = [float(value) for value in whole] if len(whole) <= _MOST_INTEGERS else [0.0]
    quarters = [low + (high - low) * part / 4 for part in (2, 1, 3)]
    return [v for v in dict.fromkeys([low, high, *inside, *quarters]) if low <= v <= high]


def _pole(formula: Formula, facts: GraderFacts) -> tuple[Rewards, str] | None:
    """Rewards between those of `_cases` for which a divisor is 0."""
    ranges = {key: part.interval for key, part in facts.part_ranges.items()}
    for node in ast.walk(formula.tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            divisor = node.right
            signs: dict[bool, dict[str, float]] = {}
            for rewards in _cases(formula, facts):
                value = _value(divisor, formula, rewards)
                if value is not None:
                    signs.setdefault(value > 0, rewards)
            if len(signs) == 2 and (found := _between(divisor, formula, signs, ranges)):
                return found, _ZERO
    return None


def _value(node: ast.expr, formula: Formula, rewards: Rewards) -> float | None:
    try:
        points = {key: Interval(value, value) for key, value in rewards.items()}
        return interval_of(node, formula, points).low
    except (NoValue, OverflowError):
        return None


def _between(
    divisor: ast.expr,
    formula: Formula,
    signs: Mapping[bool, Rewards],
    ranges: Mapping[str, Interval],
) -> Rewards | None:
    """Where a divisor changes its sign, if only parts with rewards in between change theirs."""
    below, above = dict(signs[False]), dict(signs[True])
    if any(
        below[key] != above[key] and not math.isfinite(ranges[key].width) for key in formula.names
    ):
        return None
    for _ in range(_HALVINGS):
        middle = {key: (below[key] + above[key]) / 2 for key in below}
        value = _value(divisor, formula, middle)
        if value is None:
            return None
        below, above = (below, middle) if value > 0 else (middle, above)
    ends = [_value(divisor, formula, one) for one in (below, above)]
    touches = all(end is not None and abs(end) < 1e-6 for end in ends)
    return below if touches else None


CHECK = Check(
    "formula-domain", "grader", _ask, frozenset({"grader"}), silenced_by=("invalid-grader",)
)
