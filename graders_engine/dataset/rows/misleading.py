"""What in a data set gives rewards that look right, though the grader sees something else than is meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.rows.identity import item_of
from graders_engine.dataset.rows.records import Records, RepeatedKey
from graders_engine.errors import DataSetError, GradingError
from graders_engine.graders.python import PythonGrader
from graders_engine.graders.string_check import StringCheckGrader
from graders_engine.language.scope import Scope
from graders_engine.language.spelling import nearest
from graders_engine.language.template import Template
from graders_engine.urls import Location

LOOKED_AT = 10_000
"""Rows in which `score` looks for empty references before it grades: a part of a second."""
_MAX_BYTES = 32 << 20
"""No more of the data is looked at, however few rows these are."""
_TEXTS_LOOKED_AT = 1_000
"""Rows whose text is read again before a run, for keys that are there twice: a hundredth of a second."""
_MAX_TEXT_BYTES = 4 << 20


class EmptyReferences:
    """Counts rows in which a reference of the item is empty, which `like` and `ilike` find in any text.

    So they do with one of blanks alone in nearly any text, as nothing is trimmed.

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
        self._blank = [0] * len(self._found)
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
                text = template.render(scope)
            except GradingError:  # the row has no reward, and its flags say why
                continue
            self._empty[at] += not text
            self._blank[at] += text.isspace()

    def notes(self, of_all: str) -> Iterator[str]:
        """A sentence on each reference that is empty in some rows.

        Args:
            of_all: what the rows are that were seen, such as "the 3 rows".
        """
        counts = zip(self._found, self._empty, self._blank, strict=True)
        for (path, operation, _), empty, blank in counts:
            if empty:
                yield (
                    f"`{path}` is empty in {empty:,} of {of_all}: `{operation}` finds an empty text in any "
                    "other, so that every output passes there"
                )
            if blank:
                yield (
                    f"`{path}` is blanks alone in {blank:,} of {of_all}: `{operation}` trims nothing, so "
                    "that every output with such a blank passes there, right or wrong"
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
    yield from misspelt_fields(compiled, records)
    yield from first_repeated_keys(records)


def misspelt_fields(compiled: CompiledGrader, records: Records) -> Iterator[str]:
    """A sentence on each field that python code reads and no row of the head has, if one has nearly its name.

    Code that asks with `get` takes such a field for empty, and its rewards look like any others.

    Args:
        compiled: the grader.
        records: the rows.
    """
    named = dict.fromkeys(
        field
        for _, spec in _leaves(compiled)
        if isinstance(spec, PythonGrader)
        for field in spec.item_fields()
    )
    if not named:
        return
    items = [item for row in records.head() if isinstance(item := item_of(row), Mapping)]
    held = dict.fromkeys(key for item in items for key in item)
    for field in named:
        near = "" if field in held else nearest(field, [key for key in held if key not in named])
        if near:
            where = "the first row" if len(items) == 1 else f"any of the first {len(items):,} rows"
            yield f"the code reads `{field}` of the item, which is not in {where}: did you mean `{near}`?"


def first_repeated_keys(records: Records) -> Iterator[str]:
    """As `repeated_keys`, of so many first rows that nobody waits for it."""
    return repeated_keys(records, _TEXTS_LOOKED_AT, _MAX_TEXT_BYTES)


def repeated_keys(records: Records, most: int | None = None, most_bytes: int = 0) -> Iterator[str]:
    """A sentence on each file in which rows name a key twice in one object.

    Args:
        records: the rows; of those that come but once, none is looked at.
        most: how many of the first rows are looked at; all if None.
        most_bytes: how many bytes of them, if not all.
    """
    found: dict[Location, list[RepeatedKey]] = {}
    try:
        for one in records.repeated_keys(most, most_bytes):
            found.setdefault(one.path, []).append(one)
    except DataSetError:  # said when they are graded
        return
    within = "" if most is None else f" among the first {most:,}"
    for path, rows in found.items():
        count = "1 row" if len(rows) == 1 else f"{len(rows):,} rows"
        yield (
            f"{count} of {path}{within} name{'s' * (len(rows) == 1)} a key twice in one object, such as "
            f"`{rows[0].key}` on line {rows[0].line:,}: the last value counts; keep one of them"
        )


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


def _leaves(compiled: CompiledGrader) -> Iterator[tuple[str, Any]]:
    parts = compiled.spec.parts()
    yield from ((f"graders.{key}.", part) for key, part in parts.items())
    if not parts:
        yield "", compiled.spec
