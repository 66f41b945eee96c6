"""One run of a grader over a data set: open, resume, grade, retry, export."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.companions import require_results_place
from graders_engine.dataset.results.file import ResultsFile
from graders_engine.dataset.results.line import lines_of
from graders_engine.dataset.results.meta import (
    record,
    record_change,
    with_sandbox_used,
)
from graders_engine.dataset.results.shard_index import completed, covers
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.rows.file_state import require_unchanged
from graders_engine.dataset.rows.read import DataSet
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shards import Shard, Shards, cut
from graders_engine.dataset.scoring.early_stop import FirstRows, OutageWatch
from graders_engine.dataset.scoring.grading import (
    ShardResults,
    grade_rows,
    rows_to_grade,
    score_shard,
)
from graders_engine.dataset.scoring.held import held_back, shards_held_back
from graders_engine.dataset.scoring.index import Index
from graders_engine.dataset.scoring.launch import WorkerOptions, rows_in_flight
from graders_engine.dataset.scoring.memoize import memoized
from graders_engine.dataset.scoring.order import failed_results, in_input_order
from graders_engine.dataset.scoring.resume import resume
from graders_engine.dataset.scoring.retry import grade_one_by_one, retry_rows
from graders_engine.errors import DataSetError
from graders_engine.graders.base import RewardsDiffer
from graders_engine.version import RESULTS_VERSION, __version__

if TYPE_CHECKING:
    from graders_engine.cluster.sandbox import ClusterSandbox

OnProgress = Callable[[int, int | None, Tally], None]
"""Called with the position in the data set, its size in the same unit if known, and the numbers so far."""
_CHANGED_HINT = (
    "The results in {} are kept, but they are not those of the data as it is now: "
    "pass --overwrite to start over, or write to another file."
)
_DOUBT = (
    "A row got another reward in a process that rows share than in one of its own, so that any reward here "
    "may be wrong."
)
PROGRESS_ROWS = 16
"""Rows between two calls of it for graders that wait; for others, it is called after every shard."""


class ScoringRun:
    """One run of a grader over a data set; its files are open within a `with` block.

    ::

        with ScoringRun(engine, compiled, data_set, out, options, on_progress) as run:
            run.resume()
            run.grade()
            run.check_data()
            run.export()

    Args:
        engine: what grades in this process.
        compiled: the grader.
        data_set: the rows.
        out: the results: JSONL, or a Parquet file.
        workers: which workers to use, if the grader does not wait.
        sandbox: where its python parts run, if in a cluster; it is started before this is entered.
        on_progress: called now and then.
        overwrite: start over even if there are results.
        keep_going: grade every row, even where all rows so far show that it cannot be graded.
        first_rows: whether first rows that all fail in the same way show it; else only an outage does.

    Attributes:
        tally: the numbers so far.
    """

    def __init__(
        self,
        engine: Engine,
        compiled: CompiledGrader,
        data_set: DataSet,
        out: Path,
        workers: WorkerOptions,
        on_progress: OnProgress,
        *,
        sandbox: ClusterSandbox | None = None,
        overwrite: bool = False,
        keep_going: bool = False,
        first_rows: bool = True,
    ) -> None:
        self.tally = Tally()
        self._stopped = self._begun = False
        self._keep_going, self._watch = keep_going, OutageWatch()
        self._watch_first = first_rows and not keep_going
        self._engine, self._compiled = engine, compiled
        self._memoized = memoized(compiled if keep_going else self._watch.over(compiled))
        self._data_set, self._workers = data_set, workers
        self._on_progress, self._overwrite = on_progress, overwrite
        self._out, self._lines = out, lines_of(out)
        self._sandbox, self._place = sandbox, workers.place(compiled, sandbox)
        least = engine.settings.concurrency
        self._rows_in_flight = partial(rows_in_flight, compiled.spec, sandbox, least)
        self._make_workers = partial(workers.make_workers, engine, compiled, data_set)

    def __enter__(self) -> Self:
        """Open the results and their index.

        Raises:
            DataSetError: they cannot be written, or belong to another run.
        """
        require_results_place(self._out, overwrite=self._overwrite)
        with ExitStack() as files:
            results = ResultsFile(
                self._lines, self._identity(), overwrite=self._overwrite, place=self._place
            )
            self._results = files.enter_context(results)
            try:
                self._index = files.enter_context(
                    Index(self._results.index_path, overwrite=self._overwrite)
                )
            except DataSetError:
                self._results.discard()
                raise
            files.callback(self._discard_unused)
            self._shards: Shards = cut(self._data_set.records)
            self._files = files.pop_all()
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        self._stopped = error is not None
        with self._files:
            if isinstance(error, RewardsDiffer) and self.tally.rows:
                record(self._lines, rewards_differ=_DOUBT)

    def _discard_unused(self) -> None:
        """Leave nothing behind of a run that was stopped before its first result."""
        if self._stopped and not self.tally.rows and self._results.discard():
            self._index.discard()

    def _identity(self) -> dict[str, Any]:
        """What must be the same in a run that resumes this one."""
        data_set = self._data_set
        return {
            "results_version": RESULTS_VERSION,
            "engine": __version__,
            "grader": self._compiled.masked,
            "data": data_set.identity,
            "settings": {
                "shape": data_set.shape.name,
                "sample_field": data_set.sample_field,
                **({} if data_set.group_by is None else {"group_by": data_set.group_by}),
                **self._engine.reward_settings(self._compiled),
                **({"sandbox": self._sandbox.tier} if self._sandbox else {}),
            },
        }

    def resume(self) -> None:
        """Count the results that exist, and skip their rows.

        Raises:
            DataSetError: the data is not what they came from.
        """
        plain = self._data_set.shape.plain
        self.tally = resume(self._results, self._index, self._shards, plain=plain)
        self.tally.earlier = self.tally.rows

    def grade(self) -> None:
        """Grade the other rows, in their order."""
        if self._compiled.evaluator.waits:  # here: it uses no core of this process
            self._grade_row_by_row()
        else:
            self._grade_by_shards()
        self._begin()

    def flush(self) -> None:
        """Write the results that are held back, from any thread, while the run goes.

        Raises:
            DataSetError: they cannot be written.
        """
        self._results.flush()

    def _begin(self) -> None:
        """Before the first new result: drop the old ones, and the table of them, if this starts over."""
        if self._begun:
            return
        self._begun = True
        self._results.begin()
        if self._overwrite and self._lines != self._out:
            try:
                Path(os.path.realpath(self._out)).unlink(missing_ok=True)
            except OSError as error:
                raise DataSetError(f"{self._out} cannot be replaced: {error.strerror}.") from None

    def retry(self) -> None:
        """Grade the rows that failed once more, and replace their results."""
        if not self.tally.failed:
            return
        if self._compiled.evaluator.waits:
            in_flight = self._rows_in_flight()
            grade = partial(grade_rows, self._engine, self._memoized, in_flight=in_flight)
        else:
            grade = partial(grade_one_by_one, self._make_workers)
        shards, before = cut(self._data_set.records), self.tally
        self.tally = retry_rows(grade, self._data_set.shape, shards, self._results)
        self.tally.earlier, self.tally.retried = before.earlier, before.failed

    def check_data(self) -> None:
        """Check that the data is still what was graded; if not, the files next to the results say so, too.

        Raises:
            DataSetError: it has changed, so that the results are not those of all its rows.
        """
        try:
            require_unchanged(self._data_set.records.states, self._graded_is_there)
        except DataSetError as error:
            record_change(self._lines, str(error))
            raise DataSetError(f"{error} {_CHANGED_HINT.format(self._lines)}") from None
        record_change(self._lines, "")

    def _graded_is_there(self) -> bool:
        """Whether the data has the bytes that were graded, and no rows besides."""
        if self._data_set.records.once:
            return False
        try:
            return covers(self._data_set.records, self._index.shards())
        except DataSetError:
            return False

    def export(self) -> None:
        """Write the table, if one was asked for, and record and report that all is done."""
        if self._lines != self._out:
            from graders_engine.dataset.results.table import write_table

            write_table(self._lines, self._out, tuple(self._compiled.spec.parts()))
        stamps = [state.stamp for state in self._data_set.records.states]
        settings = self._identity()["settings"]
        settings = with_sandbox_used(settings, self._lines)
        judged = {"judged": self.tally.judged()} if self._compiled.spec.judge_models() else {}
        record(self._lines, complete=True, settings=settings, files=stamps, **judged)
        self._report_progress(self._data_set.records.size or 0)

    def _grade_by_shards(self) -> None:
        with closing(self._graded_shards()) as graded:
            first, shape = self._first_rows(count_failed=True), self._data_set.shape
            for shard, results in shards_held_back(graded, first, shape):
                self._keep(shard, results)

    def _first_rows(self, *, count_failed: bool = False) -> FirstRows | None:
        """What watches the first rows; None if some were scored before, or if all are to be graded."""
        if not self._watch_first or self.tally.scored:
            return None
        return FirstRows(count_failed=count_failed)

    def _graded_shards(self) -> Generator[tuple[Shard, ShardResults]]:
        shape = self._data_set.shape
        shards = self._shards.rest()
        delay_s, started = self._workers.delay_s(self._data_set.records.size), monotonic()
        while monotonic() - started < delay_s:
            shard = next(shards, None)
            if shard is None:
                return
            yield shard, score_shard(self._engine, self._compiled, shape, shard)
        give_up = partial(failed_results, shape=shape)
        with self._make_workers(shape) as workers:
            yield from in_input_order(workers, shards, give_up)

    def _keep(self, shard: Shard, results: ShardResults) -> None:
        self._begin()
        self._results.add_lines(results.lines)
        self._results.flush()
        self._index.add(completed(shard, results.tally.rows, results.digest))
        self.tally.merge(results.tally)
        self._report_progress(shard.end)

    def _grade_row_by_row(self) -> None:
        """Grade the rows of all shards as one stream, so that the engine always has rows to wait for."""
        open_shards: deque[_OpenShard] = deque()
        first = self._first_rows()
        rows = self._read_shards(open_shards, first)
        results = grade_rows(self._engine, self._memoized, rows, self._rows_in_flight())
        if not self._keep_going:
            results = held_back(results, self._watch, first, all_failed=not self._watch_first)
        for result in results:
            while result.line > open_shards[0].shard.last_line:
                self._finish_shard(open_shards.popleft())
            self._begin()
            self._results.add(result)
            self.tally.add(result)
            open_shards[0].results += 1
            if self.tally.rows % PROGRESS_ROWS == 0:
                self._report_progress(open_shards[0].position_after(result.line))
        for open_shard in open_shards:
            self._finish_shard(open_shard)

    def _read_shards(
        self, open_shards: deque[_OpenShard], first: FirstRows | None
    ) -> Iterator[RowRef]:
        for shard in self._shards.rest():
            open_shards.append(_OpenShard(shard))
            with shard.open() as reader:
                for ref in rows_to_grade(reader.rows(), self._data_set.shape):
                    if first is not None and first.open:
                        first.see(ref)
                    yield ref
                open_shards[-1].digest = reader.digest()

    def _finish_shard(self, done: _OpenShard) -> None:
        self._begin()
        self._results.flush()
        self._index.add(completed(done.shard, done.results, done.digest))

    def _report_progress(self, position: int) -> None:
        self._on_progress(position, self._data_set.records.size, self.tally)


@dataclass(slots=True)
class _OpenShard:
    """A shard whose rows are being graded; its digest is set when all of them have been read."""

    shard: Shard
    results: int = 0
    digest: str = ""

    def position_after(self, line: int) -> int:
        """About where in the data set a line ends."""
        shard = self.shard
        lines = line - shard.first_line + 1
        return shard.start + (shard.end - shard.start) * lines // shard.lines
