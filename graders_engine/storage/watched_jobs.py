"""What the page of a fine-tuning job needs of a store, which may be anybody's: the job and its new events."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from graders_engine.language import strict_json

MAX_CHECKPOINTS = 60
"""Checkpoints of a job that are read, the newest ones."""
MAX_EVENTS = 12
"""Events of a job that are read, the newest ones, and as many of those that are more than information."""
_MAX_CHARS = 4_000
"""Characters of a text; what is longer is cut off."""
_MAX_COUNT = 1 << 53
"""A larger number of steps, or of seconds, is none that a browser can read."""
_JOB = """
    SELECT status, created_at, finished_at, estimated_finish, heartbeat, trained_tokens, fine_tuned_model,
    metadata, request, spec, error FROM job WHERE id = ? {project}
"""
_COUNTS = """
    SELECT max(seq), count(*), sum(level IN ('warn', 'error')) FROM event WHERE job_id = ? AND seq > ?
"""
_METRICS = """
    SELECT step, data FROM event WHERE job_id = ? AND seq > ? AND type = 'metrics' ORDER BY seq
"""
_LAST = f"""
    SELECT level, message, created_at FROM event
    WHERE job_id = ? {{only}} ORDER BY seq DESC LIMIT {MAX_EVENTS}
"""  # noqa: S608 - only a number of this module
_WARNINGS = "AND level IN ('warn', 'error')"
_PLAN = """
    SELECT data FROM event
    WHERE job_id = ? AND once >= 'plan ' AND once < 'plan!' ORDER BY seq DESC LIMIT 1
"""
_CHECKPOINTS = f"""
    SELECT step, name, metrics, resumable, final, created_at FROM checkpoint
    WHERE job_id = ? ORDER BY step DESC LIMIT {MAX_CHECKPOINTS}
"""  # noqa: S608 - only a number of this module


class WatchedEvent(NamedTuple):
    """An event of a job: info, warn or error; a sentence; and when it was, in seconds since 1970."""

    level: str
    message: str
    created_at: int


class NewEvents(NamedTuple):
    """What has happened to a job since a look.

    Attributes:
        seq: of the last event; None if there is no new one.
        new: how many there are.
        warnings: how many of them are more than information.
        last: the newest events of all, the newest first.
        last_warnings: those of them that are more than information; empty if there is no new one.
        plan: what the job is about to do; empty before that.
    """

    seq: int | None
    new: int
    warnings: int
    last: Sequence[WatchedEvent]
    last_warnings: Sequence[WatchedEvent]
    plan: Mapping[str, Any]


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


class Watched(NamedTuple):
    """A job, and what has happened to it since a look."""

    job: WatchedJob
    events: NewEvents


def watched(
    file: sqlite3.Connection,
    job_id: str,
    seq: int,
    each: Callable[[int, str | bytes], object],
    project: str | None = None,
) -> Watched | None:
    """A job and what has happened to it; as of `watched_job` and `events_since`.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    job = watched_job(file, job_id, project)
    return None if job is None else Watched(job, events_since(file, job_id, seq, each))


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
    metadata, request, spec, error = map(mapping_of, parts)
    kept = [_checkpoint(*one) for one in file.execute(_CHECKPOINTS, (job_id,))]
    return WatchedJob(
        job_id, _text(status), _count(created_at) or 0, _count(finished_at), _count(estimated),
        number_of(heartbeat), _count(tokens), _text(tuned), metadata, request, spec, error, kept[::-1],
    )  # fmt: skip


def events_since(
    file: sqlite3.Connection,
    job_id: str,
    seq: int,
    each: Callable[[int, str | bytes], object],
) -> NewEvents:
    """What has happened to a job after one of its events.

    Args:
        file: as for `watched_job`.
        job_id: of the job.
        seq: of the last event that is known; 0 for none.
        each: called with the number and the data of each new step, in their order.

    Raises:
        sqlite3.Error: they cannot be read.
    """
    last, count, warnings = file.execute(_COUNTS, (job_id, seq)).fetchone()
    if _count(count):
        for step, data in file.execute(_METRICS, (job_id, seq)):
            if (number := _count(step)) is not None:
                each(number, data if isinstance(data, str | bytes) else b"")
    plan = file.execute(_PLAN, (job_id,)).fetchone()
    return NewEvents(
        _count(last), _count(count) or 0, _count(warnings) or 0, _last(file, job_id, ""),
        _last(file, job_id, _WARNINGS) if warnings else (), {} if plan is None else mapping_of(plan[0]),
    )  # fmt: skip


def _last(file: sqlite3.Connection, job_id: str, only: str) -> list[WatchedEvent]:
    rows = file.execute(_LAST.format(only=only), (job_id,))
    return [
        WatchedEvent(_text(level), _text(message), _count(at) or 0) for level, message, at in rows
    ]


def _checkpoint(
    step: Any, name: Any, metrics: Any, resumable: Any, final: Any, at: Any
) -> WatchedCheckpoint:
    return WatchedCheckpoint(
        _count(step) or 0, _text(name), mapping_of(metrics), resumable == 1, final == 1, _count(at) or 0
    )  # fmt: skip


def number_of(value: Any) -> float | None:
    """A value of a database or of JSON as a number; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def mapping_of(value: Any) -> Mapping[str, Any]:
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
