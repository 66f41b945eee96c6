"""Open a data set: its rows, their shape, and values that identify it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, Unpack

from graders_engine.dataset.rows.documents import require_rows, rows_within, wrapped
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.identity import GroupedShape, RowPath, require_path
from graders_engine.dataset.rows.join import join_records
from graders_engine.dataset.rows.join_key import find_join_key
from graders_engine.dataset.rows.join_shared import answers_of
from graders_engine.dataset.rows.records import Records
from graders_engine.dataset.rows.shapes import (
    Shape,
    all_unknown,
    detect,
    require_field,
    require_known_forms,
    shape_named,
)
from graders_engine.errors import InvalidRequest, InvalidRow, UnknownForm
from graders_engine.files import STDIN
from graders_engine.outputs.forms import output_of
from graders_engine.outputs.several import SAMPLES_IN
from graders_engine.outputs.unreadable import Unreadable
from graders_engine.urls import Location


class DataSet(NamedTuple):
    """An open data set.

    Attributes:
        records: its raw rows.
        shape: how the rows to grade are taken out of a raw row.
        sample_field: as in `ReadOptions`.
        group_by: as in `ReadOptions`.
        identity: JSON values that identify the data set; `path` is informative only. Whether every row
            is the same, the index of the results tells.
    """

    records: Records
    shape: Shape
    sample_field: str | None
    identity: dict[str, Any]
    group_by: str | None = None


class ReadOptions(TypedDict, total=False):
    """How to read a data set; what is missing or None is detected.

    Attributes:
        form: as for `formats.open_records`.
        shape: one of `shapes.NAMES`.
        sample_field: the field with the model's output, of flat rows or of the outputs.
        outputs: a file with the outputs for the rows.
        join_on: as for `join.join_records`.
        group_by: the path to the name of a row's group, as for `identity.RowPath`.
        outputs_needed: whether rows without a model output are refused; if not, each is an item.
        items_alone: as for `shapes.detect`.
    """

    form: str | None
    shape: str | None
    sample_field: str | None
    outputs: Location | str | None
    join_on: str | None
    group_by: str | None
    outputs_needed: bool
    items_alone: bool


def open_data(data: Location | str | Records, **reading: Unpack[ReadOptions]) -> DataSet:
    """Open a data set, joined with the model outputs of another file if one is given.

    Args:
        data: a file, a URL, "-" for standard input, or records that are already open.
        reading: how to read it.

    Raises:
        InvalidRequest: the options contradict each other, the shape of the rows is unknown, none of the first
            rows has the field with the output, or no row has a value at the path of its group.
        DataSetError: a file cannot be read.
    """
    group_by = reading.get("group_by")
    path = None if group_by is None else RowPath(group_by)
    data_set = _open(data, reading)
    if path is None:
        return data_set
    require_path(path, data_set.records, data_set.shape)
    return data_set._replace(shape=GroupedShape(data_set.shape, path), group_by=path.text)


def _open(data: Location | str | Records, reading: ReadOptions) -> DataSet:
    shape, sample_field = reading.get("shape"), reading.get("sample_field")
    outputs, join_on = reading.get("outputs"), reading.get("join_on")
    records = data if isinstance(data, Records) else open_records(data, reading.get("form"))
    identity = _identify(records)
    if outputs is None:
        if join_on is not None:
            raise InvalidRequest("--join-on needs --outputs: the file to join the rows with.")
        needed = reading.get("outputs_needed", True)
        with _documents_named(records):
            rows_shape = _shape_of(records, reading)
        if needed:
            records.output_keys = SAMPLES_IN if sample_field is None else (sample_field,)
        return DataSet(records, rows_shape, sample_field, identity)
    if shape is not None:
        raise InvalidRequest("--shape says where the outputs are in a row, but --outputs has them.")
    other = open_records(outputs)
    with _documents_named(other):
        if sample_field is not None:
            objects = [raw for raw in other.head() if isinstance(raw, Mapping)]
            require_field(objects, sample_field, "")
        _require_known_outputs(other, sample_field)
    other.output_keys = _output_keys(other, sample_field)
    found = find_join_key(records, other, sample_field) if join_on is None else None
    both = join_records(records, other, join_on, sample_field, found)
    identity = {**identity, "outputs": _identify(other), "join_on": join_on}
    return DataSet(both, both.shape, sample_field, identity)


def _shape_of(records: Records, reading: ReadOptions) -> Shape:
    head, field = records.head(), reading.get("sample_field")
    needed, shape = reading.get("outputs_needed", True), reading.get("shape")
    if needed:
        require_rows(head, records.path, field)
    found = (
        detect(
            head,
            field,
            outputs_needed=needed,
            items_alone=reading.get("items_alone", False),
        )
        if shape is None
        else shape_named(shape, field)
    )
    if needed:
        require_known_forms(head, found)
    return found


@contextmanager
def _documents_named(records: Records) -> Iterator[None]:
    """Where the data is refused within it and is a document with the rows inside, say so."""
    try:
        yield
    except InvalidRequest:
        if within := rows_within(records.head()):
            raise InvalidRequest(wrapped(records.path, within)) from None
        raise


def _output_keys(outputs: Records, field: str | None) -> Collection[str]:
    if field is not None:
        return (field,)
    objects = (raw for raw in outputs.head() if isinstance(raw, Mapping))
    return {key for raw in objects for key in answers_of(raw)}


def _require_known_outputs(outputs: Records, field: str | None) -> None:
    """Check that not every one of the first outputs is in an unknown form."""
    first = [raw for raw in outputs.head() if not isinstance(raw, Unreadable)]
    reason = ""
    for raw in first:
        try:
            output_of(raw if field is None else raw[field])
            return
        except UnknownForm as error:
            reason = reason or str(error)
        except (InvalidRow, LookupError, TypeError):
            return
    if first:
        raise InvalidRequest(all_unknown(len(first), "output", reason))


def _identify(records: Records) -> dict[str, Any]:
    path = records.path
    if isinstance(path, Path) and path != STDIN:
        path = path.absolute()
    identity = {"path": str(path), "form": records.form, "size": records.size}
    return {**identity, "head": records.head_digest} if records.head_digest else identity
