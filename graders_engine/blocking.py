"""The engine for code without async: the same methods, over one thread with an event loop."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

from graders_engine.compiled import CompiledGrader, ScopeOf
from graders_engine.engine import CLOSED_MESSAGE, AsyncEngine
from graders_engine.errors import LifecycleError
from graders_engine.late_loop import LateLoop
from graders_engine.outcome import RowOutcome
from graders_engine.outputs.several import SplitRows, held
from graders_engine.response import RunGraderResponse, ValidateGraderResponse
from graders_engine.settings import EngineSettings, keywords, takes
from graders_engine.single import at_once, run_compiled
from graders_engine.urls import Location

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from graders_engine.crew import Crew
    from graders_engine.models.policies import Price
    from graders_engine.preflight.options import Options
    from graders_engine.preflight.report import PreflightReport

T = TypeVar("T")

# asyncio and the thread are imported when a grader waits for something: most graders wait for nothing.


def _placed(split: SplitRows, outcomes: Generator[RowOutcome, None, None]) -> Iterator[RowOutcome]:
    with closing(outcomes):
        for outcome in outcomes:
            yield outcome if split.none_split else split.place(outcome)


class Engine:
    """Runs graders, without async; threads may share it.

    The keywords are the fields of `EngineSettings`; `help(Engine.__init__)` describes them. Worker processes
    and connections are opened by the first grader that needs them.

    An interrupt (Ctrl-C, any exception raised while a call waits) ends that call and what it was grading.
    `close` releases everything; so does the end of the last reference to an engine.

    Example::

        with Engine(concurrency=16) as engine:
            print(engine.run(grader, item={"label": "cat"}, model_sample="cat").reward)
            for row in engine.score(grader, rows):
                print(row.index, row.counted, row.blame)

    Attributes:
        settings: the settings; `Engine.from_settings` makes an equal engine in another process.
    """

    @takes(EngineSettings)
    def __init__(self, **settings: Any) -> None:
        self._engine = AsyncEngine(**settings)
        self.settings = self._engine.settings
        self._late = LateLoop()

    @classmethod
    def from_settings(cls, settings: EngineSettings) -> Self:
        """An engine with these settings."""
        return cls(**keywords(settings))

    def __enter__(self) -> Self:
        self._late.require_usable()
        at_once(self._engine.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release all resources; closing twice is allowed. In a forked process it does nothing."""
        self._late.end(self._engine.close, needed=self._engine.holds_something)

    def compile(self, grader: Any) -> CompiledGrader:
        """Parse and compile a grader, to pass it to the other methods in place of the JSON.

        Args:
            grader: a dict, JSON text, an object of the `openai` package, or a compiled grader. The path of a
                file is not read: pass what the file holds.

        Raises:
            InvalidGrader: with all mistakes.
            LifecycleError: the engine is closed.
        """
        self._late.require_usable()
        return self._engine.compile(grader)

    def reward_settings(self, compiled: CompiledGrader) -> dict[str, Any]:
        """The settings that this grader's rewards depend on, as JSON values; metrics by their signatures."""
        return self._engine.reward_settings(compiled)

    def spending(self) -> dict[str, Any]:
        """What judges used so far, without cached replies: `tokens`, and `cost` if prices are known."""
        return self._engine.spending()

    def prices(self) -> dict[str, Price]:
        """Prices by the names that models have at their endpoints, from graders.toml and the settings."""
        return self._engine.prices()

    def run(
        self,
        grader: Any,
        *,
        model_sample: str | None = None,
        item: Any = None,
        sample: dict[str, Any] | None = None,
        reference_answer: Any = None,
    ) -> RunGraderResponse:
        """Grade one model output.

        Args:
            grader: as for `compile`.
            model_sample: the model's text. A grader that reads no sample needs none.
            item: the data-set row, which templates use as `item`.
            sample: a whole sample in place of `model_sample`, with any of choices, output_text, output_json,
                output_tools, output_reasoning_summary, output_audio; missing keys are derived. One with none
                of these keys may be a chat completion, a response, a message or the like.
            reference_answer: short for `item={"reference_answer": ...}`.

        Raises:
            InvalidRequest: the grader or the row cannot be used. A grader that fails on the row does not
                raise: the response has reward 0.0 and a flag.
            LifecycleError: the engine is closed.
        """
        self._late.require_usable()
        compiled = self._engine.compile(grader, check_sources=False)  # as `AsyncEngine.run`
        compiled.require_runnable()
        if not compiled.evaluator.waits:
            return at_once(run_compiled(compiled, model_sample, item, sample, reference_answer))
        return self._late.call(
            lambda: self._engine.run(
                compiled,
                model_sample=model_sample,
                item=item,
                sample=sample,
                reference_answer=reference_answer,
            )
        )

    def validate(self, grader: Any) -> ValidateGraderResponse:
        """Check a grader without running anything; the response has it as given, and `warnings`.

        Args:
            grader: as for `compile`. One inside a pasted fine-tuning job is not taken out of it: the mistake
                says where it is.

        Raises:
            InvalidGrader: with all mistakes.
            LifecycleError: the engine is closed.
        """
        self._late.require_usable()
        return at_once(self._engine.validate(grader))

    def preflight(
        self,
        grader: Any = None,
        *,
        train: Location | str | None = None,
        validation: Location | str | None = None,
        samples: Location | str | None = None,
        job: Mapping[str, Any] | None = None,
        options: Options | None = None,
        **more: Any,
    ) -> PreflightReport:
        """Check whether a grader is fit for a reinforcement fine-tuning job; `graders preflight` as a call.

        Example::

            from graders_engine.preflight.options import Options

            asked = Options(reference_field="answer", rows=60, ignore={"row-count": "a trial"})
            report = engine.preflight(grader, train="train.jsonl", options=asked)
            for finding in report.findings:
                print(finding.severity, finding.id, finding.message)

        Args:
            grader: as for `compile`; None takes it from the job.
            train: the file of the training rows.
            validation: the file of the validation rows.
            samples: a file of a base model's answers, in any shape that `graders score` takes.
            job: the request of the fine-tuning job.
            options: where right answers stand, what is asked and ignored, how much may be graded.
            more: for commands: `grader_file` and `job_file`, which findings name; `on_plan` and
                `on_progress`, which are called.

        Raises:
            TypeError: a file is no path, or there is no such keyword.
            InvalidRequest: an option names what does not exist, or there is no grader.
            LifecycleError: the engine is closed.
        """
        return self._late.call(
            lambda: self._engine.preflight(
                grader, train=train, validation=validation, samples=samples, job=job, options=options, **more
            )
        )  # fmt: skip

    def score(
        self, grader: Any, rows: Iterable[Any], *, sample_field: str | None = None
    ) -> Iterator[RowOutcome]:
        """Grade all rows of a data set and return an iterator over their outcomes, in the same order.

        The grader is compiled immediately. The rows are consumed in the calling thread, as needed.

        Args:
            grader: as for `compile`.
            rows: objects with `item` and `model_sample` or `sample`; without `item`, what stands beside the
                sample is the item. A row with a list of samples (in `samples`, or in place of the one) gives
                an outcome for each of them, with its number in `RowOutcome.sample`. An invalid row gives an
                outcome with status "invalid" and does not stop the others.
            sample_field: for flat rows, the field with the model's output (text, a sample object, or a list
                of them); the whole row is the item.

        Raises:
            InvalidRequest: the grader cannot be used, or `rows` is no collection of rows but a text, a path,
                a table or a single row.
            LifecycleError: the engine is closed.
        """
        split = SplitRows(rows, sample_field)
        return _placed(split, self.score_single(grader, split, sample_field=sample_field))

    def score_single(
        self,
        grader: Any,
        rows: Iterable[Any],
        *,
        sample_field: str | None = None,
        in_flight: int | None = None,
    ) -> Generator[RowOutcome, None, None]:
        """Grade rows of one sample each: as `score`, but a row always gives one outcome.

        Args:
            grader: as for `score`.
            rows: likewise.
            sample_field: likewise.
            in_flight: rows in flight at once, apart from those of others; by default all share the engine's
                `concurrency`.
        """
        compiled = self.compile(grader)
        scope = compiled.scope_reader(sample_field)
        if not compiled.evaluator.waits:
            return compiled.grade_rows_now(rows, scope, held=held(rows))
        return self._score_waiting(compiled, rows, scope, in_flight)

    def submit(
        self, grader: Any, rows: Iterable[Any], *, sample_field: str | None = None
    ) -> Future[list[RowOutcome]]:
        """Begin to grade rows, without waiting for their outcomes: the same list that `score` would give.

        Rows that wait for something outside this process (judges, python, endpoints, embeddings) are graded
        in the engine's thread; all that were submitted share its `concurrency`. Others are graded before this
        returns. To cancel the future ends its rows. In asyncio code: `await asyncio.wrap_future(future)`.

        Example::

            futures = [engine.submit(compiled, batch) for batch in batches]
            rewards = [row.counted for future in futures for row in future.result()]

        Args and Raises: as `score`. If the engine is closed meanwhile, the future raises LifecycleError.
        """
        compiled = self.compile(grader)
        outcomes = self.score(
            compiled, rows, sample_field=sample_field
        )  # raises what is wrong at once
        if compiled.evaluator.waits:
            all_rows = list(rows)
            return self._late.running().submit(self._graded(compiled, all_rows, sample_field))
        from concurrent.futures import Future

        future: Future[list[RowOutcome]] = Future()
        future.set_running_or_notify_cancel()
        future.set_result(list(outcomes))
        return future

    async def _graded(
        self, compiled: CompiledGrader, rows: list[Any], sample_field: str | None
    ) -> list[RowOutcome]:
        """In the engine's loop: the outcomes of rows; it holds the engine, which lives as long as it."""
        import asyncio

        try:
            outcomes = self._engine.score(compiled, rows, sample_field=sample_field)
            return [outcome async for outcome in outcomes]
        except asyncio.CancelledError:
            if self._late.closed:
                raise LifecycleError(CLOSED_MESSAGE) from None
            raise

    def _score_waiting(
        self, compiled: CompiledGrader, rows: Iterable[Any], scope: ScopeOf, in_flight: int | None
    ) -> Generator[RowOutcome, None, None]:
        from graders_engine.crew import Drain
        from graders_engine.loop_thread import Deliveries

        loop = self._late.running().loop
        # No outcome will arrive if another thread closes the engine.
        delivered: Deliveries[RowOutcome | BaseException] = Deliveries(
            loop, self._late.require_usable
        )
        crew = self._engine.crew(compiled, scope, delivered.put, in_flight)

        def feed(chunk: list[tuple[int, Any]]) -> None:
            try:
                loop.call_soon_threadsafe(crew.feed, chunk)
            except RuntimeError:  # the loop is closed
                self._late.require_usable()
                raise

        drain = Drain(rows, in_flight or self.settings.concurrency, feed)
        try:
            for outcome in drain.outcomes(delivered.take):
                if outcome is not None:  # never None, because `take` waits
                    yield outcome
        finally:
            self._end(crew, loop)

    def _end(self, crew: Crew, loop: asyncio.AbstractEventLoop) -> None:
        """End a crew's rows, and wait until they have ended, where that is possible."""
        try:
            with suppress(RuntimeError):  # the loop is closed, and the rows ended with it
                loop.call_soon_threadsafe(crew.cancel)
        finally:
            # The collector ends an iterator that was dropped in whatever thread and process it runs.
            with suppress(LifecycleError):
                self._late.call(crew.end)
