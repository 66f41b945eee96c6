"""Graders, rows and settings that the judges' tests share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from graders_engine import Engine, RowOutcome
from graders_engine.models.base import ModelBackend
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.retry import RetryPolicy
from graders_engine.outcome import Outcome

SCORE: dict[str, Any] = {
    "type": "score_model",
    "name": "quality",
    "model": "judge-1",
    "input": [
        {"role": "system", "content": "You rate answers."},
        {"role": "user", "content": "Rate this answer: {{sample.output_text}}"},
    ],
}
LABEL: dict[str, Any] = {
    "type": "label_model",
    "name": "tone",
    "model": "judge-1",
    "input": [{"role": "user", "content": "Which tone? {{sample.output_text}}"}],
    "labels": ["kind", "plain", "rude"],
    "passing_labels": ["kind", "plain"],
}
HASTY = RetryPolicy(attempts=3, total_s=60, attempt_s=20, wait_initial_s=0.01, wait_max_s=0.1)


def row(text: str = "an answer", **item: Any) -> dict[str, Any]:
    return {"item": item, "model_sample": text}


def rows(count: int) -> list[dict[str, Any]]:
    return [row(f"answer {number}") for number in range(count)]


def judging(endpoint: str | ModelBackend, **settings: Any) -> JudgeSettings:
    """How the tests ask: hastily, and at a pace that refusals do not slow down."""
    defaults = {"endpoints": {"default": endpoint}, "retry": HASTY, "adaptive": False}
    return JudgeSettings(**{**defaults, **settings})


def unsaved(graded: Iterable[RowOutcome]) -> list[Outcome]:
    """The outcomes as if no reply had been kept from an earlier request."""
    return [msgspec.structs.replace(one.outcome, saved={}) for one in graded]


def scored(
    endpoint: str | ModelBackend, grader: dict[str, Any] = SCORE, **settings: Any
) -> RowOutcome:
    """One row, graded."""
    with Engine(judges=judging(endpoint, **settings)) as engine:
        [graded] = engine.score(grader, [row()])
    return graded
