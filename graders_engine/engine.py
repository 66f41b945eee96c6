"""The engine: owns what graders need, compiles them, runs them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from itertools import islice
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from graders_engine import metrics
from graders_engine.compiled import CompiledGrader, ScopeOf, scope_reader
from graders_engine.crew import Crew, Deliver
from graders_engine.errors import LifecycleError
from graders_engine.graders.base import DEFAULT_MAX_TEXT_CHARS, Services
from graders_engine.graders.endpoint import endpoint_client
from graders_engine.language.scope import scope_of
from graders_engine.models.base import ModelBackend
from graders_engine.models.embeddings import BatchedEmbeddings, EmbeddingBackend, open_embeddings
from graders_engine.models.judges import DEFAULT as DEFAULT_ENDPOINT
from graders_engine.models.judges import JudgeRegistry, JudgeSettings
from graders_engine.outcome import RowOutcome
from graders_engine.response import (
    RunGraderResponse,
    ValidateGraderResponse,
    present_run,
    present_validation,
)
from graders_engine.sandbox.base import Limits, Sandbox
from graders_engine.sandbox.ondemand import OnDemand

if TYPE_CHECKING:
    from graders_engine.models.policies import Observer, Price
    from graders_engine.models.retry import OnRetry

DEFAULT_CONCURRENCY = 64
"""Rows in flight at once, where grading a row waits for something outside this process."""
WINDOW = 4
"""Rows begun ahead of the oldest unfinished one, as a multiple of the concurrency."""
PORTION = 32
"""Rows taken at a time: handing them on one by one costs more than cheap rows themselves."""
BREATH_S = 0.01
"""Longest time a data set's rows keep the event loop from its other tasks."""


class AsyncEngine:
    """Runs graders; every verb is awaited. Use it as `async with AsyncEngine() as engine: ...`.

    Args:
        metric_variants: for a metric's name, the variant to compute in place of the default one, such
            as {"bleu": "nltk_method4"}; `metrics.METRICS` has them all.
        embeddings: what gives the vectors for cosine: "openai:MODEL", "model2vec:FOLDER-OR-NAME",
            "lexical", or an object with the methods of `models.embeddings.EmbeddingBackend`.
        max_text_chars: longest text that a metric compares; a row with a longer one is invalid.
        sandbox: where python graders run: "auto" (the strongest that this machine gives), "namespaces",
            "landlock", "none" (no walls at all: only for sources and outputs that you trust), or an
            object with the methods of `sandbox.base.Sandbox`.
        limits: of one call of a python grader; the API's own when left out.
        concurrency: rows in flight at once in `score`, for graders that wait for something outside
            this process; the others take the rows one after the other.
        judges: where model graders ask: an endpoint's address, a backend (an object with the methods of
            `models.base.ModelBackend`), or a `JudgeSettings` with all there is to say. When left out, the
            endpoint in OPENAI_BASE_URL, or OpenAI's own where there is an OPENAI_API_KEY.
        observe: called with each request to a judge, and its reply or the exception in its place.
        on_retry: called before each further attempt of a request to a judge, for embeddings or to a grader's
            endpoint.
        allow_endpoints: whether endpoint graders may run: they send rows to the address in the grader.
    """

    def __init__(
        self,
        *,
        metric_variants: Mapping[str, str] | None = None,
        embeddings: str | EmbeddingBackend | None = None,
        max_text_chars: int = DEFAULT_MAX_TEXT_CHARS,
        sandbox: str | Sandbox = "auto",
        limits: Limits | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        judges: str | ModelBackend | JudgeSettings | None = None,
        observe: Observer | None = None,
        on_retry: OnRetry | None = None,
        allow_endpoints: bool = True,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, but it is {concurrency}")
        self.concurrency = concurrency
        variants = dict(metric_variants or {})
        for name, variant in variants.items():
            metrics.signature(name, variant)  # raises a ValueError that lists what there is
        registry = JudgeRegistry(_judging(judges, concurrency), observe, on_retry)
        self._services = Services(
            metric_variants=variants,
            max_text_chars=max_text_chars,
            embeddings=None
            if embeddings is None
            else BatchedEmbeddings(open_embeddings(embeddings, registry.endpoint)),
            sandbox=OnDemand(sandbox, limits) if isinstance(sandbox, str) else sandbox,
            judges=registry,
            endpoints=endpoint_client(on_retry) if allow_endpoints else None,
        )
        self._free = asyncio.Semaphore(concurrency)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._state = "new"

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise LifecycleError(
                f"This engine is {self._state}: an engine is entered once. Make another one."
            )
        self._state = "open"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give back what the engine holds; closing twice is allowed."""
        if self._state != "closed":
            services = self._services
            ports = (services.embeddings, services.sandbox, services.judges, services.endpoints)
            for service in ports:
                if service is not None:
                    await service.close()
        self._state = "closed"

    def compile(self, grader: Any, *, check_sources: bool = True) -> CompiledGrader:
        """Parse and compile a grader.

        Args:
            grader: a dict, JSON text, an object of the `openai` package, or a compiled grader.
            check_sources: whether a python source that cannot run is a mistake; where not, its rows
                have no reward, as `run` has it.

        Raises:
            InvalidGrader: with every mistake.
            LifecycleError: the engine is closed.
        """
        if self._state == "closed":
            raise LifecycleError(
                "This engine is closed: grade inside its `with` block, or make another one."
            )
        if isinstance(grader, CompiledGrader):
            return grader
        return CompiledGrader(grader, self._services, check_sources=check_sources)

    def _stay_on_one_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop not in (None, loop):
            raise LifecycleError(
                "This engine belongs to another event loop: make one in each loop."
            )
        self._loop = loop

    def settings(self, compiled: CompiledGrader) -> dict[str, Any]:
        """What decides this grader's rewards besides the grader: for each metric, what its value equals."""
        services = self._services
        signatures = {
            name: services.embeddings.backend.signature
            if name == "cosine" and services.embeddings
            else metrics.signature(name, services.metric_variants.get(name))
            for name in sorted(compiled.spec.metrics())
        }
        settings: dict[str, Any] = {
            "metrics": signatures,
            "max_text_chars": services.max_text_chars,
        }
        if compiled.runs_python():
            sandbox = services.sandbox
            settings["sandbox"] = getattr(sandbox, "tier", type(sandbox).__name__)
        if services.judges and (models := sorted(compiled.spec.judge_models())):
            settings["judges"] = {model: services.judges.find(model).signature for model in models}
            settings["judge_repeats"] = services.judges.repeats
            settings["prices"] = {
                model: dataclasses.asdict(price) for model, price in self.prices().items()
            }
        return settings

    def spending(self) -> dict[str, Any]:
        """What judges took since the engine was made, but for kept replies: `tokens`, and `cost`."""
        return self._services.judges.spent() if self._services.judges else {}

    def prices(self) -> dict[str, Price]:
        """What models cost, by the names that endpoints know them by; from graders.toml and the settings."""
        return self._services.judges.prices() if self._services.judges else {}

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
            model_sample: the model's text.
            item: the data-set row that templates see as `item`.
            sample: in place of `model_sample`, a whole sample: any of choices, output_text, output_json,
                output_tools, output_reasoning_summary, output_audio; what is missing is derived.
            reference_answer: stands for `item={"reference_answer": ...}`.

        Raises:
            InvalidRequest: the grader or the row cannot be used; a grader that fails on the row is a
                response with reward 0.0 and a flag instead.
            LifecycleError: the engine is closed.
        """
        # A python source that cannot run is answered as the service does: reward 0.0 and a flag.
        compiled = self.compile(grader, check_sources=False)
        self._stay_on_one_loop()
        # What the engine has no means to run, it says before it looks at the row.
        _ = compiled.evaluator
        scope = scope_of(
            item, model_sample=model_sample, sample=sample, reference_answer=reference_answer
        )
        row = await compiled.grade(0, scope)
        return present_run(row, name=compiled.spec.name, type_=compiled.type)

    async def validate(self, grader: Any) -> ValidateGraderResponse:
        """Check a grader without running anything.

        Raises:
            InvalidGrader: with every mistake.
            LifecycleError: the engine is closed.
        """
        compiled = self.compile(grader)
        return present_validation(compiled.given, compiled.warnings())

    async def score(
        self, grader: Any, rows: Iterable[Any], *, sample_field: str | None = None
    ) -> AsyncIterator[RowOutcome]:
        """Grade every row of a data set, in its order.

        Args:
            grader: as for `compile`.
            rows: objects with `item` and `model_sample` or `sample`. A row that is none gives an outcome
                with status "invalid"; it does not stop the others.
            sample_field: for flat rows, the field with the model's output (text, or a sample object);
                the rest of the row is the item.

        Raises:
            InvalidRequest: the grader cannot be used.
            LifecycleError: the engine is closed.
        """
        compiled = self.compile(grader)
        self._stay_on_one_loop()
        scope = scope_reader(sample_field)
        if compiled.evaluator.waits:
            async for outcome in self._score_waiting(compiled, rows, scope):
                yield outcome
            return
        breath = perf_counter() + BREATH_S
        for index, row in enumerate(rows):
            yield compiled.grade_row_now(index, row, scope)
            if perf_counter() > breath:
                await asyncio.sleep(0)
                breath = perf_counter() + BREATH_S

    async def _score_waiting(
        self, compiled: CompiledGrader, rows: Iterable[Any], scope: ScopeOf
    ) -> AsyncIterator[RowOutcome]:
        ready: deque[RowOutcome | BaseException] = deque()
        some = asyncio.Event()

        def deliver(outcome: RowOutcome | BaseException) -> None:
            ready.append(outcome)
            some.set()

        crew = self.crew(compiled, scope, deliver)
        supply = Supply(rows, self.concurrency * WINDOW)
        try:
            while supply.refill(crew.feed) or supply.in_flight:
                await some.wait()
                some.clear()
                while ready:
                    supply.in_flight -= 1
                    yield graded(ready.popleft())
        finally:
            await crew.end()

    def crew(self, compiled: CompiledGrader, scope: ScopeOf, deliver: Deliver) -> Crew:
        """What drains a data set of a grader that waits; `concurrency` holds for all of them together."""

        async def grade(index: int, row: Any) -> RowOutcome:
            async with self._free:
                return await compiled.grade_row(index, row, scope)

        return Crew(grade, self.concurrency, deliver)


class Supply:
    """Hands rows on in portions, so that only so many are in flight.

    Args:
        rows: where they come from.
        window: rows in flight, at most.

    Attributes:
        in_flight: rows that were handed on and are not back.
    """

    def __init__(self, rows: Iterable[Any], window: int) -> None:
        self._rows = enumerate(rows)
        self._window = window
        self._portion = min(PORTION, window)
        self._over = False
        self.in_flight = 0

    def refill(self, feed: Callable[[list[tuple[int, Any]]], object]) -> bool:
        """Hand on as many as fit, a portion at a time; tells whether there may be more."""
        while not self._over and self.in_flight <= self._window - self._portion:
            portion = list(islice(self._rows, self._portion))
            self._over = len(portion) < self._portion
            self.in_flight += len(portion)
            if portion:
                feed(portion)
        return not self._over


def graded(delivered: RowOutcome | BaseException) -> RowOutcome:
    """What a crew delivered; an exception is raised."""
    if isinstance(delivered, BaseException):
        raise delivered
    return delivered


def _judging(judges: str | ModelBackend | JudgeSettings | None, concurrency: int) -> JudgeSettings:
    if isinstance(judges, JudgeSettings):
        return judges
    endpoints = {} if judges is None else {DEFAULT_ENDPOINT: judges}
    return JudgeSettings(endpoints=endpoints, concurrency=concurrency)
