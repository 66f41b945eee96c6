"""The work of one run, in its worker's process: lay out the items, sample, grade, count."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.companions import results_files
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.read import DataSet, open_data
from graders_engine.dataset.scoring.launch import WorkerOptions
from graders_engine.dataset.scoring.run import ScoringRun
from graders_engine.errors import DataSetError, RunStopped, UnavailableGrader
from graders_engine.evals.run.criteria import Criteria, criteria_of
from graders_engine.evals.run.failure import RunFailed
from graders_engine.evals.run.first_outage import first_outage
from graders_engine.evals.run.item_index import IndexWriter
from graders_engine.evals.run.judged import JudgedFile
from graders_engine.evals.run.place import JUDGED, REPLIES, RESULTS, SAMPLES, lay_out, rows_of_run
from graders_engine.evals.run.progress import Used, result_of
from graders_engine.evals.run.samples_file import SamplesFile
from graders_engine.evals.run.sampling import Sampler, sample_rows
from graders_engine.inference.judging import Projects
from graders_engine.models.base import ModelBackend
from graders_engine.models.judges import JudgeRegistry, JudgeSettings
from graders_engine.settings import EngineSettings, keywords
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store


class Work:
    """One run, from its items to its counts. What was done before is not done again.

    One thread does it, and another one may call `note` meanwhile.

    Args:
        store: where the run is.
        run: the run.
        settings: of the engine.

    Attributes:
        result: what the run says of its results, so far.
    """

    def __init__(self, store: Store, run: StoredRun, settings: EngineSettings) -> None:
        self._store, self._run, self._settings = store, run, settings
        self._folder = store.run_folder(run.id)
        self._criteria: Criteria | None = None
        self._index: IndexWriter | None = None
        self._samples: SamplesFile | None = None
        self._judged: JudgedFile | None = None
        self._sampled: Used = {}
        self._counting = threading.Lock()
        self._broken: OSError | DataSetError | None = None
        self._scoring: ScoringRun | None = None
        self._last_noted: dict[str, Any] = {}

    @property
    def result(self) -> dict[str, Any]:  # noqa: D102 - described above
        sampled = self._sampled if self._samples is None else self._samples.used
        judged = {} if self._judged is None else self._judged.used
        counts = None if self._index is None else self._index.counts
        return result_of(self._criteria, counts, (dict(sampled), dict(judged)))

    def do(self) -> None:
        """Do what is left of it.

        Raises:
            RunFailed, GradersError, OSError: the run cannot go on.
        """
        self._criteria = criteria = self._read_criteria()
        rows = lay_out(self._store, self._run.id, self._run.request)
        judges = self._judges()
        if self._run.request.get("type") != "jsonl":
            judges = self._sample(rows, judges)
            rows = self._folder / SAMPLES
        with ExitStack() as files:
            self._judged = judged = JudgedFile(self._folder / JUDGED)
            files.callback(judged.close)
            results = self._folder / RESULTS
            index = files.enter_context(IndexWriter(self._folder, rows, results, criteria))
            try:
                self._grade(rows, criteria, judges, judged, index)
            finally:  # what was graded before the work ended counts
                self._advance()
            self._require_a_result(rows, criteria, index)

    def _judges(self) -> JudgeSettings:
        """How models are asked: the replies are kept, and those of the store are the project's."""
        judges = self._settings.judge_settings()
        cache = self._folder / REPLIES if judges.cache is None else judges.cache
        local = Projects(self._store, judges).of(self._run.project)
        return dataclasses.replace(judges, cache=cache, local=local)

    def _read_criteria(self) -> Criteria:
        stored = self._store.evals.get(self._run.project, self._run.eval_id)
        if stored is None:
            raise RunFailed("eval_not_found", "The eval of this run was deleted.")
        return criteria_of(stored.body["testing_criteria"], stored.name)

    def _require_a_result(self, rows: Path, criteria: Criteria, index: IndexWriter) -> None:
        """Refuse to complete a run of which no criterion could grade any item, for want of what it asks.

        Raises:
            RunFailed: with the reason of the first item.
        """
        if not any(map(sum, index.counts.met)):
            with rows.open("rb") as given, (self._folder / RESULTS).open("rb") as results:
                reason = first_outage(given, results, criteria)
            if reason:
                text = f"No criterion could grade any item. The first error: {reason}"
                raise RunFailed("grader_not_available", text)

    def list_ungraded(self) -> None:
        """After the work has ended before its time: list what was sampled as items, whether graded or not.

        Raises:
            OSError, DataSetError: it cannot be written.
        """
        if self._criteria is None or self._run.request.get("type") == "jsonl":
            return
        with SamplesFile(self._folder / SAMPLES) as samples:
            if self._samples is not None:
                asyncio.run(samples.add(self._samples.behind_gaps))
            self._sampled, self._samples = samples.used, None
            if not samples.used:
                return
            rows = samples.lines
        results = self._folder / RESULTS
        results.touch(mode=0o600)
        with IndexWriter(self._folder, self._folder / SAMPLES, results, self._criteria) as index:
            index.advance()
            index.add_ungraded(rows)
            self._index = index

    def count(self) -> None:
        """In place of `do`, after a worker died whose run has ended: list and count what the files hold.

        Raises:
            RunFailed, GradersError, OSError: they cannot be read, or the list not be written.
        """
        self._criteria = self._read_criteria()
        if (self._folder / JUDGED).exists():
            self._judged = JudgedFile(self._folder / JUDGED)
            self._judged.close()
        self.list_ungraded()
        rows, results = rows_of_run(self._folder, self._run.request), self._folder / RESULTS
        if self._index is None and rows.exists() and results.exists():
            with IndexWriter(self._folder, rows, results, self._criteria) as index:
                index.advance()
                self._index = index

    def _sample(self, items: Path, judges: JudgeSettings) -> JudgeSettings:
        """Sample the items; gives the settings of judges with what is left of the budget."""
        spent = asyncio.run(self._sample_all(items, judges))
        left: dict[str, Any] = {}
        if judges.max_tokens is not None:
            left["max_tokens"] = max(1, judges.max_tokens - spent["tokens"])
        if judges.max_cost is not None:
            left["max_cost"] = max(1e-9, judges.max_cost - spent["cost"])
        return dataclasses.replace(judges, **left)

    async def _sample_all(self, items: Path, judges: JudgeSettings) -> dict[str, Any]:
        # The model that is named for every judge is none for what is judged.
        models = {name: model for name, model in judges.models.items() if name != "*"}
        registry = JudgeRegistry(dataclasses.replace(judges, models=models))
        source = self._run.request
        try:
            backend = _model_of(registry, str(source.get("model")))
            sampler = Sampler(source, backend, self._run.id)
            records = open_records(items, "jsonl")
            with SamplesFile(self._folder / SAMPLES) as samples:
                self._samples = samples
                await sample_rows(sampler, records.read(), samples, judges.concurrency)
                self._sampled, self._samples = samples.used, None
            return registry.spent()
        except RunStopped as error:
            raise RunFailed("model_not_available", error.reason) from error
        finally:
            await registry.close()

    def _grade(
        self,
        rows: Path,
        criteria: Criteria,
        judges: JudgeSettings,
        judged: JudgedFile,
        index: IndexWriter,
    ) -> None:
        settings = keywords(self._settings) | {
            "judges": judges,
            "observe": judged.see,
            "templates": "as_served",
        }
        with Engine(**settings) as engine:
            compiled = engine.compile(dict(criteria.grader))
            compiled.require_runnable()
            data = open_data(rows, form="jsonl", shape="rows", outputs_needed=False)
            try:
                self._score(engine, compiled, data, index)
            except DataSetError:
                # Results of an earlier attempt with other settings of the server, or of another version.
                results = self._folder / RESULTS
                if self._index is not None or not results.exists():
                    raise
                for path in results_files(results):
                    path.unlink(missing_ok=True)
                self._score(engine, compiled, data, index)

    def _score(
        self, engine: Engine, compiled: CompiledGrader, data: DataSet, index: IndexWriter
    ) -> None:
        run = ScoringRun(
            engine, compiled, data, self._folder / RESULTS, WorkerOptions(None, None),
            lambda *_: None, first_rows=False,
        )  # fmt: skip
        with run:
            run.resume()
            self._index, self._scoring = index, run
            try:
                run.grade()
            finally:
                with self._counting:
                    self._scoring = None
            run.check_data()
            run.export()

    def _advance(self) -> None:
        """Take in the results that were written since the last time.

        Raises:
            OSError, DataSetError: this time or an earlier one, a file could not be written.
        """
        with self._counting:
            if self._broken is not None:
                raise self._broken
            try:
                if self._scoring is not None:
                    self._scoring.flush()
                if self._index is not None:
                    self._index.advance()
            except (OSError, DataSetError) as error:
                self._broken = error
                raise

    def note(self) -> None:
        """Note the progress, if there is any.

        Raises:
            OSError, DataSetError, StoreError: it cannot be written.
        """
        self._advance()
        result = self.result
        if result == self._last_noted:
            return
        self._store.runs.note(self._run.id, result=result)
        self._last_noted = result


def _model_of(registry: JudgeRegistry, model: str) -> ModelBackend:
    try:
        return registry.find(model)
    except UnavailableGrader as error:
        text = str(error).replace(f"The judge '{model}'", f"The model '{model}'")
        raise RunFailed("model_not_available", text) from error
