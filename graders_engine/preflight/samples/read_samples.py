"""Reads the user's samples, finds the rows that they belong to, and grades them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from graders_engine.compiled import Unreadable
from graders_engine.dataset.results.data import open_data_of
from graders_engine.dataset.results.line import ResultLine, lines_of, results_in
from graders_engine.dataset.results.meta import read_meta
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.read import DataSet, open_data
from graders_engine.dataset.rows.records import RowRef
from graders_engine.engine import AsyncEngine
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.outcome import RowOutcome
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.files.read_fields import MISSING, Field, fields_read
from graders_engine.preflight.inputs import GradedSample, Inputs
from graders_engine.preflight.references import Sample
from graders_engine.preflight.samples.samples_unmatched import MOST_SAMPLES, RowIndex


async def read_samples(engine: AsyncEngine, inputs: Inputs, path: Path) -> None:
    """Put the samples of a file into the inputs, graded; why it cannot be read stands there, too."""
    try:
        results = _results_of(inputs, path)
        data = open_data(path) if results is None else open_data_of(read_meta(path), results=path)
        refs = list(_refs(data))
    except (DataSetError, InvalidRequest) as error:
        inputs.samples_fault = str(error)
        return
    inputs.samples_read = len(refs)
    inputs.samples_unreadable = sum(isinstance(ref.row, Unreadable) for ref in refs)
    found = _Rows(inputs)
    places = [found.of(ref) for ref in refs]
    kept = [
        _Kept(ref, row, prompt)
        for ref, (row, prompt) in zip(refs, places, strict=True)
        if (row or not found.files) and not isinstance(ref.row, Unreadable)
    ]
    _take_the_rows_items(inputs, kept)
    outcomes: list[RowOutcome | ResultLine | None] = [None] * len(kept)
    if results is not None:
        outcomes = [results.get((one.ref.line, one.ref.sample)) for one in kept]
    left = [at for at, one in enumerate(kept) if results is None or one.changed]
    if left and inputs.grader is not None:
        compiled = engine.compile(inputs.grader.compiled.given)
        numbers = iter(left)
        async for outcome in engine.score_single(compiled, [kept[at].ref.row for at in left]):
            outcomes[next(numbers)] = outcome
    inputs.samples = [
        _sample(one, outcome)
        for one, outcome in zip(kept, outcomes, strict=True)
        if outcome is not None
    ]


@dataclass(slots=True)
class _Kept:
    """A sample that belongs to a row, or that no file has rows for.

    Attributes:
        ref: the row to grade.
        row: the line of its training or validation row; 0 for none.
        prompt: the prompt's name.
        changed: whether its item was replaced by its row's.
        other: the fields in which its own item had another value.
    """

    ref: RowRef
    row: int
    prompt: str
    changed: bool = False
    other: tuple[str, ...] = ()


def _take_the_rows_items(inputs: Inputs, kept: Sequence[_Kept]) -> None:
    """Give each sample its row's item where the grader would read something else in its own."""
    fields = fields_read(inputs.grader)
    for file in inputs.files:
        lines: dict[int, list[_Kept]] = {}
        for one in kept:
            if one.prompt == f"{file.role}:{one.row}":
                lines.setdefault(one.row, []).append(one)
        for ref in open_records(file.path).read() if lines and not file.fault else ():
            item = TrainingRow(ref.line, ref.row).item if ref.line in lines else None
            for one in lines.get(ref.line, ()):
                _take(one, item, fields)


def _take(one: _Kept, item: Any, fields: Mapping[str, Field]) -> None:
    own = item_of(one.ref.row)
    values = {name: (field(own), field(item)) for name, field in fields.items()}
    differing = {name: pair for name, pair in values.items() if pair[0] != pair[1]}
    if not differing or not isinstance(one.ref.row, Mapping):
        return
    sample = {key: one.ref.row[key] for key in ("model_sample", "sample") if key in one.ref.row}
    one.ref = msgspec.structs.replace(one.ref, row={"item": item, **sample})
    one.changed = True
    one.other = tuple(
        name for name, pair in differing.items() if not any(value is MISSING for value in pair)
    )


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

    def of(self, ref: RowRef) -> tuple[int, str]:
        """(line of the row, 0 for none; the prompt's name)."""
        item = item_of(ref.row)
        row = TrainingRow(ref.line, item)
        for role, index in self._indexes:
            if line := index.find(row):
                return line, f"{role}:{line}"
        own = row.prompt_key
        return 0, str(own) if own else ref.group or str(ref.line)


def item_of(row: Any) -> Any:
    """The item of a row to grade."""
    if not isinstance(row, Mapping):
        return {}
    if row.get("item") is not None:
        return row["item"]
    return {key: part for key, part in row.items() if key not in ("model_sample", "sample")}


def _sample(one: _Kept, outcome: RowOutcome | ResultLine) -> GradedSample:
    return GradedSample(
        one.ref.line,
        one.ref.sample,
        item_of(one.ref.row),
        output_of(one.ref.row),
        outcome.counted,
        outcome.blame,
        outcome.flags,
        outcome.sub_rewards,
        one.row,
        one.prompt,
        one.other,
    )


def output_of(row: Any) -> Sample:
    """The model's output of a row to grade; empty for a row that cannot be read."""
    if not isinstance(row, Mapping):
        return ""
    text, sample = row.get("model_sample"), row.get("sample")
    return text if isinstance(text, str) else sample if isinstance(sample, dict) else ""
