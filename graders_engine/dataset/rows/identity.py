"""Which rows belong together: those with the same value at a path, or with equal items."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from graders_engine.dataset.rows.records import Records, RowRef
from graders_engine.dataset.rows.shapes import Shape
from graders_engine.errors import InvalidRequest, InvalidRow, UndefinedVariable
from graders_engine.language.scope import Scope, Step, resolve
from graders_engine.language.span import SourceError
from graders_engine.language.template import Template
from graders_engine.outputs.rows import item_beside
from graders_engine.outputs.unreadable import Unreadable

ITEM = "item"
"""The path of the whole item: rows with equal items belong together."""
MAX_NAME_CHARS = 100
"""A longer value is named by its hash."""
_MAYBE_WHOLE_FLOAT = re.compile(rb"\d\.0(?!\d)|\d[eE]")


class RowPath:
    """A path to a value of a row: `item`, a path in the item such as `item.id`, or a column.

    A column is a key of the row as it stands in the file, or else of its item; steps may follow it.

    Args:
        text: the path.
        option: the option that gave it, for messages.

    Raises:
        InvalidRequest: it is no path.
    """

    def __init__(self, text: str, option: str = "--group-by") -> None:
        self.text, self._option = text.strip(), option
        self._in_item = self.text == ITEM or self.text.startswith((f"{ITEM}.", f"{ITEM}["))
        self._steps = () if self.text == ITEM else self._parse()

    def _parse(self) -> tuple[Step, ...]:
        path = self.text if self._in_item else f"{ITEM}.{self.text}"
        try:
            variables = Template.compile(f"{{{{{path}}}}}").variables
        except SourceError as error:
            if not self._in_item and self.text:
                return (self.text,)  # the name of a column may be anything
            reason = error.issues[0].reason if self.text else "the path is empty"
            raise InvalidRequest(
                f"{self._option} {self.text}: {reason}. Name a path such as item.id, a column, or `item` "
                "for equal items."
            ) from None
        return variables[0].steps

    def name_of(self, raw: Any, item: Any) -> str | None:
        """The text that all rows with the same value have; None for a row without a value.

        Values are compared as text, so 7 equals "7"; equal JSON values have the same text (1 and 1.0, objects
        with their keys in any order). Null and the empty text are no value.

        Args:
            raw: the row as it stands in the file.
            item: its item.
        """
        if self.text == ITEM:
            return item_hash(item)
        value = self._value(raw, item)
        if value is None or value == "":
            return None
        if isinstance(value, (dict, list)):
            return item_hash(value)
        text = value if isinstance(value, str) else canonical(value).decode()
        return text if len(text) <= MAX_NAME_CHARS else item_hash(text)

    def _value(self, raw: Any, item: Any) -> Any:
        if self._in_item:
            return _resolve(item, self._steps)
        for holder in (raw, item):
            if isinstance(holder, Mapping):
                value = holder[self.text] if self.text in holder else _resolve(holder, self._steps)
                if value is not None:
                    return value
        return None

    def missing(self, which: str, raw: Any, item: Any) -> str:
        """Sentences for rows that have no value here: the paths that one has, and which was probably meant.

        Args:
            which: the rows: "500 rows".
            raw: one of them as it stands in the file.
            item: its item.
        """
        paths = [f"{ITEM}.{key}" for key in item] if isinstance(item, Mapping) else []
        columns = map(str, raw) if isinstance(raw, Mapping) else ()
        known = [*paths, *(each for each in columns if each not in _OTHER_KEYS)]
        near = difflib.get_close_matches(self.text, known, 1)
        mean = f" Did you mean `{near[0]}`?" if near else ""
        return (
            f"{self._option} {self.text}: none of {which} has a value there. The first one has: "
            f"{', '.join(known) or 'nothing'}.{mean}"
        )


_OTHER_KEYS = (ITEM, "sample", "samples", "model_sample", "model_samples")


def _resolve(value: Any, steps: tuple[Step, ...]) -> Any:
    try:
        return resolve(Scope(value, ""), ITEM, steps)
    except UndefinedVariable:
        return None


def canonical(value: Any) -> bytes:
    """A text that equal JSON values share, and others do not: 1 equals 1.0, but not true.

    Raises:
        ValueError: the value nests too deep, or is not a JSON value.
    """
    try:
        text = _encode(value)
        return (
            _encode(_whole_floats_as_integers(value)) if _MAYBE_WHOLE_FLOAT.search(text) else text
        )
    except RecursionError:
        raise ValueError("the value nests too deep") from None


def _encode(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value, order="sorted")
    except (
        TypeError,
        ValueError,
        OverflowError,
        UnicodeError,
    ):  # a lone surrogate, a very large integer
        try:
            return json.dumps(value, sort_keys=True).encode()
        except TypeError as error:
            raise ValueError(str(error)) from None


def _whole_floats_as_integers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole_floats_as_integers(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_whole_floats_as_integers(part) for part in value]
    return value


def item_hash(value: Any) -> str | None:
    """128 bits in hexadecimal that equal JSON values share; None for what has no JSON form."""
    try:
        return hashlib.blake2b(canonical(value), digest_size=16).hexdigest()
    except ValueError:
        return None


def item_of(row: Any) -> Any:
    """The item of a row to grade; None for an `Unreadable`."""
    if isinstance(row, Unreadable) or not isinstance(row, Mapping):
        return None
    try:
        return item_beside(row)
    except InvalidRow:  # it is graded as invalid
        return None


class GroupedShape:
    """A shape whose rows have as their group the value at a path; rows without a value have no group.

    Args:
        shape: how the rows to grade are taken out of a raw row.
        path: where the name of a row's group is.
    """

    plain = False

    def __init__(self, shape: Shape, path: RowPath) -> None:
        self._shape, self._path, self.name = shape, path, shape.name

    def split(self, ref: RowRef) -> Sequence[RowRef]:
        """The rows to grade of one raw row, all of one group."""
        refs = self._shape.split(ref)
        name = name_in(self._path, ref.row, refs)
        return [msgspec.structs.replace(one, group=name) for one in refs]


def name_in(path: RowPath, raw: Any, refs: Sequence[RowRef]) -> str | None:
    """The name at a path in a raw row, all of whose samples share its item; None without one."""
    item = first_item(refs)
    return None if item is None else path.name_of(raw, item)


def first_item(refs: Sequence[RowRef]) -> Any:
    """The item of the rows of one raw row, which they share; None if none of them can be read."""
    return next((item for ref in refs if (item := item_of(ref.row)) is not None), None)


def require_path(path: RowPath, records: Records, shape: Shape) -> None:
    """Check that at least one row has a value at a path; all are read only if none of the first has one.

    Raises:
        InvalidRequest: none has; the message has the paths that there are.
        DataSetError: the data set cannot be read.
    """
    head = (RowRef(number, row) for number, row in enumerate(records.head(), 1))
    first, count = None, 0
    for rows in (head,) if records.once else (head, records.read()):
        count = 0
        for raw in rows:
            if isinstance(raw.row, Unreadable):
                continue
            refs = shape.split(raw)
            if name_in(path, raw.row, refs) is not None:
                return
            first, count = first or (raw.row, first_item(refs)), count + 1
    if first is not None:
        which = f"the first {count:,} rows" if records.once else f"{count:,} rows"
        raise InvalidRequest(path.missing(which, *first))


def names_by_line(
    rows: Iterator[RowRef], shape: Shape, path: RowPath
) -> Iterator[tuple[int, str | None]]:
    """The line of each raw row, and the name at a path in it; None without one."""
    for raw in rows:
        yield raw.line, name_in(path, raw.row, shape.split(raw))
