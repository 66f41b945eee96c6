"""Jobs, their curves, checkpoints and events as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from graders_engine.jobs.wire import job_object
from graders_engine.report.formatting import format_number
from graders_engine.report.terminal.screen import Caution, Heading, Problem, Screen
from graders_engine.report.visible import one_line
from graders_engine.storage.job_records import StoredCheckpoint, StoredEvent
from graders_engine.storage.jobs import StoredJob

_STATUS_LINES: dict[str, type[str]] = {"failed": Problem, "cancelled": Caution, "paused": Caution}
_EVENT_LINES: dict[str, type[str]] = {"error": Problem, "warn": Caution}
_BARS = "▁▂▃▄▅▆▇█"
_CURVES = (
    ("train_reward_mean", "reward"),
    ("valid_reward_mean", "validation reward"),
    ("train_loss", "loss"),
    ("valid_loss", "validation loss"),
)
"""What is drawn of the events, and how it is called."""
_LABEL_CHARS = 18
_NAME_COLUMNS = 22
"""Columns for a model's name before others are left out: `gpt-4o-mini-2024-07-18`."""
_LEAST_COLUMNS = 12
"""A name is cut to no fewer columns."""


def job_table(jobs: Sequence[StoredJob], screen: Screen) -> Iterator[str]:
    """Jobs, each in one line; where a model's name would have no room, without the times."""
    if not jobs:
        return
    status = max(len(job.status) for job in jobs)
    method = max(len(_method(job)) for job in jobs)
    for job in jobs:
        line = f"{job.id}  {job.status:<{status}}  {_method(job):<{method}}  "
        at = f"{_minute(job.created_at)}  "
        if len(line) + len(at) + _NAME_COLUMNS <= screen.columns:
            line += at
        room = max(screen.columns - len(line), _LEAST_COLUMNS)
        line += one_line(str(job.request.get("model")), room)
        yield _STATUS_LINES.get(job.status, str)(line)


def _method(job: StoredJob) -> str:
    return str((job.request.get("method") or {}).get("type", ""))


def job_lines(job: StoredJob) -> Iterator[str]:
    """A job, but for its curve."""
    answered = job_object(job)
    method = answered["method"]
    yield Heading(f"{job.id}  {job.status}")
    yield _field("model", str(answered["model"]))
    if job.fine_tuned_model:
        yield _field("tuned model", job.fine_tuned_model)
    yield _field("method", str(method["type"]))
    values = method[method["type"]].get("hyperparameters") or {}
    yield _field("hyperparameters", ", ".join(f"{name} {value}" for name, value in values.items()))
    yield _field("created", _minute(job.created_at))
    for name, seconds in (("finished", job.finished_at), ("to finish", job.estimated_finish)):
        if seconds is not None:
            yield _field(name, _minute(seconds))
    if job.trained_tokens is not None:
        yield _field("trained tokens", f"{job.trained_tokens:,}")
    for name in ("training_file", "validation_file"):
        if answered[name]:
            yield _field(name.replace("_", " "), str(answered[name]))
    if job.result_files:
        yield _field("result files", ", ".join(job.result_files))
    if job.metadata:
        yield _field("metadata", ", ".join(f"{key}={value}" for key, value in job.metadata.items()))
    if answered["error"]:
        yield Problem(
            _field("error", f"{answered['error']['message']} ({answered['error']['code']})")
        )


def curve_lines(metrics: Sequence[StoredEvent], screen: Screen) -> Iterator[str]:
    """The curves of a job: a bar for some steps each, and the first and the last number.

    Args:
        metrics: the events of its steps, in their order.
        screen: what it is printed on.
    """
    found = {name: _values(metrics, name) for name, _ in _CURVES}
    if found["train_reward_mean"]:
        del found["train_loss"]  # of reinforcement, it is about 0 whatever is learned
    for name, label in _CURVES:
        if values := found.get(name):
            first, last = format_number(values[0]), format_number(values[-1])
            room = max(min(screen.columns - _LABEL_CHARS - 24, 60), 8)
            yield _field(label, f"{bars(values, room)}  {first} → {last}")


def bars(values: Sequence[float], most: int) -> str:
    """A row of at most so many bars; each is the mean of as many values."""
    count = min(len(values), most)
    edges = [round(len(values) * at / count) for at in range(count + 1)]
    means = [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
    low, high = min(means), max(means)
    width = (high - low) or 1.0
    return "".join(_BARS[round((mean - low) / width * (len(_BARS) - 1))] for mean in means)


def checkpoint_lines(kept: Sequence[StoredCheckpoint]) -> Iterator[str]:
    """The checkpoints of a job."""
    if kept:
        yield ""
        yield Heading("checkpoints")
    for one in kept:
        numbers = ", ".join(
            f"{name} {format_number(value)}"
            for name, value in one.metrics.items()
            if name != "step" and not _is_said_twice(name, one.metrics)
        )
        yield f"  step {one.step}  {one.name}"
        if numbers:
            yield f"    {numbers}"


def _is_said_twice(name: str, metrics: Mapping[str, Any]) -> bool:
    """Whether a metric of all validation rows equals the one of those that were read at the step."""
    short = name.removeprefix("full_")
    return short != name and metrics.get(short) == metrics[name]


def event_line(event: StoredEvent) -> str:
    """An event in one line."""
    at = datetime.fromtimestamp(event.created_at).strftime("%H:%M:%S")
    text = one_line(event.message, 1_000)
    return _EVENT_LINES.get(event.level, str)(f"{at}  {event.level:<5}  {text}")


def _values(metrics: Sequence[StoredEvent], name: str) -> list[float]:
    found: list[float] = []
    for event in metrics:
        data: Mapping[str, Any] = event.data or {}
        value = data.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found.append(float(value))
    return found


def _field(name: str, value: str) -> str:
    return f"  {name:<{_LABEL_CHARS}}{one_line(value, 1_000)}"


def _minute(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
