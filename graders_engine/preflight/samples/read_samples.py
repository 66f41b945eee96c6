"""Reads the user's samples and grades them."""

from __future__ import annotations

from pathlib import Path

from graders_engine.dataset.rows.read import open_data
from graders_engine.engine import AsyncEngine
from graders_engine.preflight.inputs import GradedSample, Inputs


async def read_samples(engine: AsyncEngine, inputs: Inputs, path: Path) -> list[GradedSample]:
    """The samples of a file, graded, each with the row that it belongs to.

    Raises:
        DataSetError: the file cannot be read.
        InvalidRequest: the shape of its rows is unknown.
    """
    facts = inputs.grader
    if facts is None:
        return []
    data = open_data(path)
    refs = [ref for raw in data.records.read() for ref in data.shape.split(raw)]
    found: list[GradedSample] = []
    outcomes = engine.score_single(facts.compiled, [ref.row for ref in refs])
    async for outcome in outcomes:
        ref = refs[len(found)]
        row = ref.row if isinstance(ref.row, dict) else {}
        text = row.get("model_sample")
        found.append(
            GradedSample(
                ref.line, ref.sample, row.get("item"), text if isinstance(text, str) else "",
                row.get("sample"), outcome, 0, ref.group or str(ref.line),
            )
        )  # fmt: skip
    return found
