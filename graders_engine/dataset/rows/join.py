"""Rows of one file joined with the model outputs of another, by position or by a key."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice, zip_longest
from typing import IO, Any

from graders_engine.dataset.rows.join_key import CUSTOM_ID, JoinKey
from graders_engine.dataset.rows.join_shared import value_at
from graders_engine.dataset.rows.lines import BYTE_ORDER_MARK
from graders_engine.dataset.rows.records import Records, RepeatedKey, RowRef
from graders_engine.dataset.rows.shapes import SAMPLES
from graders_engine.dataset.rows.source import unreadable_disk
from graders_engine.errors import NO_ROW, InvalidRequest, InvalidRow
from graders_engine.files import STDIN
from graders_engine.language import strict_json
from graders_engine.language.scope import kind_of
from graders_engine.outputs.forms import output_of
from graders_engine.outputs.unreadable import Unreadable
from graders_engine.urls import Location

_SEVERAL = (
    f"Several different outputs have the `{CUSTOM_ID}` of this row. If they are samples of one prompt, pass "
    f"--join-on {CUSTOM_ID}."
)
_MAX_SPELLED = 10_000
"""How many ids are compared with one that is nowhere."""
_Span = tuple[int, int]
"""Offset and length of an output's JSON text in a file."""


def join_records(
    rows: Records,
    outputs: Records,
    on: str | None = None,
    field: str | None = None,
    found: JoinKey | None = None,
) -> JoinedRecords:
    """Join rows with their outputs, as rows of the shape `samples`.

    The item is the row's `item` if it has one, else the whole row. An output may have any form that
    `outputs.output_of` knows.

    Args:
        rows: the items, such as the rows of reinforcement fine-tuning.
        outputs: the model's outputs.
        on: None joins the first row with the first output, and so on. A key joins a row with all outputs
            that have the same value for it; several outputs are several samples. "KEY=OTHER" names
            another key for the outputs. Values are compared as text: 7 equals "7". The keys of all
            outputs are held in memory, the outputs are not.
        field: the field of an output that has the model's text, for forms unknown to
            `outputs.output_of`.
        found: a key that nobody named: of several outputs for a row, only one may be readable.

    Raises:
        InvalidRequest: both are standard input.
    """
    if rows.path == outputs.path == STDIN:
        raise InvalidRequest("Rows and outputs cannot both come from standard input.")
    return JoinedRecords(rows, outputs, on, field, found or JoinKey())


class JoinedRecords(Records):
    """Rows joined with outputs; line numbers and positions are those of the rows.

    A row is unreadable if it has no output, or if an earlier row has the same key. If there are outputs
    without a row, an unreadable row at the end counts them.

    Attributes:
        shape: of the joined rows.
        notes: what to say of how they are read and joined; complete when all rows were read.
    """

    shape = SAMPLES

    def __init__(
        self, rows: Records, outputs: Records, on: str | None, field: str | None, found: JoinKey
    ) -> None:
        self.path, self.file, self.form, self.size = rows.path, rows.file, rows.form, rows.size
        self.once = rows.once or outputs.once
        self.states = rows.states + outputs.states
        self._items, self._outputs, self._field = rows, outputs, field
        self._on, self._found = on or found.on or None, found
        self._repeated = 0

    @property
    def notes(self) -> Sequence[str]:  # noqa: D102 - described above
        notes = [self._found.note] if self._found.note else []
        if self._repeated:
            lines = "1 line" if self._repeated == 1 else f"{self._repeated:,} lines"
            notes = [
                f"{lines} of {self._outputs.path} repeated and left out: each line counts once"
            ]
        return [*notes, *self._items.notes, *self._outputs.notes]

    def repeated_keys(self, most: int | None, most_bytes: int) -> Iterator[RepeatedKey]:
        """As in `Records`, of the rows, and then of the outputs."""
        yield from self._items.repeated_keys(most, most_bytes)
        yield from self._outputs.repeated_keys(most, most_bytes)

    def rows(self) -> Iterator[RowRef]:
        """The joined rows from the first one."""
        if self._on is None:
            return self._join_by_position()
        key, _, output_key = self._on.partition("=")
        self._repeated = 0
        return self._join_by_key(key, output_key or key)

    def _join_by_position(self) -> Iterator[RowRef]:
        line = end = without_row = 0
        for ref, output in zip_longest(self._items.read(), self._outputs.read()):
            if ref is None:
                without_row += 1
                continue
            line, row, end = ref.line, ref.row, ref.end
            if output is not None:
                reason = self._found.mismatch(row, output.row)
                row = Unreadable(reason) if reason else self._pair(row, [output.row])
            elif not isinstance(row, Unreadable):
                row = Unreadable(
                    f"There is no output for this row: {self._outputs.path} has fewer."
                )
            yield RowRef(line, row, end)
        if without_row:
            more = "1 more output" if without_row == 1 else f"{without_row:,} more outputs"
            reason = f"{NO_ROW}{self._outputs.path} has {more} than there are rows."
            yield RowRef(line + 1, Unreadable(reason), end)

    def _join_by_key(self, key: str, output_key: str) -> Iterator[RowRef]:
        line = end = 0
        other_key = output_key != CUSTOM_ID and self._are_batch_lines()
        with _index_outputs(self._outputs, output_key) as index:
            index.require_ids(self._outputs.path)
            if other_key:
                index.hint = (
                    f" The outputs are lines of the Batch API, whose ids of requests are in `{CUSTOM_ID}`: "
                    f"pass --join-on {key}={CUSTOM_ID}."
                )
            for ref in self._items.read():
                line, end = ref.line, ref.end
                yield RowRef(line, self._with_outputs(ref.row, key, output_key, index), end)
            if reason := index.without_row():
                reason = f"{NO_ROW}of the outputs in {self._outputs.path}, {reason}."
                yield RowRef(line + 1, Unreadable(reason), end)

    def _are_batch_lines(self) -> bool:
        return any(isinstance(raw, Mapping) and CUSTOM_ID in raw for raw in self._outputs.head(1))

    def _with_outputs(self, row: Any, key: str, output_key: str, index: _OutputIndex) -> Any:
        if isinstance(row, Unreadable):
            return row
        try:
            found = index.take(_key_of(row, key))
        except InvalidRow as error:
            return Unreadable.by(error)
        if output_key == CUSTOM_ID and len(found) > 1:
            found = self._of_one_request(found, same_key=key == CUSTOM_ID)
            if not found:
                return Unreadable(_SEVERAL)
        return self._pair(row, found)

    def _of_one_request(self, lines: list[Any], *, same_key: bool) -> list[Any]:
        """The lines that count of those with one `custom_id`; none if nothing shows which one.

        A line may stand there twice, and a failed request may have been sent again. Of a key that the user
        named, several are several samples.

        Args:
            lines: at least two.
            same_key: whether the rows call the key alike, so that to name it says no more than that.
        """
        different = [line for n, line in enumerate(lines) if line not in lines[:n]]
        self._repeated += len(lines) - len(different)
        named = not self._found.on
        if len(different) == 1 or (named and same_key):
            return different
        usable = [one for one in different if not isinstance(self._sample(one), Unreadable)]
        if len(usable) > 1:
            return different if named else []
        return usable or different[:1]

    def _pair(self, row: Any, outputs: list[Any]) -> Any:
        """One row of the shape `samples`; an output that cannot be read is an `Unreadable` in its place."""
        if isinstance(row, Unreadable):
            return row
        if not isinstance(row, Mapping):
            return Unreadable(f"A row must be an object, but this is {kind_of(row)}.")
        samples = [self._sample(output) for output in outputs]
        if len(samples) == 1:
            (samples,) = samples
        if isinstance(samples, Unreadable):
            return samples
        if isinstance(samples, list):
            samples = output_of(samples)
        row_id = {"id": row["id"]} if row.get("id") is not None else {}
        item = row if row.get("item") is None else row["item"]
        return {**row_id, "item": item, "samples": samples}

    def _sample(self, output: Any) -> Any:
        if isinstance(output, Unreadable):
            return Unreadable(f"Of the output: {output.reason}")
        if self._field is not None:
            if not isinstance(output, Mapping) or self._field not in output:
                return Unreadable(f"The output has no field `{self._field}`.")
            output = output[self._field]
        try:
            return output_of(output)
        except InvalidRow as error:
            return Unreadable.by(error)


def _key_of(value: Any, key: str) -> str:
    found = value_at(value, key)
    if (
        isinstance(found, float) and found.is_integer()
    ):  # as tables write the numbers of a column with gaps
        found = int(found)
    if isinstance(found, (str, int)):
        return str(found)
    if not isinstance(value, Mapping):
        raise InvalidRow(f"It is {kind_of(value)} and has no `{key}` to join on.")
    what = "is missing" if found is None and key not in value else f"is {kind_of(found)}"
    raise InvalidRow(f"The key `{key}` to join on {what} (its keys: {', '.join(map(str, value))}).")


def _bare(name: str) -> str:
    """An id without what tables and programs change in it."""
    return name.strip().casefold().removesuffix(".0").lstrip("0")


class _OutputIndex:
    """Where the outputs of each id are.

    Args:
        file: holds their JSON texts.

    Attributes:
        hint: a sentence for rows without an output.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hint = ""
        self._spans: dict[str, _Span | list[_Span] | None] = {}
        self._spelled: dict[str, str] = {}
        self._unusable = 0
        self._first_unusable = ""

    def add(self, output_id: str, span: _Span) -> None:
        """Add one output; most ids have only one, so there is a list only for several."""
        known = self._spans.get(output_id)
        if known is None:
            self._spans[output_id] = span
        elif isinstance(known, list):
            known.append(span)
        else:
            self._spans[output_id] = [known, span]

    def add_unusable(self, reason: str) -> None:
        """Count an output without an id."""
        self._unusable += 1
        self._first_unusable = self._first_unusable or reason

    def take(self, row_id: str) -> list[Any]:
        """The outputs of an id; a second row with the id gets none.

        Raises:
            InvalidRow: there are none.
        """
        if row_id not in self._spans:
            also = f" {self._without_id()}." if self._unusable else ""
            raise InvalidRow(
                f"No output has the id '{row_id}'{self._alike(row_id)}.{also}{self.hint}"
            )
        spans = self._spans[row_id]
        if spans is None:
            raise InvalidRow(f"An earlier row has the id '{row_id}' already.")
        self._spans[row_id] = None
        return [self._read(*span) for span in (spans if isinstance(spans, list) else [spans])]

    def _alike(self, row_id: str) -> str:
        """That an output has the id in another spelling; empty if none has."""
        if not self._spelled:
            self._spelled = {_bare(one): one for one in islice(self._spans, _MAX_SPELLED)}
        other = self._spelled.get(_bare(row_id))
        return f", but one has '{other}': zeros, blanks or case differ" if other is not None else ""

    def _read(self, offset: int, length: int) -> Any:
        self._file.seek(offset)
        text = self._file.read(length)
        return strict_json.decode(text.removeprefix(BYTE_ORDER_MARK))

    def without_row(self) -> str:
        """A sentence about the outputs that belong to no row; empty if every output has its row."""
        left = [output_id for output_id, spans in self._spans.items() if spans]
        parts = []
        if left:
            ids = "the id" if len(left) == 1 else f"{len(left):,} of the ids, the first is"
            parts.append(f"no row has {ids} '{left[0]}'")
        if self._unusable:
            parts.append(self._without_id())
        return "; ".join(parts)

    def _without_id(self) -> str:
        outputs = "1 output" if self._unusable == 1 else f"{self._unusable:,} outputs"
        return f"{outputs} cannot be joined, {self._first_unusable.rstrip('.')}"

    def require_ids(self, path: Location) -> None:
        """Check that an output can be joined, if there are any.

        Raises:
            InvalidRequest: none can.
        """
        if self._unusable and not self._spans:
            raise InvalidRequest(
                f"None of the outputs in {path} can be joined: {self._without_id()}."
            )


@contextmanager
def _index_outputs(outputs: Records, key: str) -> Iterator[_OutputIndex]:
    """Index a file of outputs; those that are not plain JSONL are copied to a temporary file."""
    with (
        unreadable_disk(outputs.path),
        outputs.file.open("rb") if outputs.splittable else tempfile.TemporaryFile() as file,
    ):
        index = _OutputIndex(file)
        if key == CUSTOM_ID:
            index.hint = (
                " Failed requests of a batch are in its error file: add its lines to the outputs."
            )
        end = 0
        for ref in outputs.read():
            start, end = end, ref.end
            try:
                if isinstance(ref.row, Unreadable):
                    raise InvalidRow(ref.row.reason)
                output_id = _key_of(ref.row, key)
                if outputs.splittable:
                    index.add(output_id, (start, end - start))
                else:
                    text = strict_json.encode(ref.row)
                    index.add(output_id, (file.tell(), len(text)))
                    file.write(text)
            except (InvalidRow, ValueError) as error:
                index.add_unusable(f"the first on line {ref.line}: {error}")
        yield index
