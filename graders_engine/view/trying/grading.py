"""Engines for graders that are being written; what nobody waits for any more ends."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any, Protocol

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.errors import BudgetSpent, DataSetError, LifecycleError
from graders_engine.models.policies import Price
from graders_engine.outcome import RowOutcome
from graders_engine.server.responses import ClientGone
from graders_engine.settings import EngineSettings
from graders_engine.view.trying.drafts import Draft, Form, read_draft

ENGINES, DRAFTS = 4, 64
"""Engines and compiled graders that are kept: those that were used last."""


class Client(Protocol):
    """Who waits for the rows, as `context.Request`."""

    @property
    def gone(self) -> bool:
        """Whether it no longer waits."""
        ...

    def on_gone(self, end: Callable[[], object]) -> None:
        """Call a function when it goes, in another thread; at once if it has gone."""
        ...


@dataclass(frozen=True, slots=True)
class Graded:
    """Rows that were graded.

    Attributes:
        outcomes: of the rows, in their order; fewer than there are rows if the budget was exhausted.
        spent: what judges used, as `Engine.spending` has it; empty if none was asked.
        problem: why not all rows were graded; empty if they were.
    """

    outcomes: Sequence[RowOutcome]
    spent: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


class Workshop:
    """Reads graders and grades with them; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: list[Engine] = []
        self._drafts: OrderedDict[tuple[Engine, str, Form], Draft] = OrderedDict()

    def draft(self, settings: EngineSettings, text: str, form: Form) -> Draft:
        """Read and compile a grader, or take it from those that were compiled before."""
        engine = self.engine(settings)
        key = (engine, text, form)
        with self._lock:
            if key in self._drafts:
                self._drafts.move_to_end(key)
                return self._drafts[key]
        draft = read_draft(text, form, engine.compile)
        with self._lock:
            self._drafts[key] = draft
            while len(self._drafts) > DRAFTS:
                self._drafts.popitem(last=False)
        return draft

    def engine(self, settings: EngineSettings) -> Engine:
        """The engine with these settings; one that is no longer used ends with its last grader."""
        with self._lock:
            for engine in self._engines:
                if engine.settings == settings:
                    return engine
            self._engines.append(Engine.from_settings(settings))
            del self._engines[:-ENGINES]
            return self._engines[-1]

    def prices(self, settings: EngineSettings) -> dict[str, Price]:
        """What models cost."""
        return self.engine(settings).prices()

    def grade(
        self,
        settings: EngineSettings,
        compiled: CompiledGrader,
        rows: Sequence[Any],
        client: Client,
    ) -> Graded:
        """Grade rows with a grader of `draft`, which asks no judge.

        Raises:
            ClientGone: the client went.
        """
        engine = self.engine(settings)
        outcomes: list[RowOutcome] = []
        if not compiled.evaluator.waits:
            for outcome in engine.score_single(compiled, rows):
                if client.gone:
                    raise ClientGone
                outcomes.append(outcome)
            return Graded(outcomes)
        future = engine.submit(compiled, rows)
        client.on_gone(future.cancel)
        try:
            outcomes = future.result()
        except CancelledError:
            raise ClientGone from None
        if len(outcomes) != len(rows):
            raise DataSetError("A row has several samples in one: `graders score` grades them.")
        return Graded(outcomes)

    def grade_alone(
        self, settings: EngineSettings, grader: Any, rows: Sequence[Any], client: Client
    ) -> Graded:
        """Grade rows with a grader that may ask judges, with an engine, and a budget, of its own.

        Raises:
            ClientGone: the client went.
        """
        outcomes: list[RowOutcome] = []
        problem = ""
        with Engine.from_settings(settings) as engine:
            client.on_gone(engine.close)
            try:
                outcomes += engine.score_single(grader, rows)
            except BudgetSpent as error:
                problem = str(error)
            except LifecycleError:
                if client.gone:
                    raise ClientGone from None
                raise
            return Graded(outcomes, engine.spending(), problem)
