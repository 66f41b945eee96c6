"""A data set's file through an engine into a results file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from graders_engine.blocking import Engine
from graders_engine.dataset.read import JsonlRows
from graders_engine.dataset.results import ResultsFile, result_line
from graders_engine.dataset.tally import Tally
from graders_engine.errors import DataSetError
from graders_engine.version import __version__

OnProgress = Callable[[int, Tally], None]
"""Called with the bytes of the data set that are done, and the numbers so far."""

PROGRESS_ROWS = 256
"""Rows between two calls of `OnProgress`."""


def score_file(
    engine: Engine,
    grader: Any,
    data: Path,
    out: Path,
    *,
    sample_field: str | None = None,
    overwrite: bool = False,
    on_progress: OnProgress = lambda done, tally: None,
) -> Tally:
    """Score a JSONL data set into a results file, in the data set's order.

    When `out` already holds results of the same grader, data and settings, only the rest is scored.

    Args:
        engine: what grades.
        grader: as for `Engine.compile`.
        data: JSONL, one row a line.
        out: JSONL, one result a line (`results.ResultLine`).
        sample_field: as for `Engine.score`.
        overwrite: begin anew even if there are results.
        on_progress: called now and then.

    Raises:
        InvalidRequest: the grader cannot be used.
        DataSetError: a file cannot be used.
    """
    compiled = engine.compile(grader)
    _ = compiled.evaluator  # what cannot be run is said before any file is touched
    rows = JsonlRows(data)
    if out.exists() and out.samefile(data):
        raise DataSetError(f"{out} is the data set itself: write the results to another file.")
    identity = {
        "engine": __version__,
        "grader": compiled.given,
        "data": {"bytes": rows.size, "blake2b": rows.digest},
        "settings": {"sample_field": sample_field, **engine.settings(compiled)},
    }
    tally = Tally()
    with ResultsFile(out, identity, overwrite=overwrite) as results:
        last_line = 0
        for result in results.read():
            tally.add(result)
            last_line = result.line
        lines: deque[tuple[int, int]] = deque()

        def rest() -> Iterator[Any]:
            for number, done, row in rows.read(after_line=last_line):
                lines.append((number, done))
                yield row

        for graded in engine.score(compiled, rest(), sample_field=sample_field):
            number, done = lines.popleft()
            result = result_line(number, graded)
            results.add(result)
            tally.add(result)
            if tally.rows % PROGRESS_ROWS == 0:
                on_progress(done, tally)
    on_progress(rows.size, tally)
    return tally
