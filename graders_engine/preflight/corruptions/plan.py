"""Which corruptions are graded."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.preflight.attacks.context import Context
from graders_engine.preflight.attacks.plan import spread
from graders_engine.preflight.corruptions.catalog import corruptions_of
from graders_engine.preflight.corruptions.operator import Answer, Corruption
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.trials import Ask, Stage

NAME = "corruptions"
ROWS = 20
MOST = 120
"""Corruptions of `ROWS` rows; fewer rows have fewer."""
RIGHT = ("right answer", "")
"""The label of the right answers, to which the corruptions are compared."""


def _plan(inputs: Inputs, rows: int) -> Iterator[Ask]:
    context = Context.of(inputs)
    if context is None or context.references is None:
        return
    answered = [row for row in context.rows if context.right(row) is not None]
    drawn: dict[tuple[str, str], list[tuple[TrainingRow, Corruption]]] = {}
    for row in spread(answered, rows):
        answer = context.right(row)
        if answer is None:
            continue
        yield Ask(NAME, row.line, row.item, answer, RIGHT)
        choice = random.Random(f"{inputs.options.seed} {row.line}")  # noqa: S311 - no secret
        tools = [tool.name for tool in context.offered(row)]
        taken = Answer(answer, context.others(row), _is_closed(context.schema), tools, choice)
        for corruption in corruptions_of(taken):
            if context.is_ruled_out(corruption.sample):
                continue  # no model can give it, so that training meets no such answer
            label = (corruption.operator, corruption.field)
            drawn.setdefault(label, []).append((row, corruption))
    for row, corruption in _evenly(drawn, max(MOST * rows // ROWS, 1)):
        label = (corruption.operator, corruption.field)
        yield Ask(NAME, row.line, row.item, corruption.sample, label)


def _evenly(
    drawn: Mapping[tuple[str, str], list[tuple[TrainingRow, Corruption]]], most: int
) -> list[tuple[TrainingRow, Corruption]]:
    """At most so many, one of each kind after the other, and of each kind from all rows evenly."""
    kinds = list(drawn.values())
    share = {id(kind): 0 for kind in kinds}
    left = most
    while left and (open_kinds := [kind for kind in kinds if share[id(kind)] < len(kind)]):
        for kind in open_kinds[:left]:
            share[id(kind)] += 1
        left -= min(left, len(open_kinds))
    return [one for kind in kinds for one in spread(kind, share[id(kind)])]


def _is_closed(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("additionalProperties") is False


STAGE = Stage(NAME, _plan, ROWS, ("corruption-unnoticed",))
