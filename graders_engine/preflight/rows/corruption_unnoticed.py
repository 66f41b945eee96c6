"""A small change that makes a right answer wrong costs nothing, or next to nothing.

Each right answer that is rewarded is changed in small ways: another number, a negation, another row's value,
a key or an element left out, another argument of a tool call. Warned of is a kind of change on a field of
which half or more earn what the right answer earns.

Why: the grader does not look at what was changed, so training teaches nothing about it.

Example: a grader for invoices that compares the vendor only gives full marks whatever the total is.

To mend it: compare the field that is named, or leave it out of the answer if it does not matter.

Ignore it when: the change does not make the answer wrong, such as another order of tags, or a field that only
explains.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from graders_engine.preflight.attacks.results import is_noisy, shortened
from graders_engine.preflight.attacks.verdicts import SILENCED_BY, guess_is_poor, why_not
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.corruptions.catalog import BY_NAME
from graders_engine.preflight.corruptions.plan import NAME
from graders_engine.preflight.corruptions.results import (
    Noticed,
    listed,
    noticed,
    rewarded_rows,
    wrong_versions,
)
from graders_engine.preflight.findings import Finding, NotChecked, Severity
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.showing import location, see

_FEWEST = 3
"""Corruptions of a kind, and rows, that it takes to say something."""
_SMALL_LOSS = 0.05
_DECISIVE = frozenset({"number", "negation", "other-value", "argument", "list-drop", "call-drop"})
"""Operators that no grader may rightly miss; with one of these, the harmless ones on a field count, too."""
_EXPLAINS = re.compile(
    r"reason|explan|rationale|thought|thinking|analysis|steps|comment|note|summary|confidence|justif|evidence",
    re.IGNORECASE,
)
"""Names of fields that graders often leave out on purpose."""
_REPLACING = ("other-value", "argument")
_MOST_DETAILS = 8
_SHOWN_CHARS = 80


def _ask(inputs: Inputs) -> Answer:
    if not inputs.trials.get(NAME):
        return NotChecked(why_not(inputs, NAME))
    if poor := guess_is_poor(inputs):
        return poor
    if len(rewarded_rows(inputs)) < _FEWEST:
        return NotChecked(f"fewer than {_FEWEST} right answers are rewarded")
    found = [one for one in noticed(inputs) if one.rows >= _FEWEST]
    if not found:
        return NotChecked("no right answer has a number, a negation, a key or a call to change")
    if all(trial.outcome.blame == "grader" for trial in wrong_versions(inputs)):
        return NotChecked("the grader fails on every wrong version of a right answer")
    limit = inputs.options.limit("corruption_survival")
    noisy = is_noisy(inputs)
    graded = {id(one): _severity(one, found, limit, noisy=noisy) for one in found}
    serious = [one for one in found if graded[id(one)] == "warning"]
    slight = [one for one in found if graded[id(one)] == "info"]
    if not serious and not slight:
        return []
    return [
        _finding(inputs, serious or slight, slight if serious else [], found, warns=bool(serious))
    ]


def _severity(
    one: Noticed, found: Sequence[Noticed], limit: float, *, noisy: bool
) -> Severity | None:
    if one.share < limit:
        return "info" if one.loss < _SMALL_LOSS else None
    if noisy or _EXPLAINS.search(one.field):
        return "info"
    if not BY_NAME[one.operator].harmless_alone:
        return "warning"
    decisive = any(
        other.field == one.field and other.operator in _DECISIVE and other.share >= limit
        for other in found
    )
    return "warning" if decisive else "info"


def _finding(
    inputs: Inputs, named: Sequence[Noticed], beside: Sequence[Noticed], found: Sequence[Noticed],
    *, warns: bool,
) -> Finding:  # fmt: skip
    unmoved = [field for field in _unmoved(found) if any(one.field == field for one in named)]
    rest = [one for one in named if one.field not in unmoved]
    worst = next((one for one in named if one.field in unmoved), named[0])
    return Finding(
        "corruption-unnoticed",
        "warning" if warns else "info",
        _message(unmoved, rest, found),
        "Compare what is named here, or leave it out of the answer if it does not matter.",
        where=[location(inputs, worst.example.ask.line)],
        rows=max(one.rows for one in named),
        numbers={"corruptions": [_numbers(one) for one in [*named, *beside]], "anything": unmoved},
        details=[_detail(one) for one in [*named, *beside][:_MOST_DETAILS]],
        see=see(inputs, worst.example),
    )


def _unmoved(found: Sequence[Noticed]) -> list[str]:
    """The fields that may be anything: no change of their value costs anything, another value included."""
    changes = [one for one in found if one.operator in _DECISIVE]
    fields = dict.fromkeys(one.field for one in changes if one.operator in _REPLACING)
    return [
        field
        for field in fields
        if all(one.survived == one.count for one in changes if one.field == field)
    ]


def _message(unmoved: Sequence[str], rest: Sequence[Noticed], found: Sequence[Noticed]) -> str:
    parts = []
    if unmoved:
        count = sum(
            one.count for one in found if one.field in unmoved and one.operator in _DECISIVE
        )
        parts.append(
            f"{listed(unmoved)} may be anything: {count} of {count} wrong versions earn what the right "
            "answer earns."
        )
    for one in rest[:2]:
        what, field = BY_NAME[one.operator].what, listed([one.field])
        if one.survived:
            parts.append(
                f"{one.survived} of {one.count} answers with {what} in {field} earn what the right answer "
                "earns."
            )
        else:
            parts.append(f"{what.capitalize()} in {field} costs {one.loss:.1%} of the scale.")
    if len(rest) > 2:
        parts.append(f"{len(rest) - 2} more kinds of changes are noticed as little.")
    return " ".join(parts)


def _detail(one: Noticed) -> str:
    return (
        f"{one.operator} in {listed([one.field])}: {one.survived} of {one.count} survive, mean loss "
        f"{one.loss:.1%} of the scale: {shortened(one.example, _SHOWN_CHARS)}"
    )


def _numbers(one: Noticed) -> Mapping[str, Any]:
    return {
        "operator": one.operator, "field": one.field, "count": one.count, "rows": one.rows,
        "survived": one.survived, "loss": one.loss,
    }  # fmt: skip


CHECK = Check(
    "corruption-unnoticed",
    "rows",
    _ask,
    frozenset({"train", "grader", "references"}),
    silenced_by=SILENCED_BY,
)
