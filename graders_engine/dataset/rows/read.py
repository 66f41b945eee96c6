"""A data set as a run needs it: its rows, their shape, and what it is known again by."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, Unpack

from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.join import joined
from graders_engine.dataset.rows.records import Records
from graders_engine.dataset.rows.shapes import Shape, detect, shape_named
from graders_engine.dataset.rows.source import HEAD_BYTES, STDIN, unreadable_disk
from graders_engine.errors import InvalidRequest


class DataSet(NamedTuple):
    """A data set that was opened.

    Attributes:
        records: its raw rows.
        shape: how to take a raw row apart.
        identity: JSON values that are others for another data set, but for `path`, which says where
            it was; whether its rows are the same, the index tells.
    """

    records: Records
    shape: Shape
    identity: dict[str, Any]


class Reading(TypedDict, total=False):
    """How to read a data set; what is left out, or None, is found out.

    Attributes:
        form: as for `formats.open_records`.
        shape: one of `shapes.NAMES`.
        sample_field: the field with the model's output, of flat rows or of the outputs.
        outputs: a file with the outputs of the rows.
        join_on: as for `join.joined`.
    """

    form: str | None
    shape: str | None
    sample_field: str | None
    outputs: Path | str | None
    join_on: str | None


def open_data(data: Path | str | Records, **reading: Unpack[Reading]) -> DataSet:
    """Open a data set, with the model outputs of another file if there are any.

    Args:
        data: a file, "-" for standard input, or records that are open already.
        reading: how to read it.

    Raises:
        InvalidRequest: the ways do not go together, or the rows have no shape that is known.
        DataSetError: a file cannot be read.
    """
    shape, sample_field = reading.get("shape"), reading.get("sample_field")
    outputs, join_on = reading.get("outputs"), reading.get("join_on")
    records = data if isinstance(data, Records) else open_records(data, reading.get("form"))
    identity = _identity(records)
    if outputs is None:
        if join_on is not None:
            raise InvalidRequest("--join-on needs --outputs: the file to join the rows with.")
        found = (
            detect(records.head(), sample_field)
            if shape is None
            else shape_named(shape, sample_field)
        )
        return DataSet(records, found, identity)
    if shape is not None:
        raise InvalidRequest("--shape says where a row's outputs are, but here --outputs has them.")
    other = open_records(outputs)
    both = joined(records, other, join_on, sample_field)
    return DataSet(both, both.shape, {**identity, "outputs": _identity(other), "join_on": join_on})


def _identity(records: Records) -> dict[str, Any]:
    path = records.path if records.path == STDIN else records.path.absolute()
    identity = {"path": str(path), "form": records.form, "size": records.size}
    if records.path.is_file():
        with unreadable_disk(records.path), records.path.open("rb") as file:
            identity["head"] = hashlib.sha256(file.read(HEAD_BYTES)).hexdigest()[:32]
    return identity
