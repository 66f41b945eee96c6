"""Which rows of a CSV are tried, and with what in place of their cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from graders_engine.dataset.rows.cells.values import may_be_value, other_of, value_of
from graders_engine.dataset.rows.identity import item_of
from graders_engine.dataset.rows.read import DataSet
from graders_engine.dataset.rows.records import RowRef
from graders_engine.errors import DataSetError

_ROWS = 8
_ROWS_WITH_OUTPUT = 5
"""Of these, how many whose output has the cell in it, if there are: they are most often right."""
_LOOKED_AT = 1_000
_MAX_BYTES = 4 << 20


class HeadRow(NamedTuple):
    """A row of the head.

    Attributes:
        ref: the row; its line is 0 if the rows can be read only a single time.
        item: its item.
        fields: those whose cells may look like something else than a text.
    """

    ref: RowRef
    item: Mapping[str, Any]
    fields: frozenset[str]


class TriedRow(NamedTuple):
    """A row to try.

    Attributes:
        ref: as in `HeadRow`.
        item: likewise.
        values: by field, what its cells look like that do not look like a text.
    """

    ref: RowRef
    item: Mapping[str, Any]
    values: dict[str, Any]

    def texts(self, fields: Iterable[str]) -> dict[str, Any]:
        """Other cells for these fields."""
        return {field: text for field, (text, _) in self._other(fields)}

    def others(self, fields: Iterable[str]) -> dict[str, Any]:
        """Other values for these fields."""
        return {field: value for field, (_, value) in self._other(fields)}

    def _other(self, fields: Iterable[str]) -> Iterator[tuple[str, tuple[str, Any]]]:
        for field, value in self.converted(fields).items():
            yield field, other_of(self.item[field], value)

    def converted(self, fields: Iterable[str]) -> dict[str, Any]:
        """What the cells of these fields look like."""
        return {field: self.values[field] for field in fields if field in self.values}

    def with_item(self, changes: Mapping[str, Any]) -> dict[Any, Any]:
        """The row to grade with these changes of its item."""
        kept = {key: part for key, part in self.ref.row.items() if key != "reference_answer"}
        return {**kept, "item": {**self.item, **changes}}


def head_rows(data_set: DataSet) -> Iterator[HeadRow]:
    """Of the head, the rows with a cell that may look like something else than a text."""
    for ref in _head(data_set):
        item = item_of(ref.row)
        if isinstance(item, Mapping):
            fields = frozenset(field for field, cell in item.items() if may_be_value(cell))
            if fields:
                yield HeadRow(ref, item, fields)


def _head(data_set: DataSet) -> Iterator[RowRef]:
    records, shape = data_set.records, data_set.shape
    if records.once:
        raw: Iterable[RowRef] = (RowRef(0, row) for row in records.head())
    else:
        raw = islice(records.read(), _LOOKED_AT)
    try:
        for ref in raw:
            yield from [ref] if shape.plain else shape.split(ref)
            if ref.end > _MAX_BYTES:
                return
    except DataSetError:  # said when the rows are graded
        return


def chosen_rows(rows: Sequence[HeadRow], fields: Sequence[str]) -> list[TriedRow]:
    """A few rows from all over, most of them with the cell in their output: these are likely right."""
    able = [row for row in rows if not row.fields.isdisjoint(fields)]
    likely = [row for row in able if _has_cell(row, fields)]
    others = [row for row in able if not _has_cell(row, fields)]
    first = _different(likely, fields, max(_ROWS_WITH_OUTPUT, _ROWS - len(others)))
    rows = first + _different(others, fields, _ROWS - len(first))
    tried = [TriedRow(row.ref, row.item, _values(row)) for row in rows]
    return [row for row in tried if row.values]


def _values(row: HeadRow) -> dict[str, Any]:
    read = {field: value_of(cell) for field, cell in row.item.items()}
    return {field: value for field, value in read.items() if value is not None}


def _has_cell(row: HeadRow, fields: Sequence[str]) -> bool:
    output = str(row.ref.row.get("model_sample") or row.ref.row.get("sample") or "").casefold()
    return any(row.item[field].casefold() in output for field in fields if field in row.fields)


def _different(rows: Sequence[HeadRow], fields: Sequence[str], count: int) -> list[HeadRow]:
    """So many rows, with different cells in these fields as far as there are."""
    first: dict[tuple[Any, ...], HeadRow] = {}
    for row in rows:
        first.setdefault(tuple(row.item.get(field) for field in fields), row)
    found = _spread([*first.values()], count)
    chosen = {id(row) for row in found}
    return found + _spread([row for row in rows if id(row) not in chosen], count - len(found))


def _spread(rows: Sequence[HeadRow], count: int) -> list[HeadRow]:
    if len(rows) <= count:
        return list(rows)
    return [rows[at * len(rows) // count] for at in range(count)]
