"""What the page of a fine-tuning job needs of a store, whoever wrote it: the job, and events since a look."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from graders_engine.language import strict_json

MAX_CHECKPOINTS = 60
"""Checkpoints of a job that are read, the newest ones."""
_MAX_CHARS = 4_000
"""Characters of a text; what is longer is cut off."""
_MAX_COUNT = 1 << 53
"""A larger number of steps, or of seconds, is none that a browser can read."""
_JOB = """
    SELECT status, created_at, finished_at, estimated_finish, heartbeat, trained_tokens, fine_tuned_model,
    metadata, request, spec, error FROM job WHERE id = ? {project}
"""
# Messages have no data that the page needs, but for the plan.
_EVENTS = """
    SELECT seq, level, type, message, step, created_at, once,
    CASE WHEN type = 'metrics' OR once LIKE 'plan %' THEN data END
    FROM event WHERE job_id = ? AND seq > ? ORDER BY seq
"""
_CHECKPOINTS = f"""
    SELECT step, name, metrics, resumable, final, created_at FROM checkpoint
    WHERE job_id = ? ORDER BY step DESC LIMIT {MAX_CHECKPOINTS}
"""  # noqa: S608 - only a number of this module


class WatchedEvent(NamedTuple):
    """An event of a job.

    Attributes:
        seq: its place among all events.
        level: info, warn or error.
        message: a sentence.
        created_at: seconds since 1970.
        is_plan: whether its data say what the job is about to do.
        step: of metrics; else None.
        data: of metrics and of plans; else empty.
    """

    seq: int
    level: str
    message: str
    created_at: int
    is_plan: bool
    step: int | None
    data: Mapping[str, Any]


class WatchedCheckpoint(NamedTuple):
    """A checkpoint of a job.

    Attributes:
        step: the last one that is in it.
        name: of the model that it is.
        metrics: by the names that are on the wire.
        resumable: whether the job can be resumed from it.
        final: whether it is that of the job's last step.
        created_at: seconds since 1970.
    """

    step: int
    name: str
    metrics: Mapping[str, Any]
    resumable: bool
    final: bool
    created_at: int


class WatchedJob(NamedTuple):
    """A job as it is now.

    Attributes:
        id: of the job.
        status: as of `StoredJob`, like all that follow but for the last.
        created_at: seconds since 1970.
        finished_at: seconds since 1970; None before its end.
        estimated_finish: seconds since 1970; None if it does not run.
        heartbeat: when its worker last said that it works; None before that.
        trained_tokens: so far; None before the first step.
        tuned: the name of what was trained; empty before that.
        metadata: keys and texts.
        request: the body as it was sent.
        spec: what its trainer is given; empty before that.
        error: code, message and param; empty without one.
        checkpoints: the newest ones, by step.
    """

    id: str
    status: str
    created_at: int
    finished_at: int | None
    estimated_finish: int | None
    heartbeat: float | None
    trained_tokens: int | None
    tuned: str
    metadata: Mapping[str, Any]
    request: Mapping[str, Any]
    spec: Mapping[str, Any]
    error: Mapping[str, Any]
    checkpoints: Sequence[WatchedCheckpoint]


def watched_job(
    file: sqlite3.Connection, job_id: str, project: str | None = None
) -> WatchedJob | None:
    """A job; None if there is none.

    Args:
        file: a database, which may be anybody's: its values may be of any type.
        job_id: of the job.
        project: whose; None for a job of any project.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    only, values = ("", ()) if project is None else ("AND project = ?", (project,))
    row = file.execute(_JOB.format(project=only), (job_id, *values)).fetchone()
    if row is None:
        return None
    status, created_at, finished_at, estimated, heartbeat, tokens, tuned, *parts = row
    metadata, request, spec, error = map(_mapping, parts)
    kept = [_checkpoint(*one) for one in file.execute(_CHECKPOINTS, (job_id,))]
    return WatchedJob(
        job_id, _text(status), _count(created_at) or 0, _count(finished_at), _count(estimated),
        number_of(heartbeat), _count(tokens), _text(tuned), metadata, request, spec, error, kept[::-1],
    )  # fmt: skip


def events_since(file: sqlite3.Connection, job_id: str, seq: int) -> Iterator[WatchedEvent]:
    """The events of a job after a place among all events, in their order.

    Raises:
        sqlite3.Error: they cannot be read.
    """
    for at, level, kind, message, step, created_at, once, data in file.execute(
        _EVENTS, (job_id, seq)
    ):
        if isinstance(at, int):
            is_metrics = kind == "metrics"
            yield WatchedEvent(
                at, _text(level), _text(message), _count(created_at) or 0,
                not is_metrics and _text(once).startswith("plan "), _count(step) if is_metrics else None,
                _mapping(data),
            )  # fmt: skip


def _checkpoint(
    step: Any, name: Any, metrics: Any, resumable: Any, final: Any, at: Any
) -> WatchedCheckpoint:
    return WatchedCheckpoint(
        _count(step) or 0, _text(name), _mapping(metrics), resumable == 1, final == 1, _count(at) or 0
    )  # fmt: skip


def number_of(value: Any) -> float | None:
    """A value of a database or of JSON as a number; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    """A JSON object; an empty one in place of anything else."""
    if not isinstance(value, str | bytes):
        return {}
    try:
        found = strict_json.decode(value)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str:
    return value[:_MAX_CHARS] if isinstance(value, str) else ""


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value < _MAX_COUNT else None
