"""The testing criteria of an eval as one grader, and what its result for a row says of each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import msgspec

from graders_engine.errors import InvalidRequest
from graders_engine.evals.hosted.names import formula_key
from graders_engine.graders.parts import without_nulls
from graders_engine.outcome import SERVED, Blame, Status

MAX_CRITERIA = 400
"""Most criteria of an eval: a formula over their rewards has at most 1,000 parts."""
_SUM = 100
"""Terms that stand in one sum: a formula nests at most 120 levels deep, and a chain of operators counts."""
_FORMULA_CHARS = 9_000
"""With longer names of criteria the formula has numbers in their place."""
_ALONE = ""
"""The key of a criterion that is the only one: its grader needs no multi around it."""


class GradedRow(msgspec.Struct, frozen=True, gc=False):
    """What of a line of a results file says whether the criteria are met; fields as in `ResultLine`."""

    line: int
    reward: float | None
    status: Status
    sub_rewards: dict[str, float | None]
    blame: Blame | None = None
    blames: dict[str, Blame] = {}
    clamped: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One testing criterion.

    Attributes:
        name: as results name it: `NAME-UUID`.
        type: of its grader.
        key: of its grader in the multi; empty where it is the only one.
        threshold: the reward from which on it is met.
        grader: its grader's JSON.
    """

    name: str
    type: str
    key: str
    threshold: float
    grader: Mapping[str, Any]

    def score(self, row: GradedRow) -> float | None:
        """Its score for a row: 0 where its grader failed on the row; None where it could not be graded."""
        reward = row.sub_rewards.get(self.key) if self.key else row.reward
        if reward is not None:
            return reward
        blame = row.blames.get(self.key, row.blame)
        return 0.0 if blame in SERVED else None

    def passes(self, row: GradedRow) -> bool | None:
        """Whether a row meets it; None where it could not be graded, which is no failure of the row."""
        reward = row.sub_rewards.get(self.key) if self.key else row.reward
        if reward is not None:
            return reward >= self.threshold
        return None if self.score(row) is None else False


@dataclass(frozen=True, slots=True)
class Criteria:
    """All testing criteria of an eval.

    Attributes:
        all: in the eval's order.
        grader: the JSON of one grader that runs all of theirs.
    """

    all: tuple[Criterion, ...]
    grader: Mapping[str, Any]

    def named(self, flags: Mapping[str, str]) -> dict[str, str]:
        """The flags of a row, whose lines begin with keys, with the names of the criteria in their place."""
        given = Counter(one.grader.get("name") for one in self.all)
        names = {}
        for position, one in enumerate(self.all):
            name = str(one.grader.get("name") or one.type)
            more = f" (testing_criteria[{position}])" if given[one.grader.get("name")] > 1 else ""
            names[one.key] = name + more

        def line(text: str) -> str:
            keys, colon, rest = text.partition(": ")
            found = [names.get(key) for key in keys.split(", ")] if colon else [None]
            return text if None in found else f"{', '.join(map(str, found))}: {rest}"

        return {flag: "\n".join(map(line, text.split("\n"))) for flag, text in flags.items()}

    def verdicts(self, row: GradedRow) -> list[bool | None]:
        """`Criterion.passes` of each."""
        return [criterion.passes(row) for criterion in self.all]


def status_of(verdicts: Sequence[bool | None]) -> str:
    """The status of an item: `pass`, `fail`, or `error` where a criterion could not be graded."""
    if None in verdicts:
        return "error"
    return "pass" if all(verdicts) else "fail"


def criteria_of(testing_criteria: Sequence[Mapping[str, Any]], eval_name: str = "") -> Criteria:
    """The criteria of an eval.

    Args:
        testing_criteria: as they are on the wire; `id` is the name of results.
        eval_name: what reports name several criteria by.

    Raises:
        InvalidRequest: there are none, or more than one run can grade.
    """
    count = len(testing_criteria)
    if not 1 <= count <= MAX_CRITERIA:
        raise InvalidRequest(
            f"An eval has 1 to {MAX_CRITERIA} testing criteria, but this one has {count:,}: "
            "make several evals of it."
        )
    keys = [_ALONE] if count == 1 else list(_keys(testing_criteria))
    criteria = tuple(
        _criterion(given, key) for given, key in zip(testing_criteria, keys, strict=True)
    )
    if count == 1:
        return Criteria(criteria, criteria[0].grader)
    graders = {criterion.key: criterion.grader for criterion in criteria}
    multi = {
        "type": "multi",
        "name": eval_name or "testing criteria",
        "graders": graders,
        "calculate_output": f"({_sum(keys)}) / {count}",
    }
    return Criteria(criteria, multi)


def _keys(testing_criteria: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Names of the criteria that a formula can have; numbers where they are too long for one."""
    taken: set[str] = set()
    named = [
        formula_key(str(given.get("name") or ""), number, taken)
        for number, given in enumerate(testing_criteria, 1)
    ]
    if sum(len(key) + 3 for key in named) <= _FORMULA_CHARS:
        yield from named
    else:
        yield from (f"criterion_{number}" for number in range(1, len(named) + 1))


def _sum(keys: Sequence[str]) -> str:
    if len(keys) <= _SUM:
        return " + ".join(keys)
    parts = [keys[at : at + _SUM] for at in range(0, len(keys), _SUM)]
    return " + ".join(f"({' + '.join(part)})" for part in parts)


def _criterion(given: Mapping[str, Any], key: str) -> Criterion:
    kind = str(given.get("type"))
    grader = without_nulls({name: part for name, part in given.items() if name != "id"})
    name = given.get("id") or given.get("name") or kind
    return Criterion(str(name), kind, key, threshold_of(kind, grader), grader)


def threshold_of(kind: str, grader: Mapping[str, Any]) -> float:
    """The score from which on a criterion is met; infinite where its range cannot be read.

    Args:
        kind: its type.
        grader: its JSON.
    """
    if kind in ("string_check", "label_model"):
        return 1.0
    given = grader.get("pass_threshold")
    if isinstance(given, (int, float)):
        return float(given)
    bounds = grader.get("range") if kind == "score_model" else None
    top = bounds[-1] if isinstance(bounds, list) and bounds else 1.0
    return float(top) if isinstance(top, (int, float)) else inf
