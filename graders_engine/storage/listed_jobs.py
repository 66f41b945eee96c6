"""What lists say of fine-tuning jobs: how far each is, and its curve, in time that grows with no job."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from graders_engine.language import strict_json
from graders_engine.storage.ids import is_name

POINTS = 200
"""Steps of a job in its curve; of more, so many are picked evenly, with the first and the last one."""
_MAX_CHARS = 2000
"""Characters of a text; what is longer is cut off."""
_MAX_COUNT = 1 << 53
"""A larger number of steps is none that a browser can read."""
_CHECKPOINTS = 100
"""So many of the newest checkpoints are looked at for a validation, which each has but those of pauses."""


def _part(column: str, path: str) -> str:
    """SQL for a part of a JSON column; null where the column is no JSON."""
    return f"CASE WHEN json_valid({column}) THEN json_extract({column}, '{path}') END"


def _text_part(column: str, path: str) -> str:
    return f"substr({_part(column, path)}, 1, {_MAX_CHARS})"


_JOBS = f"""
    SELECT substr(id, 1, {_MAX_CHARS}), {_text_part("request", "$.suffix")},
    {_text_part("request", "$.model")}, {_text_part("request", "$.method.type")},
    substr(status, 1, {_MAX_CHARS}), created_at, {_text_part("error", "$.code")},
    {_text_part("error", "$.message")}, substr(fine_tuned_model, 1, {_MAX_CHARS}) FROM job
"""  # noqa: S608 - only names and numbers of this module
# Each of the two is one look into the index; both in one query would read the whole of it.
_ENDS = """
    SELECT (SELECT min(step) FROM event WHERE job_id = :job AND type = 'metrics'),
    (SELECT max(step) FROM event WHERE job_id = :job AND type = 'metrics')
"""
_STEPS = f"""
    SELECT step, {_part("data", "$.total_steps")}, {_part("data", "$.train_{metric}")},
    {_part("data", "$.valid_{metric}")} FROM event
    WHERE job_id = ? AND type = 'metrics' AND step IN (SELECT value FROM json_each(?)) ORDER BY step
"""  # noqa: S608 - as above
_VALID = f"""
    SELECT step, valid FROM (
        SELECT step, {_part("metrics", "$.valid_{metric}")} AS valid FROM checkpoint
        WHERE job_id = ? ORDER BY step DESC LIMIT {_CHECKPOINTS}
    ) WHERE valid IS NOT NULL LIMIT 1
"""  # noqa: S608 - as above
_PLANNED = f"""
    SELECT {_part("data", "$.total_steps")} FROM event
    WHERE job_id = ? AND once >= 'plan ' AND once < 'plan!' ORDER BY seq DESC LIMIT 1
"""  # noqa: S608 - as above


class Point(NamedTuple):
    """A step of a curve.

    Attributes:
        step: its number.
        value: its reward or loss; None if it has none.
    """

    step: int
    value: float | None


class ListedJob(NamedTuple):
    """What a list says of a job.

    Attributes:
        id: of the job.
        suffix: what its user calls it; may be empty.
        model: that is trained; may be empty.
        method: supervised, dpo or reinforcement.
        status: as of `StoredJob`.
        created_at: seconds since 1970.
        code: of its error; empty without one.
        message: of its error; empty without one.
        fine_tuned_model: the name of what was trained; empty before that.
        of: how many steps it has in all; None if that is not known yet.
        points: at most `POINTS` steps with the mean reward, or the loss, of the training.
        valid: the last step that was validated, with its reward or loss; None without any.
    """

    id: str
    suffix: str
    model: str
    method: str
    status: str
    created_at: int
    code: str
    message: str
    fine_tuned_model: str
    of: int | None
    points: Sequence[Point]
    valid: Point | None

    @property
    def has_rewards(self) -> bool:
        """Whether its points are rewards, and not losses."""
        return self.method == "reinforcement"


def listed_jobs(
    file: sqlite3.Connection, limit: int, project: str | None = None
) -> Iterator[ListedJob]:
    """The newest jobs, as far as their ids can be such.

    Args:
        file: a database, which may be anybody's: its values may be of any type.
        limit: how many jobs at most.
        project: whose; None for those of all projects.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    where, values = ("", ()) if project is None else ("WHERE project = ?", (project,))
    rows = file.execute(f"{_JOBS} {where} ORDER BY seq DESC LIMIT ?", (*values, limit)).fetchall()
    for row in rows:
        own_id, suffix, model, method, status, created_at, *texts = row
        if not isinstance(own_id, str) or not is_name(own_id):
            continue
        kind = _text(method) or "supervised"
        code, message, tuned = map(_text, texts)
        yield ListedJob(
            own_id,
            _text(suffix),
            _text(model),
            kind,
            _text(status),
            created_at if isinstance(created_at, int) else 0,
            code,
            message,
            tuned,
            *_curve(file, own_id, "reward_mean" if kind == "reinforcement" else "loss"),
        )


def _curve(
    file: sqlite3.Connection, job_id: str, metric: str
) -> tuple[int | None, list[Point], Point | None]:
    """How many steps a job has in all, its points, and its last validation."""
    first, last = map(_count, file.execute(_ENDS, {"job": job_id}).fetchone())
    if first is None or last is None:
        planned = file.execute(_PLANNED, (job_id,)).fetchone()
        return None if planned is None else _count(planned[0]), [], None
    picked = strict_json.encode(_evenly(first, last)).decode()
    points: list[Point] = []
    of, valid = None, None
    for step, total, train, tried in file.execute(_STEPS.format(metric=metric), (job_id, picked)):
        points.append(Point(step, _number(train)))
        of = _count(total)
        if (value := _number(tried)) is not None:
            valid = Point(step, value)
    # A step between those that were picked may have been validated: then it has a checkpoint.
    kept = file.execute(_VALID.format(metric=metric), (job_id,)).fetchone()
    if kept is not None and (step := _count(kept[0])) is not None:
        value = _number(kept[1])
        if value is not None and (valid is None or valid.step < step <= last):
            valid = Point(step, value)
    return of, points, valid


def _evenly(first: int, last: int) -> list[int]:
    """At most `POINTS` numbers from the first to the last one, both among them."""
    if last - first < POINTS:
        return list(range(first, last + 1))
    return [first + (last - first) * at // (POINTS - 1) for at in range(POINTS)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and 0 <= value < _MAX_COUNT else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and math.isfinite(value) else None
