"""The fields of a data set's rows: what a template may name, and which one a grader may begin with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from graders_engine.dataset.rows.identity import item_of
from graders_engine.language.scope import spell
from graders_engine.preflight.references import GUESSED

MAX_FIELDS = 500
"""So many fields are listed; a row that has more is no row that one writes templates for."""


def fields_json(rows: Sequence[Any]) -> dict[str, Any]:
    """The paths of the rows' fields, and of the one that is compared with the output to begin with.

    That one is in most rows: a field whose name says that it holds the right answer, or else the first text,
    of which `id` comes last. It is null if there is none.
    """
    items = [item for row in rows if isinstance(item := item_of(row), Mapping)]
    names = dict.fromkeys(name for item in items for name in item)
    scalars = _in_most(items, str | int | float)
    texts = sorted(_in_most(items, str), key=lambda name: name == "id")
    chosen = next((name for name in (*GUESSED, *texts) if name in scalars), None)
    return {
        "paths": [spell("item", (name,)) for name in names][:MAX_FIELDS],
        "reference": None if chosen is None else spell("item", (chosen,)),
    }


def _in_most(items: Sequence[Mapping[str, Any]], kind: Any) -> list[str]:
    """The fields that have a value of a kind in more than half of the items, in their order."""
    found = Counter(
        name for item in items for name, value in item.items() if isinstance(value, kind)
    )
    return [name for name, count in found.items() if 2 * count > len(items)]
