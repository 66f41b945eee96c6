"""How a row is graded again for the page, with the settings of its run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from graders_engine import metrics
from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.engine import AsyncEngine
from graders_engine.errors import InvalidGrader, InvalidRequest, UnavailableGrader
from graders_engine.outcome import RowOutcome
from graders_engine.report.explain import JudgeCall, recorder
from graders_engine.report.regraded import Needs, graded_again, needs_of
from graders_engine.settings import EngineSettings
from graders_engine.view.context import Request


@dataclass(frozen=True, slots=True)
class Regraded:
    """A row that was graded again, or why it was not.

    Attributes:
        outcome: None if it was not.
        why_not: a sentence; empty if it was.
        calls: of judges.
    """

    outcome: RowOutcome | None = None
    why_not: str = ""
    calls: list[JudgeCall] = field(default_factory=list)


def settings_of_run(settings: EngineSettings, meta: Mapping[str, Any]) -> EngineSettings:
    """The settings by which a run's rows are graded again: what is recorded of them, else those given."""
    recorded = meta.get("settings", {})
    changes: dict[str, Any] = {}
    if recorded.get("templates") in ("strict", "as_served"):
        changes["templates"] = recorded["templates"]
    if isinstance(recorded.get("max_text_chars"), int) and recorded["max_text_chars"] > 0:
        changes["max_text_chars"] = recorded["max_text_chars"]
    variants = {
        name: variant
        for name, signature in (recorded.get("metrics") or {}).items()
        for variant in metrics.METRICS.get(name, {})
        if metrics.signature(name, variant) == signature
    }
    changes["metric_variants"] = {**settings.metric_variants, **variants}
    return replace(settings, **changes)


class RunGrader:
    """The grader of a run.

    Args:
        grader: its JSON.
        settings: of the engines that grade.

    Attributes:
        compiled: the grader; None if this version cannot read it.
        problem: why; empty if it can.
        needs: what it asks for.
    """

    def __init__(self, grader: Any, settings: EngineSettings) -> None:
        self._settings = settings
        self.compiled: CompiledGrader | None = None
        self.problem = ""
        self.needs = Needs()
        try:
            engine = AsyncEngine.from_settings(settings)  # it holds nothing while nothing waits
            self.compiled = engine.compile(grader, check_sources=False)
        except InvalidGrader as error:
            self.problem = f"This version cannot read the grader of the run: {error}"
            return
        except InvalidRequest as error:
            self.problem = str(error)
            return
        self.needs = needs_of(self.compiled)

    def again(self, request: Request, row: Any, *, costly: bool) -> Regraded:
        """Grade a row.

        Args:
            request: who asks; if the client goes, the grading ends.
            row: as it is graded.
            costly: whether judges, python and endpoints may be asked.
        """
        if self.compiled is None:
            return Regraded(why_not=self.problem)
        if not costly:
            found = graded_again(self.compiled, self.needs, row)
            return Regraded(why_not=found) if isinstance(found, str) else Regraded(found)
        if self.needs.python and self._settings.sandbox == "none":
            return Regraded(why_not="Python is run in a sandbox only, and there is none here.")
        return self._costly(request, row)

    def _costly(self, request: Request, row: Any) -> Regraded:
        calls: list[JudgeCall] = []
        observed = replace(self._settings, observe=recorder(calls))
        with Engine.from_settings(observed) as engine:
            request.on_gone(engine.close)
            assert self.compiled is not None  # noqa: S101 - for the type checker
            compiled = engine.compile(self.compiled.given)
            try:
                (outcome,) = engine.score_single(compiled, [row])
            except UnavailableGrader as error:
                return Regraded(why_not=str(error), calls=calls)
        return Regraded(outcome, calls=calls)


def grader_of(meta: Mapping[str, Any], settings: EngineSettings) -> RunGrader:
    """The grader of a run, compiled with the settings of the run."""
    text = json.dumps(meta.get("grader"))
    recorded = json.dumps(meta.get("settings", {}))
    return _grader(text, recorded, _Given(settings))


class _Given:
    """Settings as a key: by identity, since they hold mappings."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Given) and other.settings is self.settings

    def __hash__(self) -> int:
        return id(self.settings)


@lru_cache(16)
def _grader(grader: str, recorded: str, given: _Given) -> RunGrader:
    meta = {"settings": json.loads(recorded)}
    return RunGrader(json.loads(grader), settings_of_run(given.settings, meta))
