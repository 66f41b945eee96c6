"""What was asked of a job, for its page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.jobs.page.seen import Seen
from graders_engine.report.formatting import format_count, format_number
from graders_engine.report.html.job import Line
from graders_engine.storage.watched_jobs import WatchedJob, number_of

_MAX_PAIRS = 16
"""Pairs of metadata."""


def settings_lines(seen: Seen) -> Iterator[Line]:
    """What was asked for, and what became of it."""
    job = seen.job
    yield Line("model", str(job.request.get("model", "")))
    if job.tuned:
        yield Line("tuned model", job.tuned)
    yield Line("method", seen.method)
    for name in ("training_file", "validation_file"):
        if job.request.get(name):
            yield Line(name.replace("_", " "), str(job.request[name]))
    given = _given(job.request, seen.method)
    for name, value in _mapping(job.spec.get("hyperparameters")).items():
        asked = given.get(name)
        yield Line(
            str(name).replace("_", " "), str(value), "auto" if asked in (None, "auto") else ""
        )
    yield from _training(seen)
    yield Line("seed", str(job.spec.get("seed", job.request.get("seed", ""))))
    for name, value in [*job.metadata.items()][:_MAX_PAIRS]:
        yield Line(f"metadata {name}", str(value))


def _training(seen: Seen) -> Iterator[Line]:
    """What is trained, and where."""
    spec, plan = seen.job.spec, seen.steps.plan
    rate = number_of(spec.get("learning_rate"))
    if rate is not None:
        yield Line("learning rate", format_number(rate))
    if spec:
        lora = _mapping(spec.get("lora"))
        yield Line("weights", f"adapters of rank {lora.get('r')}" if lora else "all")
    for name in ("parameters", "device"):
        value = plan.get(name)
        if value is not None:
            yield Line(name, format_count(value) if isinstance(value, int) else str(value))
    if seen.has_rewards and spec.get("max_completion_tokens"):
        yield Line("most tokens of an answer", str(spec["max_completion_tokens"]))


def _given(request: Mapping[str, Any], method: str) -> Mapping[str, Any]:
    config = _mapping(_mapping(request.get("method")).get(method))
    return {
        **_mapping(request.get("hyperparameters")),
        **_mapping(config.get("hyperparameters")),
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def grader_json(seen: Seen) -> str:
    """The grader's JSON without keys; empty without one."""
    compiled = seen.explaining.compiled
    try:
        return "" if compiled is None else json.dumps(compiled.masked, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""


def grader_of(job: WatchedJob) -> Any:
    """The grader of a job, as JSON; None without one."""
    method = _mapping(_mapping(job.request.get("method")).get("reinforcement"))
    return job.spec.get("grader") or method.get("grader")
