"""The engine for code without async: the same methods, over one thread with an event loop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Self, TypeVar

from graders_engine.compiled import CompiledGrader, ScopeOf, scope_reader
from graders_engine.crew import Drain
from graders_engine.engine import CLOSED_MESSAGE, AsyncEngine
from graders_engine.errors import LifecycleError
from graders_engine.models.policies import Price
from graders_engine.outcome import RowOutcome
from graders_engine.response import RunGraderResponse, ValidateGraderResponse
from graders_engine.settings import EngineSettings, keywords, takes

T = TypeVar("T")

POLL_S = 1.0
"""How often a thread that waits for an outcome checks whether the engine is still open."""


class Engine:
    """Runs graders, without async; threads may share it. Takes the fields of `EngineSettings` as keywords.

    Example::

        with Engine(concurrency=16) as engine:
            print(engine.run(grader, item={"label": "cat"}, model_sample="cat").reward)

    Attributes:
        settings: the settings; `Engine.from_settings` makes an equal engine in another process.
    """

    @takes(EngineSettings)
    def __init__(self, **settings: Any) -> None:
        self._engine = AsyncEngine(**settings)
        self.settings = self._engine.settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._closed = False

    @classmethod
    def from_settings(cls, settings: EngineSettings) -> Self:
        """An engine with these settings."""
        return cls(**keywords(settings))

    def __enter__(self) -> Self:
        self._call(self._engine.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release all resources; closing twice is allowed."""
        if self._loop is not None and self._thread is not None and not self._closed:
            self._call(self._engine.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        self._closed = True

    def compile(self, grader: Any) -> CompiledGrader:
        """Parse and compile a grader; see `AsyncEngine.compile`."""
        self._require_usable()
        return self._engine.compile(grader)

    def reward_settings(self, compiled: CompiledGrader) -> dict[str, Any]:
        """The settings that this grader's rewards depend on; see `AsyncEngine.reward_settings`."""
        return self._engine.reward_settings(compiled)

    def spending(self) -> dict[str, Any]:
        """What judges used so far; see `AsyncEngine.spending`."""
        return self._engine.spending()

    def prices(self) -> dict[str, Price]:
        """Prices by model; see `AsyncEngine.prices`."""
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
        """Grade all rows of a data set; see `AsyncEngine.score`.

        The grader is compiled immediately. The rows are consumed in the calling thread, as needed.
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
        delivered: SimpleQueue[RowOutcome | BaseException] = SimpleQueue()
        crew = self._engine.crew(compiled, scope, delivered.put)

        def feed(chunk: list[tuple[int, Any]]) -> None:
            loop.call_soon_threadsafe(crew.feed, chunk)

        drain = Drain(rows, self.settings.concurrency, feed)
        try:
            for outcome in drain.outcomes(lambda: self._wait_for_outcome(delivered)):
                if outcome is not None:  # never None, because `_wait_for_outcome` waits
                    yield outcome
        finally:
            if not self._closed:
                self._call(crew.end())

    def _wait_for_outcome(
        self, delivered: SimpleQueue[RowOutcome | BaseException]
    ) -> RowOutcome | BaseException:
        while True:
            try:
                return delivered.get(timeout=POLL_S)
            except Empty:
                self._require_usable()  # no outcome will arrive if another thread closed the engine

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._submit(coroutine).result()

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._running_loop())
        except LifecycleError:
            coroutine.close()
            raise

    def _require_usable(self) -> None:
        if self._closed:
            raise LifecycleError(CLOSED_MESSAGE)
        if os.getpid() != self._process:
            raise LifecycleError(
                "This engine was made in another process: make one in each process."
            )
        if self._thread is threading.current_thread():
            raise LifecycleError(
                "This engine's own thread cannot wait for it: use AsyncEngine there."
            )

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        self._require_usable()
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="graders-engine", daemon=True
                )
                self._thread.start()
            return self._loop
