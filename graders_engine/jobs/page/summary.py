"""What the page of a job says, from its row, its steps and its rollouts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from graders_engine.files import without_paths
from graders_engine.jobs.page.charts import charts_of, curve_of
from graders_engine.jobs.page.plan import plan_lines
from graders_engine.jobs.page.seen import Seen
from graders_engine.jobs.page.settings import grader_json, settings_lines
from graders_engine.jobs.page.steps import At, FlagKey, Steps
from graders_engine.jobs.states import ENDS, WORKING
from graders_engine.outcome import BLAMES
from graders_engine.report.formatting import BLAME_MEANINGS, format_count, format_number
from graders_engine.report.html.job import (
    BlameLine,
    CheckpointLine,
    EventLine,
    FlagLine,
    JobSummary,
    Line,
    PartLine,
    RolloutCard,
    TimeLine,
)
from graders_engine.report.html.job_filters import format_duration
from graders_engine.storage.watched_jobs import (
    WatchedCheckpoint,
    WatchedEvent,
    WatchedJob,
    number_of,
)

SILENT_S = 60.0
"""A worker that has said nothing for so long may be gone."""
_MOST_LINES = 40
"""Lines of a table."""
_MEANINGS = {
    "validating_files": "Its files are being checked.",
    "queued": "It waits until it is its turn; a server that has the store trains it.",
    "pausing": "It will be paused when its step has ended.",
    "paused": "It waits until somebody resumes it.",
    "cancelled": "It was stopped; its checkpoints stay.",
}
_VALUES = {
    "valid_reward_mean": "validation reward",
    "train_reward_mean": "train reward",
    "valid_loss": "validation loss",
    "train_loss": "train loss",
    "valid_mean_token_accuracy": "validation token accuracy",
    "valid_preference_accuracy": "validation preference accuracy",
}
"""What is said of a checkpoint, and how it is called."""
_PARTS = {
    "sampling": "sampling",
    "grading": "grading",
    "training": "training",
    "eval": "validation",
}
_WHOLE = "full_iteration"


def summary_of(seen: Seen, as_of: str = "") -> JobSummary:
    """What the page of a job says.

    Args:
        seen: what is known of it.
        as_of: what is said of the moment, in a file.
    """
    job, steps = seen.job, seen.steps
    return JobSummary(
        job.id,
        str(job.request.get("suffix") or job.id),
        seen.method,
        _line(job),
        job.status,
        _MEANINGS.get(job.status, ""),
        job.status not in ENDS and job.status != "paused",
        error=_error(job),
        notes=[*_notes(seen)],
        headline=_headline(seen),
        step=steps.step,
        total=steps.total,
        left=_left(seen),
        key_numbers=[*_key_numbers(seen)],
        curve=curve_of(seen.steps, has_rewards=seen.has_rewards),
        charts=[*charts_of(seen.steps, seen.method)],
        parts=[*_parts(steps)],
        plan=[
            *plan_lines(seen.method, job, steps, seen.rollouts, seen.explaining, seen.valid_rows)
        ],
        rollouts=seen.rollouts.total if seen.has_rewards else None,
        unscored=seen.rollouts.unscored.total(),
        blames=[*_blames(steps)] if steps.has_blames else None,
        flags=[*_flags(steps)] if steps.has_flags else None,
        times=[*_times(steps)],
        checkpoints=[*_checkpoints(seen)],
        cards=[*_cards(seen)],
        cards_read=_cards_read(seen),
        warnings=[_event(one) for one in steps.last_warnings],
        warnings_left_out=steps.warnings - len(steps.last_warnings),
        events=[_event(one) for one in steps.last],
        events_left_out=steps.events - len(steps.last),
        settings=[*settings_lines(seen)],
        grader=grader_json(seen),
        judge_tokens=[Line(model, format_count(n)) for model, n in sorted(steps.judges.items())][
            :_MOST_LINES
        ],
        as_of=as_of,
    )


def _line(job: WatchedJob) -> str:
    parts = [job.id, str(job.request.get("model", "")), f"created {moment(job.created_at)}"]
    if job.finished_at is not None:
        parts.append(f"ended {moment(job.finished_at)}")
    return " · ".join(filter(None, parts))


def moment(seconds: float | None) -> str:
    """A time, to the minute; "-" for what is no time of a calendar."""
    return _at(seconds, "%Y-%m-%d %H:%M UTC")


def _at(seconds: float | None, form: str) -> str:
    try:
        return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime(form)
    except (OverflowError, OSError, ValueError):
        return "-"


def _error(job: WatchedJob) -> tuple[str, str] | tuple[()]:
    if not job.error:
        return ()
    return str(job.error.get("code")), without_paths(str(job.error.get("message")))


def _notes(seen: Seen) -> Iterator[str]:
    job, steps = seen.job, seen.steps
    if steps.last_warnings and not job.error:
        more = (
            f" ({format_count(steps.warnings - 1)} more: see Events)" if steps.warnings > 1 else ""
        )
        yield without_paths(steps.last_warnings[0].message) + more
    if job.status in WORKING and job.heartbeat is not None and seen.now - job.heartbeat > SILENT_S:
        silent = format_duration(math.floor((seen.now - job.heartbeat) / 60) * 60.0)
        yield (
            f"Its worker has said nothing for {silent}. If it is gone, a server that has the store starts "
            "another one."
        )
    if seen.rollouts.problem:
        yield seen.rollouts.problem
    if seen.rollouts.unreadable:
        lines = format_count(seen.rollouts.unreadable)
        yield f"{lines} lines of the file of rollouts cannot be read; they are in no number."


def _headline(seen: Seen) -> Line | None:
    for split, word in (("valid", "validation"), ("train", "train")):
        known = seen.steps.known.get(f"{split}_{seen.metric}")
        if known is not None:
            more = "" if known.first == known.last else f"from {_value_at(known.first)}"
            name = f"{word} {seen.word} at step {format_count(known.last.step)}"
            return Line(name, format_number(known.last.value), more)
    return None


def _value_at(at: At) -> str:
    return f"{format_number(at.value)} at step {format_count(at.step)}"


def _left(seen: Seen) -> str:
    job = seen.job
    if job.status not in WORKING or job.estimated_finish is None:
        return ""
    left = job.estimated_finish - seen.now
    if left < 1:  # its next step corrects it
        return ""
    coarse = f"{left:.0f} s" if left < 90 else format_duration(round(left / 60) * 60.0)
    until = _at(job.estimated_finish, "%H:%M UTC")
    return f"about {coarse} left, until {until}"


def _key_numbers(seen: Seen) -> Iterator[Line]:
    job, steps = seen.job, seen.steps
    for name, label in (
        (f"train_{seen.metric}", f"train {seen.word}"),
        ("train_mean_token_accuracy", "train token accuracy"),
        ("train_preference_accuracy", "train preference accuracy"),
    ):
        if (known := steps.known.get(name)) is not None:
            yield _line_of(label, known.last)
    valid = steps.known.get(f"valid_{seen.metric}")
    if valid is not None and valid.first != valid.last:
        yield _line_of(
            f"best validation {seen.word}", valid.high if seen.has_rewards else valid.low
        )
    if seen.has_rewards and seen.rollouts.total:
        unscored = seen.rollouts.unscored.total()
        yield Line("rollouts", format_count(seen.rollouts.total),
                   f"{format_count(unscored)} without a reward" if unscored else "")  # fmt: skip
    if job.trained_tokens is not None:
        yield Line("trained tokens", format_count(job.trained_tokens))
    if whole := steps.seconds.get(_WHOLE):
        yield Line(
            "a step takes",
            format_duration(whole / len(steps.numbers)),
            f"{format_duration(whole)} in all",
        )


def _line_of(name: str, at: At) -> Line:
    return Line(name, format_number(at.value), f"at step {format_count(at.step)}")


def _parts(steps: Steps) -> Iterator[PartLine]:
    for name in [*dict.fromkeys(name for name, _ in steps.parts)][:_MOST_LINES]:
        yield PartLine(name, steps.parts.get((name, "train")), steps.parts.get((name, "valid")))


def _blames(steps: Steps) -> Iterator[BlameLine]:
    for blame in BLAMES:
        train, valid = (steps.blames[blame, split] for split in ("train", "valid"))
        if train or valid:
            yield BlameLine(blame, BLAME_MEANINGS[blame], train, valid)


def _flags(steps: Steps) -> Iterator[FlagLine]:
    keys = dict.fromkeys((key.grader, key.flag) for key in steps.flags)
    lines = [
        FlagLine(
            flag,
            grader,
            *(steps.flags[FlagKey(grader, flag, split)] for split in ("train", "valid")),
        )
        for grader, flag in keys
    ]
    yield from sorted(lines, key=lambda line: -line.train - line.valid)[:_MOST_LINES]


def _times(steps: Steps) -> Iterator[TimeLine]:
    parts = {name: seconds for name, seconds in steps.seconds.items() if name != _WHOLE and seconds}
    names = [
        *(name for name in _PARTS if name in parts),
        *(name for name in parts if name not in _PARTS),
    ]
    for name in names[:_MOST_LINES]:
        line = _PARTS.get(name, name.replace("_", " "))
        yield TimeLine(line, parts[name], parts[name] / len(steps.numbers))
    whole = steps.seconds.get(_WHOLE, 0.0)
    other = whole - math.fsum(parts.values())
    if parts and other > 0.01 * whole:
        yield TimeLine("other", other, other / len(steps.numbers))


def _checkpoints(seen: Seen) -> Iterator[CheckpointLine]:
    name = f"valid_{seen.metric}"
    sign = 1 if seen.has_rewards else -1
    known = [
        (sign * value, one.step)
        for one in seen.job.checkpoints
        if (value := _metric(one, name)) is not None
    ]
    best = max(known)[1] if len(known) > 1 else None
    for one in reversed(seen.job.checkpoints):
        kept = [
            "last step" if one.final else "",
            "best validation" if one.step == best else "",
            "to be resumed from" if one.resumable and not one.final else "",
        ]
        values = [
            Line(word, format_number(value))
            for metric, word in _VALUES.items()
            if (value := _metric(one, metric)) is not None
        ]
        yield CheckpointLine(
            one.step, one.name, values, ", ".join(filter(None, kept)) or "among the best"
        )


def _metric(one: WatchedCheckpoint, name: str) -> float | None:
    return number_of(one.metrics.get(name))


def _cards(seen: Seen) -> Iterator[tuple[str, str, Sequence[RolloutCard]]]:
    best, worst, without = seen.cards
    newest = "one of each row, and of equal ones the newest"
    for heading, note, cards in (
        ("Best", f"The highest rewards of all rollouts: {newest}.", best),
        ("Worst", f"The lowest rewards: {newest}.", worst),
        (
            "Without a reward",
            "The newest that a judge or another service could not grade: in no mean.",
            without,
        ),
    ):
        if cards:
            yield heading, note, cards


def _cards_read(seen: Seen) -> float | None:
    if not seen.has_rewards or seen.rollouts.is_whole or not seen.rollouts.of:
        return None
    return seen.rollouts.done / seen.rollouts.of


def _event(event: WatchedEvent) -> EventLine:
    return EventLine(
        _at(event.created_at, "%m-%d %H:%M:%S"), event.level, without_paths(event.message)
    )
