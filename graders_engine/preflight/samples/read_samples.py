"""Reads the user's samples and finds the rows that they belong to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from graders_engine.compiled import Unreadable
from graders_engine.dataset.results.data import open_data_of
from graders_engine.dataset.results.line import ResultLine, lines_of, results_in
from graders_engine.dataset.results.meta import read_meta
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.read import DataSet, open_data
from graders_engine.dataset.rows.records import RowRef
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.files.read_fields import MISSING, Field, fields_read
from graders_engine.preflight.inputs import GivenSample, GradedSample, Inputs
from graders_engine.preflight.references import Sample
from graders_engine.preflight.samples.samples_unmatched import MOST_SAMPLES, RowIndex
from graders_engine.urls import Location


def read_samples(inputs: Inputs, path: Location) -> None:
    """Put the samples of a file into the inputs, with their rows; why it cannot be read stands there, too.

    Those of a run of this very grader have their rewards, too.
    """
    try:
        results = _results_of(inputs, path) if isinstance(path, Path) else None
        data = (
            open_data_of(read_meta(path), results=path)
            if results is not None and isinstance(path, Path)
            else open_data(path)
        )
        refs = list(_refs(data))
    except (DataSetError, InvalidRequest) as error:
        inputs.samples_fault = str(error)
        return
    inputs.samples_read = len(refs)
    inputs.samples_unreadable = [
        (ref.line, ref.row.reason) for ref in refs if isinstance(ref.row, Unreadable)
    ]
    found = _Rows(inputs)
    own, lost = list[GivenSample](), list[int]()
    for ref in refs:
        if (given := found.sample_of(ref)) is not None:
            own.append(given)
        elif not isinstance(ref.row, Unreadable):
            lost.append(ref.line)
    inputs.samples_lost = lost
    inputs.given = _with_the_rows_items(inputs, own)
    if results is not None and inputs.given == own:
        inputs.samples = [
            GradedSample.of(given, result)
            for given in inputs.given
            if (result := results.get((given.line, given.number))) is not None
        ]


def _with_the_rows_items(inputs: Inputs, own: Sequence[GivenSample]) -> list[GivenSample]:
    """The samples, each with its row's item where the grader would read something else in its own."""
    fields = fields_read(inputs.grader)
    given = list(own)
    for file in inputs.files:
        places: dict[int, list[int]] = {}
        for at, one in enumerate(own):
            if one.prompt == f"{file.role}:{one.row}":
                places.setdefault(one.row, []).append(at)
        for ref in open_records(file.path).read() if places and not file.fault else ():
            item = TrainingRow(ref.line, ref.row).item if ref.line in places else None
            for at in places.get(ref.line, ()):
                given[at] = _with_item(own[at], item, fields)
    return given


def _with_item(one: GivenSample, item: Any, fields: Mapping[str, Field]) -> GivenSample:
    values = {name: (field(one.item), field(item)) for name, field in fields.items()}
    differing = {name: pair for name, pair in values.items() if pair[0] != pair[1]}
    if not differing:
        return one
    sample = {key: one.source[key] for key in ("model_sample", "sample") if key in one.source}
    other = [name for name, pair in differing.items() if not any(part is MISSING for part in pair)]
    return dataclasses.replace(one, item=item, source={"item": item, **sample}, other=tuple(other))


def _results_of(inputs: Inputs, path: Path) -> dict[tuple[int, int], ResultLine] | None:
    """The results of a run of this very grader, by line and number; None if the file holds no such."""
    try:
        meta = read_meta(path)
    except (DataSetError, InvalidRequest):
        return None
    if not meta or inputs.grader is None or meta.get("grader") != inputs.grader.compiled.masked:
        return None
    return {(result.line, result.sample): result for _, result in results_in(lines_of(path))}


def _refs(data: DataSet) -> Iterator[RowRef]:
    """The rows to grade, one a sample."""
    count = 0
    for raw in data.records.read():
        plain = data.shape.plain or isinstance(raw.row, Unreadable)
        for ref in (raw,) if plain else data.shape.split(raw):
            yield ref
            count += 1
            if count >= MOST_SAMPLES:
                return


class _Rows:
    """Finds the row of a sample: by its item's `id`, else by its messages."""

    def __init__(self, inputs: Inputs) -> None:
        self.files = [file for file in inputs.files if not file.fault]
        self._indexes = [(file.role, file.collected(RowIndex)) for file in self.files]

    def sample_of(self, ref: RowRef) -> GivenSample | None:
        """A sample with its row; None if it belongs to none of the files."""
        if not isinstance(ref.row, Mapping):
            return None
        item = item_of(ref.row)
        row = TrainingRow(ref.line, item)
        found = ((role, index.find(row)) for role, index in self._indexes)
        role, line = next(((role, line) for role, line in found if line), ("", 0))
        if self.files and not line:
            return None
        own = row.prompt_key
        prompt = f"{role}:{line}" if line else str(own) if own else ref.group or str(ref.line)
        return GivenSample(ref.line, ref.sample, ref.row, item, output_of(ref.row), line, prompt)


def item_of(row: Any) -> Any:
    """The item of a row to grade."""
    if not isinstance(row, Mapping):
        return {}
    if row.get("item") is not None:
        return row["item"]
    return {key: part for key, part in row.items() if key not in ("model_sample", "sample")}


def output_of(row: Any) -> Sample:
    """The model's output of a row to grade; empty for a row that cannot be read."""
    if not isinstance(row, Mapping):
        return ""
    text, sample = row.get("model_sample"), row.get("sample")
    return text if isinstance(text, str) else sample if isinstance(sample, dict) else ""
