"""The engine: owns what graders need, compiles them and runs them."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from enum import Enum
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

from graders_engine import metrics
from graders_engine.compiled import CompiledGrader, ScopeOf
from graders_engine.errors import LifecycleError
from graders_engine.graders.base import RewardsDiffer, Services, has_verdict
from graders_engine.models.judges import JudgeRegistry
from graders_engine.models.network.late_client import LateClient
from graders_engine.outcome import RowOutcome
from graders_engine.outputs.several import SplitRows, held
from graders_engine.response import RunGraderResponse, ValidateGraderResponse, present_validation
from graders_engine.settings import EngineSettings, keywords, sandbox_of, settings_of, takes
from graders_engine.single import run_compiled
from graders_engine.urls import Location

if TYPE_CHECKING:
    import asyncio

    from graders_engine.crew import Crew, Deliver
    from graders_engine.models.embeddings import BatchedEmbeddings
    from graders_engine.models.http import JsonClient
    from graders_engine.models.local.source import LocalSource
    from graders_engine.models.policies import Price
    from graders_engine.preflight.options import Options
    from graders_engine.preflight.report import PreflightReport

# asyncio, and what asks judges and embeddings, are imported where they are used: most graders need neither.
YIELD_EVERY_S = 0.01
"""Longest time for which grading a data set blocks other tasks of the event loop."""


class EngineState(Enum):
    """The stages of an engine's life."""

    NEW = "new"
    OPEN = "open"
    CLOSED = "closed"


CLOSED_MESSAGE = "This engine is closed: grade inside its `with` block, or make another one."


class AsyncEngine:
    """Runs graders; its verbs are coroutines. Use one in one event loop.

    The keywords are the fields of `EngineSettings`; `help(AsyncEngine.__init__)` describes them.

    Example::

        async with AsyncEngine(judges="http://127.0.0.1:8001/v1") as engine:
            response = await engine.run(grader, item=item, model_sample=text)
            async for row in engine.score(grader, rows):
                print(row.index, row.counted, row.blame)
    """

    @takes(EngineSettings)
    def __init__(self, **settings: Any) -> None:
        self.settings = given = settings_of(settings)
        self._judges = JudgeRegistry(
            given.judge_settings(), given.observe, given.on_retry, has_verdict
        )
        self._embeddings: BatchedEmbeddings | None = None
        if given.embeddings is not None:
            from graders_engine.models.embeddings import BatchedEmbeddings, open_embeddings

            backend = open_embeddings(given.embeddings, self._judges.endpoint)
            self._embeddings = BatchedEmbeddings(backend)
        self._sandbox = sandbox_of(given)
        self._endpoints = LateClient(self._endpoint_client) if given.allow_endpoints else None
        self._services = Services(
            metric_variants=given.metric_variants,
            max_text_chars=given.max_text_chars,
            embeddings=self._embeddings,
            sandbox=self._sandbox,
            judges=self._judges,
            endpoints=self._endpoints,
            shared_rows=given.shares_rows and not given.trust_source,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._state = EngineState.NEW
        self._open = AsyncExitStack()
        for service in (self._endpoints, self._judges, self._sandbox, self._embeddings):
            if service is not None:
                self._open.push_async_callback(service.close)

    def _endpoint_client(self) -> JsonClient:
        from graders_engine.graders.endpoint import endpoint_client

        return endpoint_client(self.settings.on_retry, self._judges.secrets)

    @classmethod
    def from_settings(cls, settings: EngineSettings) -> Self:
        """An engine with these settings."""
        return cls(**keywords(settings))

    async def __aenter__(self) -> Self:
        if self._state is not EngineState.NEW:
            raise LifecycleError(
                f"This engine is {self._state.value}: an engine is entered once. Make another one."
            )
        self._state = EngineState.OPEN
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Release all resources; closing twice is allowed.

        What is left open because a backend raises, or because this is cancelled, a second call closes.
        """
        self._state = EngineState.CLOSED
        await self._open.aclose()

    @property
    def holds_something(self) -> bool:
        """Whether it was entered, and others than its own loop may hold what `close` releases."""
        lent = self._embeddings is not None or not isinstance(self.settings.sandbox, str)
        return self._state is EngineState.OPEN and (lent or self._judges.is_open)

    def compile(
        self, grader: Any, *, check_sources: bool = True, local: LocalSource | None = None
    ) -> CompiledGrader:
        """Parse and compile a grader.

        Args:
            grader: a dict, JSON text, an object of the `openai` package, or a compiled grader. The path of a
                file is not read: pass what the file holds.
            check_sources: whether a python source that cannot run is a mistake. If not, its rows get no
                reward, as in `run`.
            local: the models of this machine that it may ask; those of the settings when left out.

        Raises:
            InvalidGrader: with all mistakes.
            LifecycleError: the engine is closed.
        """
        if self._state is EngineState.CLOSED:
            raise LifecycleError(CLOSED_MESSAGE)
        if isinstance(grader, CompiledGrader):
            return grader
        services = self._services
        if local is not None:
            services = dataclasses.replace(services, judges=self._judges.on(local))
        return CompiledGrader(
            grader, services, check_sources=check_sources, templates=self.settings.templates
        )

    def _stay_on_one_loop(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        if self._loop not in (None, loop):
            raise LifecycleError(
                "This engine belongs to another event loop: make one in each loop."
            )
        self._loop = loop

    def reward_settings(self, compiled: CompiledGrader) -> dict[str, Any]:
        """The settings that this grader's rewards depend on, as JSON values; metrics by their signatures."""
        variants = self.settings.metric_variants
        signatures = {
            name: self._embeddings.backend.signature
            if name == "cosine" and self._embeddings
            else metrics.signature(name, variants.get(name))
            for name in sorted(compiled.spec.metrics())
        }
        longest = self.settings.max_text_chars
        settings: dict[str, Any] = {"metrics": signatures, "max_text_chars": longest}
        if compiled.lenient:
            settings["templates"] = self.settings.templates
        if compiled.spec.runs_python():
            settings["sandbox"] = getattr(self._sandbox, "tier", type(self._sandbox).__name__)
            if self.settings.shares_rows:
                settings["python_isolation"] = self.settings.python_isolation
        if models := sorted(compiled.spec.judge_models()):
            settings["judges"] = {model: self._judges.find(model).signature for model in models}
            settings["judge_repeats"] = self._judges.repeats
            settings["prices"] = {
                model: dataclasses.asdict(price) for model, price in self.prices().items()
            }
        return settings

    def spending(self) -> dict[str, Any]:
        """What judges used so far, without cached replies: `tokens`, and `cost` if prices are known."""
        return self._judges.spent()

    def prices(self) -> dict[str, Price]:
        """Prices by the names that models have at their endpoints, from graders.toml and the settings."""
        return self._judges.prices()

    async def run(
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
        # A python source that cannot run gives the same answer as the service: reward 0.0 and a flag.
        compiled = self.compile(grader, check_sources=False)
        self._stay_on_one_loop()
        import asyncio

        try:
            return await run_compiled(compiled, model_sample, item, sample, reference_answer)
        except asyncio.CancelledError:
            self._require_not_closed()
            raise

    async def validate(self, grader: Any) -> ValidateGraderResponse:
        """Check a grader without running anything.

        Raises:
            InvalidGrader: with all mistakes.
            LifecycleError: the engine is closed.
        """
        compiled = self.compile(grader)
        return present_validation(compiled.given, compiled.warnings())

    async def preflight(
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
        """Check whether a grader is fit for a fine-tuning job: see `Engine.preflight`."""
        from graders_engine.preflight.examine import preflight  # few engines are asked for it

        self._stay_on_one_loop()
        return await preflight(
            self, grader, train=train, validation=validation, samples=samples, job=job, options=options,
            **more,
        )  # fmt: skip

    async def score(
        self, grader: Any, rows: Iterable[Any], *, sample_field: str | None = None
    ) -> AsyncIterator[RowOutcome]:
        """Grade all rows of a data set and yield their outcomes in the same order.

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
        async with aclosing(
            self.score_single(grader, split, sample_field=sample_field)
        ) as outcomes:
            async for outcome in outcomes:
                yield outcome if split.none_split else split.place(outcome)

    async def score_single(
        self, grader: Any, rows: Iterable[Any], *, sample_field: str | None = None
    ) -> AsyncGenerator[RowOutcome, None]:
        """Grade rows of one sample each: as `score`, but a row always gives one outcome."""
        compiled = self.compile(grader)
        self._stay_on_one_loop()
        scope = compiled.scope_reader(sample_field)
        if compiled.evaluator.waits:
            from graders_engine.crew import drained

            size = self.settings.concurrency
            crew_of = partial(self.crew, compiled, scope)
            async with aclosing(drained(rows, size, crew_of)) as outcomes:
                async for outcome in outcomes:
                    yield outcome
            return
        import asyncio

        yield_at = perf_counter() + YIELD_EVERY_S
        for outcome in compiled.grade_rows_now(rows, scope, held=held(rows)):
            yield outcome
            if perf_counter() > yield_at:
                await asyncio.sleep(0)
                yield_at = perf_counter() + YIELD_EVERY_S

    def crew(
        self, compiled: CompiledGrader, scope: ScopeOf, deliver: Deliver, size: int | None = None
    ) -> Crew:
        """A crew for one data set; all crews without a size of their own share the `concurrency`."""
        import asyncio

        from graders_engine.crew import Crew

        kept, size = ({}, size) if size else (vars(self), self.settings.concurrency)
        # One for all, whichever thread is the first: `setdefault` lets no other come between.
        free: asyncio.Semaphore = kept.setdefault("_free", asyncio.Semaphore(size))

        async def grade(index: int, row: Any) -> RowOutcome:
            async with free:
                try:
                    return await compiled.grade_row(index, row, scope)
                except RewardsDiffer as error:
                    raise error.of(f"Row {index} (counted from 0)") from None
                except asyncio.CancelledError:
                    self._require_not_closed()
                    raise

        return Crew(grade, size, deliver)

    def _require_not_closed(self) -> None:
        """Make an error of a cancellation that `close` caused, and not the caller."""
        import asyncio

        task = asyncio.current_task()
        if self._state is EngineState.CLOSED and not (task and task.cancelling()):
            raise LifecycleError("The engine was closed while rows were being graded.") from None
