"""Score a data set into a results file, with one engine or many."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.companions import SUBJECT, results_files
from graders_engine.dataset.results.line import require_columns
from graders_engine.dataset.results.table import require_table_support
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.rows.cells.trials import CellTrials
from graders_engine.dataset.rows.misleading import misleading_head
from graders_engine.dataset.rows.read import DataSet, ReadOptions, open_data
from graders_engine.dataset.rows.records import Records
from graders_engine.dataset.scoring.launch import WorkerOptions, started
from graders_engine.dataset.scoring.run import OnProgress, ScoringRun
from graders_engine.errors import ClusterLost, InvalidRequest, RunStopped
from graders_engine.files import FilesInUse, require_regular
from graders_engine.graders.base import RewardsDiffer
from graders_engine.graders.templates import variables_in
from graders_engine.outputs.completions import completion_in
from graders_engine.settings import EngineSettings
from graders_engine.urls import Location, location

if TYPE_CHECKING:
    from graders_engine.cluster.connection import ClusterOptions


def score_file(
    engine: Engine,
    grader: Any,
    data: Location | str | Records,
    out: Path,
    *,
    workers: int | None = None,
    cluster: ClusterOptions | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    keep_going: bool = False,
    inputs: Collection[Path] = (),
    on_progress: OnProgress = lambda done, size, tally: None,
    on_note: Callable[[str], None] | None = None,
    **reading: Unpack[ReadOptions],
) -> Tally:
    """Score a data set into a results file, in the order of the data set.

    If `out` already holds results of the same grader, data and settings, only the remaining rows are scored.

    Args:
        engine: what grades. Worker processes make engines of their own, with its settings.
        grader: as for `Engine.compile`.
        data: the rows: a file, a URL, "-" for standard input, or records that are already open.
        out: one result a line (`results.line.ResultLine`): `.jsonl`, or a name without an ending; or a table,
            `.parquet` or `.csv`, which is made at the end from the results in `OUT.jsonl` next to it.
        workers: processes that grade, at least 1; None for one for each core. A grader that waits (for a
            sandbox, a judge) runs in this process alone, with the engine's concurrency.
        cluster: the Ray cluster that grades; None for this machine. Its actors run text and python graders,
            but this process alone asks judges and endpoints.
        overwrite: start over even if there are results.
        retry_failed: at the end, retry the rows that failed, and replace their results.
        keep_going: grade every row; without it the run is stopped where the others cannot be graded either.
        inputs: other files that belong to this run, such as the one with the grader: nothing is written to
            them. The data, and what the engine's settings name, needs not be among them.
        on_progress: called now and then.
        on_note: called with what to say of how the data are read, before the first row and after the last.
            Without it, nothing is looked for that only a note would say.
        reading: how to read the data.

    Raises:
        InvalidRequest: the grader cannot be used, or has more parts than results can have sub-rewards; the
            shape of the rows is unknown, or the ending of `out`; or the cluster cannot be reached, or used.
        DataSetError: a file cannot be used, or would be overwritten though it is an input; or the data
            changed during the run, which is then recorded next to the results that were written.
        RunStopped: each of the first rows failed in the same way, or what the grader asks refuses it, or
            gave no answer for long enough. Rows graded before are kept, and the same call resumes.
        ClusterLost: the cluster is gone; likewise.
    """
    require_apart(engine.settings, [out], data, reading.get("outputs"), inputs)
    require_table_support(out)
    compiled = engine.compile(grader)
    worker_options = WorkerOptions(workers, cluster)
    sandbox = worker_options.sandbox(engine, compiled)
    if sandbox is not None:
        compiled = compiled.with_sandbox(sandbox)
    compiled.require_runnable()  # before any file is touched
    require_columns(len(compiled.spec.parts()))
    reading["outputs_needed"] = compiled.reads_sample
    reading["items_alone"] = not compiled.reads_sample
    data_set = open_data(data, **reading)
    notes = _Notes(on_note)
    notes.give(worker_options.notes(compiled, sandbox))
    notes.give(data_set.records.notes)
    notes.give(_doubts(compiled, data_set))
    notes.give(misleading_head(compiled, data_set.records))
    trials = CellTrials(compiled, data_set) if notes.are_wanted else None
    if retry_failed and data_set.records.once:
        raise InvalidRequest("Rows that can be read once only cannot be tried again: use a file.")
    run = ScoringRun(
        engine, compiled, data_set, out, worker_options, on_progress,
        sandbox=sandbox, overwrite=overwrite, keep_going=keep_going,
    )  # fmt: skip
    try:
        with started(sandbox), run:
            run.resume()
            if trials and not run.tally.earlier:  # its first part had the note
                notes.give(trials.notes(engine, sandbox))
            run.grade()
            if retry_failed:
                run.retry()
            run.check_data()
            run.export()
        notes.give(data_set.records.notes)
    except RewardsDiffer as error:
        raise RunStopped(error.reason, _doubtful(run.tally, out)) from None
    except ClusterLost as error:
        raise ClusterLost(error.reason, _what_is_kept(run.tally, out)) from None
    except RunStopped as error:
        way_on = _what_is_left(run.tally, out, replaces=overwrite and out.exists())
        raise RunStopped(error.reason, way_on) from None
    return run.tally


class _Notes:
    """Gives each note once; where nobody takes them, nothing is looked for."""

    def __init__(self, on_note: Callable[[str], None] | None) -> None:
        self._on_note = on_note
        self._given: set[str] = set()

    @property
    def are_wanted(self) -> bool:
        """Whether somebody takes them."""
        return self._on_note is not None

    def give(self, notes: Iterable[str]) -> None:
        """Give those that were not given before."""
        if self._on_note is None:
            return
        for note in notes:
            if note not in self._given:
                self._given.add(note)
                self._on_note(note)


def _doubts(compiled: CompiledGrader, data_set: DataSet) -> Iterator[str]:
    """What to say if the templates hardly mean what the first rows have: completions or responses."""
    if data_set.shape.name not in ("chat", "items"):
        return
    variables = [one for one in variables_in(compiled.spec) if one.namespace == "item"]
    head = [raw for raw in data_set.records.head() if isinstance(raw, Mapping)] if variables else []
    keys = {key for raw in head for key in raw}
    if head and all("custom_id" in raw and "item" not in raw for raw in head):
        missing = [one.name for one in variables if not keys.issuperset(one.steps[:1])]
        if missing and not keys.isdisjoint(("response", "result")):
            yield (
                f"the rows are outputs of a batch, which have no `{missing[0]}`: pass the file with the rows "
                f"as --data, and {data_set.records.path} as --outputs"
            )
    whole = any(one.steps == ("response",) for one in variables) and not compiled.reads_sample
    if whole and any(completion_in(raw)[0] is not None for raw in head):
        yield (
            "`item.response` is a whole response in these rows, and becomes JSON in the template: for the "
            "text alone, write {{sample.output_text}}"
        )


def _doubtful(tally: Tally, out: Path) -> str:
    """After rows were found to change each other: what was written, and how to go on."""
    kept = (
        f"; {tally.rows:,} rows are in {out}, whose rewards may be wrong, too" if tally.rows else ""
    )
    return (
        f"Stopped early{kept}. Grade all of them again with --python-isolation call"
        f"{' --overwrite' if tally.rows else ''}."
    )


def _what_is_kept(tally: Tally, out: Path) -> str:
    """After the cluster was lost."""
    kept = f"{tally.rows:,} graded rows are kept in {out}" if tally.rows else "No row is graded"
    return f"{kept}: run the same command again to {'resume' if tally.rows else 'start'}."


def _what_is_left(tally: Tally, out: Path, *, replaces: bool) -> str:
    """After an early stop: what was written, and how to go on."""
    if not tally.rows:
        results = (
            f"the old results in {out} are unchanged"
            if replaces
            else f"nothing was written to {out}"
        )
        return (
            f"Stopped early; {results}. Mend what is wrong and run the command again, or pass --keep-going "
            "to grade all rows nevertheless."
        )
    return (
        f"Stopped early; {tally.rows:,} graded rows are kept in {out}. Run the same command again to grade "
        "the others; with --keep-going it does not stop early."
    )


def require_apart(
    settings: EngineSettings,
    outs: Iterable[Path],
    data: Location | str | Records,
    outputs: Location | str | None = None,
    inputs: Iterable[Path] = (),
) -> None:
    """Check that runs write to none of their inputs, nor twice to one file; nothing is opened for it.

    `score_file` does so, too; but a grader that is compiled before may have opened its judges' files.

    Args:
        settings: the engine's; they name what judges read and write.
        outs: the results files of the runs.
        data: as for `score_file`.
        outputs: the file with the outputs for the rows.
        inputs: other files that the runs read.

    Raises:
        DataSetError: they would.
    """
    judges = settings.judge_settings()
    other = None if outputs is None else location(outputs)
    rows: list[Location | str] = (
        [data.path, *(state.path for state in data.states)] if isinstance(data, Records) else [data]
    )
    files = FilesInUse(
        {
            **{
                path: "the data set itself"
                for path in map(location, rows)
                if isinstance(path, Path)
            },
            **({other: "the file with the outputs itself"} if isinstance(other, Path) else {}),
            **judges.inputs(),
            **dict.fromkeys(_embedding_files(settings), "a file of the embeddings"),
            **dict.fromkeys(inputs, "an input of this command"),
        }
    )
    for out in outs:
        require_regular(out, SUBJECT)
        files.write(results_files(out))
    files.write(judges.outputs())


def _embedding_files(settings: EngineSettings) -> list[Path]:
    """The files of a folder that embeddings are computed with, if one is named."""
    kind, _, folder = str(settings.embeddings or "").partition(":")
    return list(Path(folder).iterdir()) if kind == "model2vec" and os.path.isdir(folder) else []
