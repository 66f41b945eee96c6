"""The public names as a user's code has them; `mypy` checks this file, and nothing runs it.

A line with `type: ignore` is a wrong use: mypy reports an ignore that is not needed, so each of them is
rejected for the reason in brackets.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import graders_engine
from graders_engine import (
    AsyncEngine,
    BudgetSpent,
    CompiledGrader,
    DataSetError,
    Engine,
    EngineSettings,
    Failure,
    Flag,
    GradersError,
    InvalidGrader,
    InvalidRequest,
    InvalidRow,
    JudgeSettings,
    LifecycleError,
    Limits,
    Mistake,
    ModelBackend,
    ModelReply,
    ModelRequest,
    Outcome,
    Price,
    RetryPolicy,
    RowOutcome,
    RunGraderResponse,
    Scripted,
    UnavailableGrader,
    Usage,
    ValidateGraderResponse,
    __version__,
)

GRADER: dict[str, Any] = {"type": "string_check"}


class Backend:
    """A user's own model: any object with these methods is a `ModelBackend`."""

    signature = "mine"

    async def complete(self, request: ModelRequest) -> ModelReply:
        return ModelReply("{}", request.model, Usage(total_tokens=1))

    async def close(self) -> None:
        pass


class NotABackend:
    async def complete(self, request: str) -> str:
        return request


def configure() -> None:
    settings = EngineSettings(
        metric_variants={"bleu": "nltk_method4"},
        sandbox="none",
        limits=Limits(wall_s=3.0),
        concurrency=8,
        judges=JudgeSettings(
            endpoints={"default": Backend()},
            models={"gpt-4o": "mine"},
            retry=RetryPolicy(attempts=2),
            cache=Path("replies.sqlite"),
            prices={"mine": Price(input=1.0, output=2.0)},
        ),
    )
    assert_type(Engine.from_settings(settings), Engine)
    assert_type(Engine().settings, EngineSettings)
    AsyncEngine(judges="http://127.0.0.1:8001/v1")
    AsyncEngine(judges=Scripted(1.0))
    backend: ModelBackend = Backend()
    Engine(judges=backend)

    Engine(concurency=8)  # type: ignore[call-arg] # a misspelt keyword
    AsyncEngine(concurency=8)  # type: ignore[call-arg]
    EngineSettings(concurency=8)  # type: ignore[call-arg]
    Engine(concurrency="8")  # type: ignore[arg-type]
    Engine(8)  # type: ignore[call-arg, arg-type] # settings are keywords
    Engine(metric_variants=["bleu"])  # type: ignore[arg-type]
    Engine(judges=NotABackend())  # type: ignore[arg-type]
    RetryPolicy(attempts="2")  # type: ignore[arg-type]
    Limits(wall="3")  # type: ignore[call-arg]
    settings.concurrency = 9  # type: ignore[misc] # settings are frozen
    graders_engine.Motor  # type: ignore[attr-defined] # noqa: B018 - no such name


def grade(engine: Engine) -> Iterator[float | None]:
    compiled = engine.compile(GRADER)
    assert_type(compiled, CompiledGrader)
    response = engine.run(compiled, item={"label": "cat"}, model_sample="cat")
    assert_type(response, RunGraderResponse)
    assert_type(response.reward, float)
    assert_type(response.flags, dict[str, str])
    validated = engine.validate(GRADER)
    assert_type(validated, ValidateGraderResponse)
    assert_type(validated.warnings, tuple[Mistake, ...])
    for row in engine.score(GRADER, [{"item": {}, "model_sample": "x"}], sample_field=None):
        assert_type(row, RowOutcome)
        assert_type(row.outcome, Outcome)
        for failure in row.outcome.failures:
            assert_type(failure, Failure)
            assert_type(failure.flag, Flag)
        yield row.reward
        row.reward + 1.0  # type: ignore[operator] # a row may have no reward

    engine.run(GRADER, model_sample=1)  # type: ignore[arg-type]
    engine.run(GRADER, "cat")  # type: ignore[call-arg] # what is graded is passed by keyword
    engine.run(GRADER, sample="cat")  # type: ignore[arg-type]
    engine.score(GRADER, 3)  # type: ignore[arg-type]


async def grade_async(engine: AsyncEngine) -> None:
    assert_type(await engine.run(GRADER, model_sample="cat"), RunGraderResponse)
    async for row in engine.score(GRADER, []):
        assert_type(row, RowOutcome)

    engine.run(GRADER, model_sample="cat").reward  # type: ignore[attr-defined] # noqa: B018 - not awaited
    for _ in engine.score(GRADER, []):  # type: ignore[attr-defined]
        pass


def handle(error: GradersError) -> str:
    match error:
        case InvalidGrader():
            assert_type(error.mistakes, tuple[Mistake, ...])
            return error.mistakes[0].param or ""
        case InvalidRow() | UnavailableGrader() | InvalidRequest():
            return "request"
        case DataSetError() | BudgetSpent() | LifecycleError():
            return "run"
    return assert_type(__version__, str)
