"""What a grader asks for beyond this process, and what that costs; it is said before anything is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.rows.records import RowRef
from graders_engine.errors import GradingError, InvalidRow, UnavailableGrader
from graders_engine.graders.endpoint import EndpointGrader
from graders_engine.graders.messages import ModelGrader, renderer
from graders_engine.graders.python import PythonGrader
from graders_engine.models.policies import Price
from graders_engine.preflight.grader_facts import GraderFacts
from graders_engine.settings import EngineSettings

_CHARS_PER_TOKEN, _ANSWER_TOKENS = 4, 200
"""With which the tokens of a request and of its answer are estimated, as by preflight."""


def why_unavailable(compiled: CompiledGrader, settings: EngineSettings) -> str:
    """Why a grader cannot run here; empty if it can."""
    parts = GraderFacts(compiled).leaves
    if settings.sandbox == "none" and any(isinstance(part, PythonGrader) for _, part in parts):
        return (
            "Python is run in a sandbox only, and there is none here: this page was started with "
            "--sandbox none."
        )
    try:
        compiled.require_runnable()
    except UnavailableGrader as error:
        return str(error)
    return ""


def needs_of(
    compiled: CompiledGrader,
    refs: Sequence[RowRef],
    prices: Mapping[str, Price],
    settings: EngineSettings,
) -> dict[str, Any] | None:
    """The requests that grading these rows sends to judges and endpoints; None if it sends none.

    Requests that are equal count once, as a judge is asked once for them. `cost` is None where a price is
    unknown.
    """
    parts = GraderFacts(compiled).leaves
    judges = [(path, part) for path, part in parts if isinstance(part, ModelGrader)]
    endpoints = [part for _, part in parts if isinstance(part, EndpointGrader)]
    vectors = "cosine" in compiled.spec.metrics() and _is_remote(settings)
    if not (judges or endpoints or vectors):
        return None
    repeats = settings.judge_settings().repeats
    asked = _requests(compiled, judges, refs)
    tokens, cost = 0.0, 0.0 if not (endpoints or vectors) else None
    for model, chars in asked.values():
        sent = chars / _CHARS_PER_TOKEN
        tokens += repeats * (sent + _ANSWER_TOKENS)
        price = prices.get(model)
        if price is None or cost is None:
            cost = None
        else:
            cost += repeats * (sent * price.input + _ANSWER_TOKENS * price.output) / 1e6
    return {
        "rows": len(refs),
        "requests": repeats * len(asked) + len(refs) * (len(endpoints) + int(vectors)),
        "tokens": round(tokens),
        "cost": cost,
        "models": sorted({part.model for _, part in judges}),
        "endpoints": len(endpoints),
    }


def _is_remote(settings: EngineSettings) -> bool:
    return isinstance(settings.embeddings, str) and settings.embeddings.startswith("openai:")


def _requests(
    compiled: CompiledGrader, judges: Sequence[tuple[str, ModelGrader]], refs: Sequence[RowRef]
) -> dict[Any, tuple[str, int]]:
    """The model and the characters of each different request to a judge."""
    renderers = [(path, part.model, renderer(part.input)) for path, part in judges]
    scope_of = compiled.scope_reader()
    found: dict[Any, tuple[str, int]] = {}
    for ref in refs if renderers else ():
        try:
            scope = scope_of(ref.row)
        except InvalidRow:
            continue  # no request is sent
        for path, model, render in renderers:
            try:
                messages = render(scope)
            except GradingError:
                continue  # no request is sent
            texts = [getattr(part, "text", "") for message in messages for part in message.parts]
            found[model, path, messages] = model, sum(map(len, texts))
    return found
