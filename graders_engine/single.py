"""Grades one model output."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from graders_engine.compiled import CompiledGrader
from graders_engine.outputs.forms import sample_scope
from graders_engine.response import RunGraderResponse, present_run

T = TypeVar("T")


async def run_compiled(
    compiled: CompiledGrader,
    model_sample: str | None,
    item: Any,
    sample: dict[str, Any] | None,
    reference_answer: Any,
) -> RunGraderResponse:
    """Grade one model output; without an event loop where the grader waits for nothing."""
    compiled.require_runnable()
    if model_sample is None and not sample and not compiled.reads_sample:
        given = {"item": item, "reference_answer": reference_answer}
        scope = compiled.scope_reader()(given)
    else:
        scope = sample_scope(
            item, model_sample=model_sample, sample=sample, reference_answer=reference_answer
        )
    row = await compiled.grade(0, scope)
    return present_run(row, name=compiled.spec.name, type_=compiled.type)


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that waits for nothing, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    coroutine.close()
    raise RuntimeError(f"{coroutine!r} waits")
