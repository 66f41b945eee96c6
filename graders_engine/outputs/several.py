"""Rows that hold an item and an output, or several outputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from io import IOBase
from os import PathLike
from typing import Any

import msgspec

from graders_engine.errors import InvalidRequest, InvalidRow
from graders_engine.language import strict_json
from graders_engine.language.kinds import plain
from graders_engine.outcome import RowOutcome
from graders_engine.outputs.forms import output_of
from graders_engine.outputs.rows import item_beside
from graders_engine.outputs.texts import opened
from graders_engine.outputs.unreadable import Unreadable

SAMPLES_IN = ("samples", "model_samples", "model_sample", "sample")
"""The keys of a row that may hold a list of samples."""
_PLURAL = ("samples", "model_samples")
_OTHER_SAMPLES = frozenset(SAMPLES_IN) - {"model_sample"}
_LISTS = (list, tuple)


def key_of_several(row: Mapping[str, Any]) -> str:
    """The key of a row that holds a list of samples, or is there for one; empty for a row of one sample."""
    # Most rows have none of these.
    if "samples" in row:
        return "samples"
    if "model_samples" in row:
        return "model_samples"
    if type(row.get("model_sample")) in _LISTS:
        return "model_sample"
    return "sample" if type(row.get("sample")) in _LISTS else ""


def item_and_samples(raw: Mapping[str, Any]) -> tuple[Any, Any]:
    """The item of a row, and the value of the key that holds its sample or samples.

    Raises:
        InvalidRow: no key does, or several do.
    """
    given = [key for key in SAMPLES_IN if raw.get(key) is not None]
    if len(given) != 1:
        what = f"has both `{given[0]}` and `{given[1]}`" if given else "has no samples"
        raise InvalidRow(f"The row {what} ({keys_of(raw)}).")
    output = _list_in(raw[given[0]]) if given[0] in _PLURAL else raw[given[0]]
    output = opened(output, sample=given[0] == "sample")
    return item_beside(raw, SAMPLES_IN), output


def _list_in(value: Any) -> Any:
    """The list of a text that is the JSON of one, as in cells of tables; any other value as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        found = strict_json.decode(value)
    except ValueError:
        return value
    return found if isinstance(found, list) else value


def rows_to_grade(item: Any, output: Any) -> list[Any]:
    """A row to grade for each of an item's outputs, in a form that `output_of` returns; None is no output.

    Raises:
        InvalidRow: it is an empty list.
    """
    if output == []:
        raise InvalidRow("The list of samples is empty: there is nothing to grade.")
    if output is None:
        return [{"item": item}]
    return [
        one
        if isinstance(one, Unreadable)
        else {"item": item, "model_sample" if isinstance(one, str) else "sample": one}
        for one in (output if isinstance(output, list) else [output])
    ]


def keys_of(raw: Mapping[str, Any], whose: str = "its") -> str:
    """The keys of a row, for messages."""
    return f"{whose} keys: " + (", ".join(map(str, raw)) or "none")


class SplitRows(Iterable[Any]):
    """Rows of which those with a list of samples are replaced by a row for each sample.

    Args:
        rows: the rows.
        sample_field: for flat rows, the field with the output or the list of them.

    Attributes:
        none_split: whether no row was replaced so far; `place` then returns the outcome that it is given.

    Raises:
        InvalidRequest: `rows` is a text, a path, a single row, or cannot be iterated over.
    """

    def __init__(self, rows: Iterable[Any], sample_field: str | None) -> None:
        self._rows, self._field = _require_rows(rows), sample_field
        self.none_split = True
        self._first: int | None = None
        self._places: deque[tuple[int, int | None]] = deque()

    def __iter__(self) -> Iterator[Any]:
        """The rows to grade."""
        split = self._split
        keyed = self._field is None
        for index, row in enumerate(self._rows):
            if (
                keyed
                and type(row) is dict
                and type(row.get("model_sample")) is str
                and _OTHER_SAMPLES.isdisjoint(row)
            ):
                samples = None  # most rows
            else:
                samples = split(row)
            if samples is None:
                if self._first is not None:
                    self._places.append((index, None))
                yield row
                continue
            if self._first is None:
                self._first, self.none_split = index, False
            for number, one in samples:
                self._places.append((index, number))
                yield one

    def place(self, outcome: RowOutcome) -> RowOutcome:
        """The outcome of the next row to grade, with its place among the rows that were given."""
        if self._first is None or outcome.index < self._first:
            return outcome
        index, sample = self._places.popleft()
        return msgspec.structs.replace(outcome, index=index, sample=sample)

    def _split(self, row: Any) -> list[tuple[int | None, Any]] | None:
        """The numbers and rows of a row with a list of samples; None for other rows."""
        if type(row) is not dict and not isinstance(row, Mapping):
            return None
        field = self._field
        if not (key_of_several(row) if field is None else type(row.get(field)) in _LISTS):
            return None
        try:
            item, output = (None, row[field]) if field is not None else item_and_samples(row)
            output = output_of(plain(output))
            rows = rows_to_grade(item, output)
        except InvalidRow as error:
            return [(None, Unreadable.by(error))]
        if field is not None:
            outputs = output if isinstance(output, list) else [output]
            rows = [one if isinstance(one, Unreadable) else {**row, field: one} for one in outputs]
        return list(enumerate(rows, 1)) if isinstance(output, list) else [(None, rows[0])]


def held(rows: Iterable[Any]) -> bool:
    """Whether all rows are there, so that to take one early changes nothing."""
    return isinstance(rows._rows if isinstance(rows, SplitRows) else rows, _LISTS)


def _require_rows(rows: Iterable[Any]) -> Iterable[Any]:
    if isinstance(rows, (str, bytes, bytearray, PathLike, IOBase)):
        raise InvalidRequest(
            "`rows` must be rows, but this is a text, a path or an open file, which is not read here: pass "
            "`map(json.loads, open(path))`, or use `graders score` on the command line."
        )
    if isinstance(rows, Mapping):
        raise InvalidRequest("`rows` must be rows, but this is one object: pass `[row]`.")
    if hasattr(rows, "columns"):  # of pandas, pyarrow and polars
        raise InvalidRequest(
            "`rows` must be rows, but this is a table, which gives its columns: pass "
            "`table.to_dict('records')`, `table.to_pylist()` or `table.to_dicts()`."
        )
    if not hasattr(rows, "__iter__") and not hasattr(rows, "__getitem__"):
        asynchronous = hasattr(rows, "__aiter__")
        what = "an asynchronous iterator" if asynchronous else f"of type {type(rows).__name__}"
        raise InvalidRequest(
            f"`rows` must be rows, but this is {what}: pass a list, or any other iterable, of them."
        )
    return rows
