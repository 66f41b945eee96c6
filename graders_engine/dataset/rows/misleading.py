"""What in a data set gives rewards that look right, though the grader sees something else than is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.rows.identity import item_of
from graders_engine.dataset.rows.records import Records
from graders_engine.errors import DataSetError, GradingError
from graders_engine.graders.python import PythonGrader
from graders_engine.graders.string_check import StringCheckGrader
from graders_engine.language import strict_json
from graders_engine.language.scope import Scope
from graders_engine.language.template import Template

LOOKED_AT = 10_000
"""Rows in which `score` looks for empty references before it grades: a part of a second."""
_MAX_BYTES = 32 << 20
"""No more of the data is looked at, however few rows these are."""
_MAX_FIELDS = 3
_MAX_CELL_CHARS = 40
_AS_PYTHON_WRITES = re.compile(r"True|False|TRUE|FALSE|\[(?:'.*')?\]|\{(?:'.*)?\}", re.DOTALL)
"""Truth values, lists and objects as pandas and spreadsheets write them, which are no JSON."""


class EmptyReferences:
    """Counts rows in which a reference of the item is empty, which `like` and `ilike` find in any text.

    Args:
        compiled: the grader.
    """

    def __init__(self, compiled: CompiledGrader) -> None:
        self._found: list[tuple[str, str, Template]] = []
        for path, spec in _leaves(compiled):
            if isinstance(spec, StringCheckGrader) and spec.operation in ("like", "ilike"):
                variables = spec.reference.variables
                if variables and all(one.namespace == "item" for one in variables):
                    self._found.append((f"{path}reference", spec.operation, spec.reference))
        self._empty = [0] * len(self._found)
        self.rows = 0

    def __bool__(self) -> bool:
        """Whether the grader has such a reference."""
        return bool(self._found)

    def see(self, item: Any) -> None:
        """Look at a row."""
        self.rows += 1
        scope = Scope(item, "", absent=True)
        for at, (_, _, template) in enumerate(self._found):
            try:
                self._empty[at] += not template.render(scope)
            except GradingError:  # the row has no reward, and its flags say why
                continue

    def notes(self, of_all: str) -> Iterator[str]:
        """A sentence on each reference that is empty in some rows.

        Args:
            of_all: what the rows are that were seen, such as "the 3 rows".
        """
        for (path, operation, _), count in zip(self._found, self._empty, strict=True):
            if count:
                yield (
                    f"`{path}` is empty in {count:,} of {of_all}: `{operation}` finds an empty text in any "
                    "other, so that every output passes there"
                )


def misleading_head(compiled: CompiledGrader, records: Records) -> Iterator[str]:
    """What to say before rows are graded, of the first of them.

    Args:
        compiled: the grader.
        records: the rows, before the first is read. Of those that come but once, the head alone is looked at.
    """
    references = EmptyReferences(compiled)
    if references:
        for raw in _first(records):
            references.see(item_of(raw))
        rows = "row" if references.rows == 1 else f"{references.rows:,} rows"
        yield from references.notes(f"the first {rows}")
    yield from text_cells(compiled, records)


def _first(records: Records) -> Iterator[Any]:
    """The first rows, one after the other; what is wrong with the data is said when they are graded."""
    if records.once:
        yield from records.head()
        return
    try:
        for ref in islice(records.read(), LOOKED_AT):
            yield ref.row
            if ref.end > _MAX_BYTES:
                return
    except DataSetError:
        return


def text_cells(compiled: CompiledGrader, records: Records) -> Iterator[str]:
    """A sentence where python code reads cells of a CSV that look like numbers, and are text."""
    if not records.form.startswith("csv"):
        return
    fields = dict.fromkeys(_fields_of_code(compiled))
    cells = _cells_of_values(records.head(), fields) if fields else {}
    if cells:
        quoted = [f'`{name}` as "{cell}"' for name, cell in list(cells.items())[:_MAX_FIELDS]]
        more = " and others" if len(cells) > _MAX_FIELDS else ""
        yield (
            f"cells of a CSV are text: the python code reads {', '.join(quoted)}{more}, which equals no "
            "number, is no list and counts as true; convert it there (`float`, `json.loads`), or use JSONL"
        )


def _cells_of_values(rows: Iterable[Any], fields: Iterable[str]) -> dict[str, str]:
    """Of fields whose cells are all JSON values other than text, or empty: the first such cell."""
    items = [item for item in map(item_of, rows) if isinstance(item, Mapping)]
    found = {}
    for field in fields:
        cells = [cell for item in items if isinstance(cell := item.get(field), str) and cell]
        if cells and len(cells[0]) <= _MAX_CELL_CHARS and all(map(_is_value, cells)):
            found[field] = cells[0]
    return found


def _is_value(cell: str) -> bool:
    if _AS_PYTHON_WRITES.fullmatch(cell):
        return True
    try:
        return not isinstance(strict_json.decode(cell), str)
    except ValueError:
        return False


def _leaves(compiled: CompiledGrader) -> Iterator[tuple[str, Any]]:
    parts = compiled.spec.parts()
    yield from ((f"graders.{key}.", part) for key, part in parts.items())
    if not parts:
        yield "", compiled.spec


def _fields_of_code(compiled: CompiledGrader) -> Iterator[str]:
    for _, spec in _leaves(compiled):
        if isinstance(spec, PythonGrader):
            yield from spec.item_fields()
