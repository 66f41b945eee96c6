"""Rows of one file joined with model outputs of another, in step or by an id."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import zip_longest
from typing import IO, Any

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.lines import BYTE_ORDER_MARK
from graders_engine.dataset.rows.outputs import output_of
from graders_engine.dataset.rows.records import Record, Records
from graders_engine.dataset.rows.shapes import SAMPLES
from graders_engine.dataset.rows.source import STDIN, unreadable_disk
from graders_engine.errors import InvalidRequest, InvalidRow
from graders_engine.language import strict_json
from graders_engine.language.scope import kind_of

Place = tuple[int, int]
"""Offset and length of an output's JSON text in a file."""


def joined(
    rows: Records, outputs: Records, on: str | None = None, field: str | None = None
) -> Joined:
    """Rows with their outputs, as rows of the shape `samples`.

    The item is the row's `item` if it has one, else the whole row. An output is anything that
    `outputs.output_of` knows.

    Args:
        rows: the items; reinforcement fine-tuning rows, for one.
        outputs: what models made of them.
        on: None joins the first row with the first output, and so on. A key joins a row with all outputs
            that have the same value there, several being several samples; "KEY=OTHER" names another key
            for the outputs. Values are compared as text, so that 7 is "7". The ids of all outputs are
            held in memory; the outputs are not.
        field: the field of an output with the model's text, where `outputs.output_of` does not know it.

    Raises:
        InvalidRequest: both are standard input.
    """
    if rows.path == outputs.path == STDIN:
        raise InvalidRequest("Rows and outputs cannot both come from standard input.")
    return Joined(rows, outputs, on, field)


class Joined(Records):
    """What `joined` gives; its positions and numbers are those of the rows.

    A row without an output, and one whose id an earlier row had, is unreadable, as is one more at the
    end that counts the outputs without a row, if there are any.

    Attributes:
        shape: that of the rows it gives.
        rows: the items' side.
        outputs: the outputs' side.
        on: what joins them.
        field: of an output, with the model's text.
    """

    shape = SAMPLES

    def __init__(self, rows: Records, outputs: Records, on: str | None, field: str | None) -> None:
        self.path, self.form, self.size = rows.path, rows.form, rows.size
        self.once = rows.once or outputs.once
        self.rows, self.outputs, self.on, self.field = rows, outputs, on, field

    def _rows(self, after_line: int) -> Iterator[Record]:
        pairs = self._in_step() if self.on is None else self._by_id(*_keys(self.on))
        return (record for record in pairs if record[0] > after_line)

    def _in_step(self) -> Iterator[Record]:
        number = at = without_row = 0
        for record, output in zip_longest(self.rows.read(), self.outputs.read()):
            if record is None:
                without_row += 1
                continue
            number, at, row = record
            if output is None:
                reason = f"There is no output for this row: {self.outputs.path} has fewer."
                yield number, at, row if isinstance(row, Unreadable) else Unreadable(reason)
            else:
                yield number, at, self._pair(row, [output[2]])
        if without_row:
            reason = f"{self.outputs.path} has {without_row} outputs more than there are rows."
            yield number + 1, at, Unreadable(reason)

    def _by_id(self, key: str, output_key: str) -> Iterator[Record]:
        number = at = 0
        with _index(self.outputs, output_key) as index:
            for number, at, row in self.rows.read():
                yield number, at, self._with_outputs(row, key, index)
            if reason := index.without_row():
                yield (
                    number + 1,
                    at,
                    Unreadable(f"Of the outputs in {self.outputs.path}, {reason}."),
                )

    def _with_outputs(self, row: Any, key: str, index: _Index) -> Any:
        if isinstance(row, Unreadable):
            return row
        try:
            found = index.take(_id_of(row, key))
        except InvalidRow as error:
            return Unreadable(str(error))
        return self._pair(row, found)

    def _pair(self, row: Any, outputs: list[Any]) -> Any:
        """One row of the shape `samples`, all of it JSON values."""
        if isinstance(row, Unreadable):
            return row
        if not isinstance(row, Mapping):
            return Unreadable(f"A row must be an object, but this is {kind_of(row)}.")
        samples = [self._output(one) for one in outputs]
        if len(samples) == 1:
            (samples,) = samples
        if isinstance(samples, Unreadable):
            return samples
        if isinstance(samples, list):
            # The shape makes an `Unreadable` of each of these again.
            samples = [
                {"error": one.reason} if isinstance(one, Unreadable) else one
                for one in output_of(samples)
            ]
        own_id = {"id": row["id"]} if row.get("id") is not None else {}
        return {**own_id, "item": row.get("item", row), "samples": samples}

    def _output(self, output: Any) -> Any:
        if isinstance(output, Unreadable):
            return Unreadable(f"Of the output: {output.reason}")
        if self.field is not None:
            if not isinstance(output, Mapping) or self.field not in output:
                return Unreadable(f"The output has no field `{self.field}`.")
            output = output[self.field]
        try:
            return output_of(output)
        except InvalidRow as error:
            return Unreadable(str(error))


def _keys(on: str) -> tuple[str, str]:
    key, _, other = on.partition("=")
    return key, other or key


def _id_of(value: Any, key: str) -> str:
    found = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(found, (str, int)):
        return str(found)
    if not isinstance(value, Mapping):
        raise InvalidRow(f"It is {kind_of(value)} and has no `{key}` to join on.")
    what = f"is {kind_of(found)}" if key in value else "is missing"
    raise InvalidRow(f"The key `{key}` to join on {what} (its keys: {', '.join(map(str, value))}).")


class _Index:
    """Where the outputs of each id stand.

    Args:
        file: holds their JSON texts.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[str, Place | list[Place] | None] = {}
        self._unusable = 0
        self._first_unusable = ""

    def add(self, own_id: str, place: Place) -> None:
        """One output more; ids mostly have one, which then costs no list."""
        known = self._places.get(own_id)
        if known is None:
            self._places[own_id] = place
        elif isinstance(known, list):
            known.append(place)
        else:
            self._places[own_id] = [known, place]

    def add_unusable(self, reason: str) -> None:
        """Count an output that has no id."""
        self._unusable += 1
        self._first_unusable = self._first_unusable or reason

    def take(self, own_id: str) -> list[Any]:
        """The outputs of an id, which no other row gets.

        Raises:
            InvalidRow: there is none.
        """
        if own_id not in self._places:
            raise InvalidRow(f"No output has the id '{own_id}'.")
        places = self._places[own_id]
        if places is None:
            raise InvalidRow(f"An earlier row has the id '{own_id}' already.")
        self._places[own_id] = None
        return [self._read(*place) for place in (places if isinstance(places, list) else [places])]

    def _read(self, offset: int, length: int) -> Any:
        self._file.seek(offset)
        text = self._file.read(length)
        return strict_json.decode(text.removeprefix(BYTE_ORDER_MARK))

    def without_row(self) -> str:
        """A sentence about the outputs that no row took; empty where there are none."""
        left = [own_id for own_id, places in self._places.items() if places]
        parts = []
        if left:
            parts.append(f"no row has {len(left)} of the ids, the first is '{left[0]}'")
        if self._unusable:
            parts.append(f"{self._unusable} cannot be joined, {self._first_unusable}")
        return "; ".join(parts)


@contextmanager
def _index(outputs: Records, key: str) -> Iterator[_Index]:
    """The index of a file of outputs; those that are not plain JSONL are copied to a temporary file."""
    with (
        unreadable_disk(outputs.path),
        outputs.path.open("rb") if outputs.splittable else tempfile.TemporaryFile() as file,
    ):
        index = _Index(file)
        before = 0
        for number, at, output in outputs.read():
            start, before = before, at
            try:
                if isinstance(output, Unreadable):
                    raise InvalidRow(output.reason)
                own_id = _id_of(output, key)
                if not outputs.splittable:
                    start = file.tell()
                    file.write(strict_json.encode(output))
                    at = file.tell()
            except (InvalidRow, ValueError) as error:
                index.add_unusable(f"the first on line {number}: {error}")
            else:
                index.add(own_id, (start, at - start))
        yield index
