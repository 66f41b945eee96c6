"""Reads the user's samples, finds the rows that they belong to, and grades them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from graders_engine.compiled import Unreadable
from graders_engine.dataset.results.data import open_data_of
from graders_engine.dataset.results.line import ResultLine, lines_of, results_in
from graders_engine.dataset.results.meta import read_meta
from graders_engine.dataset.rows.read import DataSet, open_data
from graders_engine.dataset.rows.records import RowRef
from graders_engine.engine import AsyncEngine
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.outcome import RowOutcome
from graders_engine.preflight.data_file import TrainingRow
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
    found = _Rows(inputs)
    places = [found.of(ref) for ref in refs]
    kept = [
        (ref, row, prompt)
        for ref, (row, prompt) in zip(refs, places, strict=True)
        if row or not found.files
    ]
    if results is not None:
        graded = [results.get((ref.line, ref.sample)) for ref, _, _ in kept]
        inputs.samples = [
            _sample(*place, outcome)
            for place, outcome in zip(kept, graded, strict=True)
            if outcome is not None
        ]
        return
    facts = inputs.grader
    if facts is None:
        return
    samples: list[GradedSample] = []
    compiled = engine.compile(facts.compiled.given)
    async for outcome in engine.score_single(compiled, [ref.row for ref, _, _ in kept]):
        samples.append(_sample(*kept[len(samples)], outcome))
    inputs.samples = samples


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


def _sample(ref: RowRef, row: int, prompt: str, outcome: RowOutcome | ResultLine) -> GradedSample:
    return GradedSample(
        ref.line,
        ref.sample,
        item_of(ref.row),
        output_of(ref.row),
        outcome.counted,
        outcome.blame,
        outcome.flags,
        outcome.sub_rewards,
        row,
        prompt,
    )


def output_of(row: Any) -> Sample:
    """The model's output of a row to grade; empty for a row that cannot be read."""
    if not isinstance(row, Mapping):
        return ""
    text, sample = row.get("model_sample"), row.get("sample")
    return text if isinstance(text, str) else sample if isinstance(sample, dict) else ""
