"""The engine for code without async: the same verbs, one loop thread for its life."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack

from graders_engine.compiled import CompiledGrader, ScopeOf, scope_reader
from graders_engine.engine import WINDOW, AsyncEngine, Supply, graded
from graders_engine.errors import LifecycleError
from graders_engine.models.base import ModelBackend
from graders_engine.models.embeddings import EmbeddingBackend
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.policies import Observer, Price
from graders_engine.models.retry import OnRetry
from graders_engine.outcome import RowOutcome
from graders_engine.response import RunGraderResponse, ValidateGraderResponse
from graders_engine.sandbox.base import Limits, Sandbox

T = TypeVar("T")

LOOK_S = 1.0
"""How often a thread that waits for an outcome looks whether the engine is still there."""


class Settings(TypedDict, total=False):
    """What an engine can be told; `AsyncEngine` says what each means, and its default."""

    metric_variants: Mapping[str, str] | None
    embeddings: str | EmbeddingBackend | None
    max_text_chars: int
    sandbox: str | Sandbox
    limits: Limits | None
    concurrency: int
    judges: str | ModelBackend | JudgeSettings | None
    observe: Observer | None
    on_retry: OnRetry | None
    allow_endpoints: bool


class Engine:
    """Runs graders. Use it as `with Engine() as engine: ...`; it may be shared by threads.

    Args:
        settings: those of `AsyncEngine`.

    Attributes:
        made_with: the settings as they were given, for making an equal engine in another process.
    """

    def __init__(self, **settings: Unpack[Settings]) -> None:
        self.made_with = settings
        self._engine = AsyncEngine(**settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._closed = False

    def __enter__(self) -> Self:
        self._call(self._engine.__aenter__())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what the engine holds; closing twice is allowed."""
        if self._loop is not None and self._thread is not None and not self._closed:
            self._call(self._engine.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        self._closed = True

    def compile(self, grader: Any) -> CompiledGrader:
        """Parse and compile a grader; see `AsyncEngine.compile`."""
        self._check()
        return self._engine.compile(grader)

    def settings(self, compiled: CompiledGrader) -> dict[str, Any]:
        """What decides this grader's rewards besides the grader; see `AsyncEngine.settings`."""
        return self._engine.settings(compiled)

    def spending(self) -> dict[str, Any]:
        """What judges took so far; see `AsyncEngine.spending`."""
        return self._engine.spending()

    def prices(self) -> dict[str, Price]:
        """What models cost; see `AsyncEngine.prices`."""
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
        """Grade one model output; see `AsyncEngine.run`."""
        return self._call(
            self._engine.run(
                grader,
                model_sample=model_sample,
                item=item,
                sample=sample,
                reference_answer=reference_answer,
            )
        )

    def validate(self, grader: Any) -> ValidateGraderResponse:
        """Check a grader without running anything; see `AsyncEngine.validate`."""
        return self._call(self._engine.validate(grader))

    def score(
        self, grader: Any, rows: Iterable[Any], *, sample_field: str | None = None
    ) -> Iterator[RowOutcome]:
        """Grade every row of a data set, in its order; see `AsyncEngine.score`.

        The rows are taken in the calling thread, as they are needed. The grader is compiled at once.
        """
        compiled = self.compile(grader)
        scope = scope_reader(sample_field)
        if not compiled.evaluator.waits:
            return (compiled.grade_row_now(index, row, scope) for index, row in enumerate(rows))

        return self._score_waiting(compiled, rows, scope)

    def _score_waiting(
        self, compiled: CompiledGrader, rows: Iterable[Any], scope: ScopeOf
    ) -> Iterator[RowOutcome]:
        loop = self._running_loop()
        ready: SimpleQueue[RowOutcome | BaseException] = SimpleQueue()
        crew = self._engine.crew(compiled, scope, ready.put)
        supply = Supply(rows, self._engine.concurrency * WINDOW)
        try:
            while (
                supply.refill(lambda portion: loop.call_soon_threadsafe(crew.feed, portion))
                or supply.in_flight
            ):
                outcome = self._taken(ready)
                supply.in_flight -= 1
                yield graded(outcome)
        finally:
            if not self._closed:
                self._call(crew.end())

    def _taken(self, ready: SimpleQueue[RowOutcome | BaseException]) -> RowOutcome | BaseException:
        while True:
            try:
                return ready.get(timeout=LOOK_S)
            except Empty:
                self._check()  # another thread may have closed the engine; nothing comes then

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._begin(coroutine).result()

    def _begin(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._running_loop())
        except LifecycleError:
            coroutine.close()
            raise

    def _check(self) -> None:
        if self._closed:
            raise LifecycleError(
                "This engine is closed: grade inside its `with` block, or make another one."
            )
        if os.getpid() != self._process:
            raise LifecycleError(
                "This engine was made in another process: make one in each process."
            )
        if self._thread is threading.current_thread():
            raise LifecycleError(
                "This engine's own thread cannot wait for it: use AsyncEngine there."
            )

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        self._check()
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="graders-engine", daemon=True
                )
                self._thread.start()
            return self._loop
