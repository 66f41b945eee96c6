"""Counts in how many rows each field that the grader reads is missing, null or empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graders_engine.errors import GradersError
from graders_engine.graders.base import GraderSpec
from graders_engine.graders.string_check import StringCheckGrader
from graders_engine.graders.text_similarity import TextSimilarityGrader
from graders_engine.language.scope import Scope, Step, resolve, spell
from graders_engine.language.spelling import nearest
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.grader_facts import GraderFacts

MOST_LINES = 5
_MOST_LOOKED_AT = 20
"""In how many rows without a field its name is looked for elsewhere."""
_MOST_KEYS = 200
_DEEPEST = 3
_LETTERS_A_SLIP = 5
_MOST_SLIPS = 2


@dataclass(slots=True)
class FieldUse:
    """A field of the item that the grader reads.

    Attributes:
        steps: its path in the item.
        path: where in the grader it is read first.
        line: in which line of a python source; 0 for a template.
        template: whether a template reads it.
        needed: whether a row without it gets no reward for sure.
        compared: whether a template compares the sample with it.
    """

    steps: tuple[Step, ...]
    path: str
    line: int = 0
    template: bool = False
    needed: bool = False
    compared: bool = False

    @property
    def name(self) -> str:
        """Its path as templates spell it."""
        return spell("item", self.steps)


@dataclass(slots=True)
class FieldCount:
    """What the rows of a file have for a field.

    Attributes:
        missing: rows without it.
        null: rows where it is null.
        empty: rows where it is a text of blanks, or of nothing.
        missing_lines: the first lines without it.
        empty_lines: the first lines where it is null or empty.
        item: the first item without it, or where it is null or empty.
        near: how the name of what was probably meant is spelled; empty if nothing is near.
        near_line: the first line that has it, and lacks the field.
        misspelt: whether that name differs by a slip of the keyboard only.
    """

    missing: int = 0
    null: int = 0
    empty: int = 0
    missing_lines: list[int] = field(default_factory=list)
    empty_lines: list[int] = field(default_factory=list)
    item: Any = None
    near: str = ""
    near_line: int = 0
    misspelt: bool = False


def fields_of(facts: GraderFacts) -> list[FieldUse]:
    """The fields of the item that a grader reads, each once."""
    found: dict[tuple[Step, ...], FieldUse] = {}
    for path, variable in facts.variables:
        if variable.namespace == "item" and variable.steps:
            use = found.setdefault(variable.steps, FieldUse(variable.steps, path))
            use.template = use.needed = True
    for steps in (steps for _, spec in facts.leaves for steps in _compared(spec)):
        if steps in found:
            found[steps].compared = True
    for path, reads in facts.python:
        for read in reads.item:
            where = f"{path}.source".lstrip(".")
            use = found.setdefault(read.path, FieldUse(read.path, where, read.line))
            use.needed = use.needed or read.needed
    return list(found.values())


def _compared(spec: GraderSpec) -> Iterator[tuple[Step, ...]]:
    """The fields that a string_check or text_similarity compares with something of the sample."""
    if isinstance(spec, (StringCheckGrader, TextSimilarityGrader)):
        variables = (*spec.input.variables, *spec.reference.variables)
        if any(variable.namespace == "sample" for variable in variables):
            yield from (variable.steps for variable in variables if variable.namespace == "item")


class FieldCounts:
    """Sees every row of a file.

    Attributes:
        rows: how many rows are objects.
        counts: what they have, by field.
    """

    def __init__(self, facts: GraderFacts | None) -> None:
        self.uses = fields_of(facts) if facts else []
        self.counts = {use.steps: FieldCount() for use in self.uses}
        self.rows = 0
        self._read = {use.steps for use in self.uses}

    def add(self, row: TrainingRow) -> None:
        """Count what a row has."""
        if row.unreadable or not isinstance(row.item, Mapping):
            return
        self.rows += 1
        scope = Scope(row.item, "", absent=True)
        for steps, count in self.counts.items():
            try:
                value = resolve(scope, "item", steps)
            except GradersError:
                self._missing(steps, count, row)
                continue
            if value is None or (isinstance(value, str) and not value.strip()):
                count.null += value is None
                count.empty += value is not None
                if len(count.empty_lines) < MOST_LINES:
                    count.empty_lines.append(row.line)
                if count.item is None:
                    count.item = row.item

    def _missing(self, steps: tuple[Step, ...], count: FieldCount, row: TrainingRow) -> None:
        count.missing += 1
        if len(count.missing_lines) < MOST_LINES:
            count.missing_lines.append(row.line)
        if count.item is None:
            count.item = row.item
        if not count.near and count.missing <= _MOST_LOOKED_AT:
            count.near, count.misspelt = self._near(steps, row.item)
            count.near_line = row.line if count.near else 0

    def _near(self, steps: tuple[Step, ...], item: Any) -> tuple[str, bool]:
        """What was probably meant, and whether it is a key with a slip in its name.

        It is a key with nearly this name, else the same key at another place.
        """
        for position, step in enumerate(steps):
            holder = _at(item, steps[:position])
            if not isinstance(holder, Mapping) or step in holder:
                continue
            if not isinstance(step, str):
                break
            before = steps[:position]
            keys = list(holder)[:_MOST_KEYS]
            unread = [key for key in keys if (*before, key) not in self._read]
            if near := nearest(step, unread):
                return spell("item", (*before, near)), _is_slip(step, near)
            if near := nearest(step, keys):
                return spell("item", (*before, near)), False
            if found := _deeper(item, step):
                return spell("item", (*found, *steps[position + 1 :])), False
            break
        return "", False


def _is_slip(one: str, other: str) -> bool:
    """Whether two names differ in a letter, in the order of two, or in case and marks between words."""
    from rapidfuzz.distance import OSA

    plain = [name.casefold().replace("_", "").replace("-", "") for name in (one, other)]
    slips = min(map(len, plain)) // _LETTERS_A_SLIP
    return plain[0] == plain[1] or int(OSA.distance(*plain)) <= min(slips, _MOST_SLIPS)


def _at(item: Any, steps: Sequence[Step]) -> Any:
    try:
        return resolve(Scope(item, "", absent=True), "item", tuple(steps))
    except GradersError:
        return None


def _deeper(value: Any, key: str, depth: int = _DEEPEST) -> tuple[str, ...]:
    """The path to a key in objects inside an object; empty if there is none."""
    if not isinstance(value, Mapping) or not depth:
        return ()
    if key in value:
        return (key,)
    for name, part in list(value.items())[:_MOST_KEYS]:
        if found := _deeper(part, key, depth - 1):
            return (name, *found)
    return ()
