"""What a job is to do and has done: steps, rows, answers, calls of graders and judges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.jobs.page.explaining import Explaining
from graders_engine.jobs.page.rollouts import Rollouts
from graders_engine.jobs.page.steps import Steps
from graders_engine.report.formatting import format_count
from graders_engine.report.html.job import PlanLine
from graders_engine.storage.watched_jobs import WatchedJob, number_of


def plan_lines(
    method: str,
    job: WatchedJob,
    steps: Steps,
    rollouts: Rollouts,
    explaining: Explaining,
    valid_rows: int | None,
) -> Iterator[PlanLine]:
    """The lines of the plan of which anything is known.

    Args:
        method: how the job trains.
        job: the job.
        steps: its events.
        rollouts: those of a reinforcement job.
        explaining: knows its grader.
        valid_rows: of the validation file; None if that is not known.
    """
    for line in _lines(method, job, steps, rollouts, explaining, valid_rows):
        if line.planned is not None or line.done:
            yield line


def _lines(
    method: str,
    job: WatchedJob,
    steps: Steps,
    rollouts: Rollouts,
    explaining: Explaining,
    valid_rows: int | None,
) -> Iterator[PlanLine]:
    given = job.spec.get("hyperparameters")
    values = given if isinstance(given, dict) else {}
    done = steps.step
    yield PlanLine("Steps", steps.total, done)
    batch = _whole(values, "batch_size")
    yield PlanLine(
        "Rows trained with", _times(steps.total, batch), _times(done, batch), _rows(steps.plan, values)
    )  # fmt: skip
    if method == "reinforcement":
        yield from _answers(values, steps, rollouts, explaining, valid_rows)
    if job.trained_tokens is not None:
        yield PlanLine("Tokens", None, job.trained_tokens)


def _rows(plan: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    rows, epochs, batch = (
        _whole(plan, "rows"),
        _whole(values, "n_epochs"),
        _whole(values, "batch_size"),
    )
    return ", ".join(
        text
        for number, text in (
            (rows, f"{_count(rows)} in the file"),
            (epochs, f"{_count(epochs)} {'epoch' if epochs == 1 else 'epochs'}"),
            (batch, f"{_count(batch)} a step"),
        )
        if number is not None
    )


def _answers(
    values: Mapping[str, Any],
    steps: Steps,
    rollouts: Rollouts,
    explaining: Explaining,
    valid_rows: int | None,
) -> Iterator[PlanLine]:
    a_step = _whole(steps.plan, "rollouts_per_step")
    train = _times(steps.total, a_step)
    known = rollouts.is_whole
    trained, validated = (rollouts.counts[split] if known else None for split in ("train", "valid"))
    yield PlanLine(
        "Answers to train with",
        train,
        trained,
        f"{_count(a_step)} a step" if a_step else "",
    )
    interval, samples = _whole(values, "eval_interval"), _whole(values, "eval_samples")
    validations = math.ceil(steps.total / interval) if steps.total and interval else None
    valid = _times(_times(validations, valid_rows), samples)
    more = ""
    if validations is not None and interval is not None:
        each = "step" if interval == 1 else f"{_count(interval)} steps"
        more = f"{_count(validations)} validations, each {each}"
        if samples is not None and valid_rows is not None:
            more += f": {_count(samples)} to each of {_count(valid_rows)} rows"
    yield PlanLine("Answers to validate with", valid, validated, more)
    planned = None if train is None or valid is None else train + valid
    sampled = rollouts.total if known else None
    parts, judges = explaining.graders
    if parts is not None:
        more = f"{_count(parts)} graders for each answer" if parts > 1 else "one for each answer"
        yield PlanLine("Grader calls", _times(planned, parts), _times(sampled, parts), more)
    if judges:
        more = "at most: equal requests are asked once, and a judge may be asked several times"
        yield PlanLine("Judge calls", _times(planned, judges), _times(sampled, judges), more)


def _whole(values: Mapping[str, Any], name: str) -> int | None:
    number = number_of(values.get(name))
    return int(number) if number is not None and 0 < number < 1 << 53 else None


def _times(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one * other


def _count(number: int | None) -> str:
    return "-" if number is None else format_count(number)
