"""Results files and data sets for tests of what reads them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from graders_engine.dataset.results.line import ResultLine, encode_results
from graders_engine.errors import NO_ROW
from graders_engine.outcome import SERVED
from graders_engine.view.opened import OpenRun

REWARDS = (0.0, 1.0, 0.5, 0.1 + 0.2, 0.3, 0.9, 0.8999999999999999, -2.5, 1e-12, 7.25)
"""Some that differ by rounding alone are among them."""
OUTCOMES = ("scored", "sample", "grader", "row", "judge", "infrastructure")


@st.composite
def results(draw: st.DrawFn) -> list[ResultLine]:
    """Lines of a results file: several samples of a prompt, all blames, ties, parts that some rows lack."""
    rewards = st.sampled_from(REWARDS) if draw(st.booleans()) else st.floats(-10, 10)
    grouped = draw(st.booleans())
    found: list[ResultLine] = []
    for line in draw(st.lists(st.integers(1, 40), unique=True, max_size=25)):
        count = draw(st.integers(0, 3)) if grouped else 0
        for sample in range(1, count + 1) if count else (0,):
            outcome = draw(st.sampled_from(OUTCOMES))
            scored, served = outcome == "scored", draw(rewards)
            flags = draw(st.sampled_from(({"other_error": NO_ROW}, {"other_error": "x", "b": ""})))
            parts = draw(st.dictionaries(st.sampled_from("abc"), st.none() | rewards, max_size=3))
            found.append(
                ResultLine(
                    line,
                    served if scored else None,
                    "scored" if scored else "failed" if outcome == "infrastructure" else "invalid",
                    parts,
                    {} if scored else flags,
                    draw(st.sampled_from((0.0, 0.25, 3.0))),
                    None if scored else outcome,  # type: ignore[arg-type] # one of the blames
                    served if outcome in SERVED else None,
                    sample,
                    draw(st.sampled_from((None, "p", "q", str(line)))) if grouped else None,
                )
            )
    return found


def write_run(folder: Path, lines: Sequence[ResultLine], **meta: Any) -> Path:
    """A results file, with what gave it if that is named."""
    path = folder / "results.jsonl"
    path.write_bytes(encode_results(lines))
    (folder / "results.jsonl.meta.json").write_text(json.dumps(meta), encoding="utf-8")
    return path


def write_data(folder: Path, rows: Sequence[Any], name: str = "data.jsonl") -> Path:
    """A data set of these rows."""
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def opened(run: OpenRun) -> OpenRun:
    """The run, when it is ready."""
    while run.ready():
        time.sleep(0.01)
    return run
