"""A data set's file through an engine, or many, into a results file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Literal, Unpack

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.digest import lines_of
from graders_engine.dataset.results.file import ResultsFile
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.rows.read import DataSet, Reading, open_data
from graders_engine.dataset.rows.records import Records
from graders_engine.dataset.rows.shapes import Shape
from graders_engine.dataset.scoring.grading import Job, graded
from graders_engine.dataset.scoring.index import Index
from graders_engine.dataset.scoring.memoize import once
from graders_engine.dataset.scoring.resume import resumed
from graders_engine.dataset.scoring.retry import graded_apart, tried_again
from graders_engine.dataset.scoring.run import Run
from graders_engine.dataset.scoring.shards import cut
from graders_engine.dataset.scoring.workers import LocalWorkers, Workers, cores
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.settings import keywords
from graders_engine.version import __version__

OnProgress = Callable[[int, int | None, Tally], None]
"""Called with the position in the data set, its size in the same unit if known, and the numbers so far."""
Backend = Literal["local", "ray"]

SMALL_BYTES = 4 << 20
"""Up to this size of the data, worker processes are started only if it takes long all the same."""
_FOR_TEXT = ("metric_variants", "max_text_chars")
"""The settings that graders which do not wait look at."""
PATIENCE_S = 0.3
"""Seconds after which they are: about what it takes to start them."""


def score_file(
    engine: Engine,
    grader: Any,
    data: Path | str | Records,
    out: Path,
    *,
    workers: int | None = None,
    backend: Backend = "local",
    ray_address: str | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    on_progress: OnProgress = lambda done, size, tally: None,
    **reading: Unpack[Reading],
) -> Tally:
    """Score a data set into a results file, in the data set's order.

    When `out` already holds results of the same grader, data and settings, only the rest is scored.

    Args:
        engine: what grades. Worker processes make engines of their own, with its settings.
        grader: as for `Engine.compile`.
        data: the rows: a file, "-" for standard input, or records that are open already.
        out: one result a line (`results.ResultLine`); or a Parquet file, which is then made at the end
            from the results in `OUT.jsonl` beside it.
        workers: processes that grade, at least 1; as many as there are cores when left out. A grader
            that waits (for a sandbox, a judge) is run by this process alone, with the engine's concurrency.
        backend: where the workers are: processes of this machine, or Ray actors.
        ray_address: of the Ray cluster, as for `ray.init`.
        overwrite: begin anew even if there are results.
        retry_failed: at the end, try the rows that failed again, and replace their results.
        on_progress: called now and then.
        reading: how to read the data; see `read.Reading`.

    Raises:
        InvalidRequest: the grader cannot be used, or the rows have no shape that is known.
        DataSetError: a file cannot be used.
    """
    compiled = engine.compile(grader)
    compiled.require_runnable()  # before any file is touched
    if workers is not None and workers < 1:
        raise InvalidRequest(f"There must be at least 1 worker, but {workers} are asked for.")
    data_set = open_data(data, **reading)
    if retry_failed and data_set.records.once:
        raise InvalidRequest("Rows that can be read once only cannot be tried again: use a file.")
    lines = lines_of(out)
    _keep_apart(data_set.records.path, out, lines)
    identity = _identity(engine, compiled, data_set, reading.get("sample_field"))
    with (
        ResultsFile(lines, identity, overwrite=overwrite) as results,
        Index(results.index_path, overwrite=overwrite) as index,
    ):
        shards = cut(data_set.records)
        tally = resumed(results, index, shards, plain=data_set.shape.plain)
        size = data_set.records.size

        def tell(position: int) -> None:
            on_progress(position, size, tally)

        start = partial(_started, engine, compiled, data_set, workers, backend, ray_address)
        here = backend == "local" and compiled.evaluator.waits
        sparing = once(compiled)
        run = Run(engine, sparing, data_set.shape, shards, results, index, tally, tell)
        if here:
            run.row_by_row()
        else:
            run.by_shards(start, _patience_s(backend, workers, size))
        if retry_failed and tally.failed:
            grade = partial(graded, engine, sparing) if here else partial(graded_apart, start)
            tally = tried_again(grade, data_set.shape, cut(data_set.records), results)
        if lines != out:
            from graders_engine.dataset.results.table import write_table

            write_table(lines, out, tuple(compiled.spec.parts()))
        tell(size or 0)
    return tally


def _keep_apart(data: Path, *results: Path) -> None:
    for path in results:
        if path.exists() and data.exists() and path.samefile(data):
            raise DataSetError(f"{path} is the data set itself: write the results to another file.")


def _identity(
    engine: Engine, compiled: CompiledGrader, data_set: DataSet, sample_field: str | None
) -> dict[str, Any]:
    """What results are never mixed with those of another of."""
    settings = {"shape": data_set.shape.name, "sample_field": sample_field}
    return {
        "engine": __version__,
        "grader": compiled.masked,
        "data": data_set.identity,
        "settings": {**settings, **engine.reward_settings(compiled)},
    }


def _patience_s(backend: Backend, workers: int | None, size: int | None) -> float:
    """How long to grade in this process before workers are started."""
    if backend == "ray":
        return 0
    if (workers or cores()) == 1:
        return inf
    return PATIENCE_S if size is not None and size <= SMALL_BYTES else 0


def _started(
    engine: Engine,
    compiled: CompiledGrader,
    data_set: DataSet,
    workers: int | None,
    backend: Backend,
    ray_address: str | None,
    shape: Shape,
) -> Workers:
    settings: dict[str, Any] = keywords(engine.settings)
    if backend == "ray":
        from graders_engine.dataset.scoring.ray_workers import RayWorkers

        settings.pop("observe", None)  # whoever watches the judges does so in this process
        job = Job(compiled.given, settings, shape)
        return RayWorkers(job, data_set.records.path, workers, ray_address)
    # What only graders that wait use stays here with them: objects that another process cannot have.
    settings = {key: settings[key] for key in settings.keys() & _FOR_TEXT}
    return LocalWorkers(Job(compiled.given, settings, shape), workers or cores())
