"""Preflight as a whole: read the files, ask what needs no grading, grade, ask the rest."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from graders_engine.engine import AsyncEngine
from graders_engine.errors import BudgetSpent, InvalidGrader, InvalidRequest
from graders_engine.graders.parts import wrapped
from graders_engine.models.judges import JudgeSettings
from graders_engine.outcome import RowOutcome
from graders_engine.preflight.asking import Answers, require_known, selected
from graders_engine.preflight.check import Check
from graders_engine.preflight.data_file import DataFile, require_field, sha256_of
from graders_engine.preflight.findings import SEVERITIES
from graders_engine.preflight.grader.response_schema import response_format, schema_in
from graders_engine.preflight.grader_facts import GraderFacts
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.options import Options
from graders_engine.preflight.references import reference_source
from graders_engine.preflight.report import PreflightReport
from graders_engine.preflight.samples import grade
from graders_engine.preflight.samples.read_samples import read_samples
from graders_engine.preflight.schemas.form import usable_schema
from graders_engine.preflight.table import CHECKS, MEASURES, STAGES
from graders_engine.preflight.trials import Plan, graded, plan_of
from graders_engine.urls import Location, Url, location


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined; what is not given is None.

    Attributes:
        grader: as for `Engine.compile`; None takes it from the job.
        train: the training file.
        validation: the validation file.
        samples: a file of a base model's answers, in any shape that `graders score` takes.
        job: the request of the fine-tuning job.
        grader_file: the grader's file, for places.
        job_file: the job's file, for places.
    """

    grader: Any = None
    train: Location | str | None = None
    validation: Location | str | None = None
    samples: Location | str | None = None
    job: Mapping[str, Any] | None = None
    grader_file: str = ""
    job_file: str = ""


Progress = Callable[[int, int], None]
OnPlan = Callable[[Plan, Inputs], None]


async def preflight(
    engine: AsyncEngine,
    grader: Any = None,
    *,
    train: Location | str | None = None,
    validation: Location | str | None = None,
    samples: Location | str | None = None,
    job: Mapping[str, Any] | None = None,
    options: Options | None = None,
    grader_file: str = "",
    job_file: str = "",
    on_plan: OnPlan = lambda plan, inputs: None,
    on_progress: Progress = lambda done, of: None,
    **unknown: Any,
) -> PreflightReport:
    """Check whether a grader is fit for a reinforcement fine-tuning job: `graders preflight` as a call.

    Args:
        engine: grades what must be graded.
        grader: as for `Engine.compile`; None takes it from the job.
        train: the training file.
        validation: the validation file.
        samples: a file of a base model's answers, in any shape that `graders score` takes.
        job: the request of the fine-tuning job.
        options: what is asked, and how much may be graded.
        grader_file: the name of the grader's file, which findings show as their place.
        job_file: the name of the job's file, likewise.
        on_plan: called before the first row is graded.
        on_progress: called with how many samples of how many are graded.
        unknown: refused, with what to pass.

    Raises:
        TypeError: a file is no path, or there is no such keyword.
        InvalidRequest: an option names what does not exist, or there is no grader.
        LifecycleError: the engine is closed.
    """
    for name in unknown:
        fields = [entry.name for entry in dataclasses.fields(Options)]
        instead = f": pass options=Options({name}=…)" if name in fields else ""
        raise TypeError(f"preflight() has no keyword `{name}`{instead}.")
    for name, path in (("train", train), ("validation", validation), ("samples", samples)):
        if path is not None and not isinstance(path, (str, os.PathLike, Url)):
            raise TypeError(
                f"`{name}` is the path of a file, and not a {type(path).__name__}: write the rows to a "
                "file, one json.dumps(row) a line."
            )
    subject = Subject(grader, train, validation, samples, job, grader_file, job_file)
    return await examine(
        engine, subject, options or Options(), on_plan=on_plan, on_progress=on_progress
    )


async def examine(
    engine: AsyncEngine,
    subject: Subject,
    options: Options,
    *,
    on_plan: OnPlan = lambda plan, inputs: None,
    on_progress: Progress = lambda done, of: None,
) -> PreflightReport:
    """Ask every check that is selected.

    Args:
        engine: grades what must be graded.
        subject: what is examined.
        options: how.
        on_plan: called before the first row is graded.
        on_progress: called with how many samples of how many are graded.

    Raises:
        InvalidRequest: an option names what does not exist, or there is nothing to examine.
    """
    started = perf_counter()
    checks = selected(CHECKS, options.select)
    require_known(CHECKS, options.ignore)
    inputs = _inputs(engine, subject, options)
    await asyncio.to_thread(_read_files, inputs, subject, checks)
    rows = inputs.train.drawn if inputs.train else []
    if options.reference_field is not None:
        await asyncio.to_thread(require_field, inputs.files, options.reference_field)
    inputs.references = reference_source(
        inputs.grader,
        [row.item for row in rows],
        field=options.reference_field,
        template=options.reference_template,
        schema=usable_schema(schema_in(response_format(inputs.job))),
    )
    answers = Answers()
    answers.ask((check for check in checks if check.group not in ("rows", "samples")), inputs)
    later = [check for check in checks if check.group in ("rows", "samples")]
    if not inputs.lacking:
        await _grade(engine, inputs, subject, [c for c in later if not answers.cause_of(c)],
                     on_plan, on_progress)  # fmt: skip
    answers.ask_again((check for check in checks if check.again), inputs)
    answers.ask(later, inputs)
    measured = {name: value for name, of in MEASURES.items() if (value := of(inputs)) is not None}
    return _report(answers, inputs, checks, measured, perf_counter() - started)


def _inputs(engine: AsyncEngine, subject: Subject, options: Options) -> Inputs:
    inputs = Inputs(
        options, job=subject.job, job_file=subject.job_file, grader_file=subject.grader_file,
        samples_file="" if subject.samples is None else str(location(subject.samples)),
    )  # fmt: skip
    grader = subject.grader
    if grader is None and subject.job is not None:
        grader = wrapped(dict(subject.job)).grader
        inputs.grader_file = subject.job_file
    if grader is None:
        raise InvalidRequest("There is no grader: give one, or a job that holds it.")
    try:
        inputs.grader = GraderFacts(engine.compile(grader))
    except InvalidGrader as error:
        inputs.mistakes = error.mistakes
    return inputs


def _read_files(inputs: Inputs, subject: Subject, checks: Sequence[Check]) -> None:
    inputs.collecting = frozenset(check.id for check in checks if check.collects)
    for role, path in (("train", subject.train), ("validation", subject.validation)):
        if path is None:
            continue
        file = DataFile(location(path), role)
        collectors = [check.collects(inputs) for check in checks if check.collects]
        file.read(collectors, max(inputs.options.rows, 2), inputs.options.seed)
        setattr(inputs, role, file)
    if subject.samples is not None:
        inputs.samples_sha256 = sha256_of(location(subject.samples))


async def _grade(
    engine: AsyncEngine,
    inputs: Inputs,
    subject: Subject,
    checks: Iterable[Check],
    on_plan: OnPlan,
    on_progress: Progress,
) -> None:
    """Grade what these checks need."""
    facts = inputs.grader
    if facts is None:
        return
    ids = {check.id for check in checks}
    stages = [stage for stage in STAGES if ids.intersection(stage.checks)]
    if subject.samples is not None and any(stage.name == grade.NAME for stage in stages):
        await asyncio.to_thread(read_samples, inputs, location(subject.samples))
    repeats = engine.settings.judge_settings().repeats
    inputs.plan = plan_of(inputs, stages, repeats)
    inputs.prices = engine.prices()
    on_plan(inputs.plan, inputs)
    inputs.concurrency = engine.settings.concurrency
    async with AsyncExitStack() as stack:
        main = engine
        if facts.spec.runs_python() and not facts.judges:
            # With more rows in flight than processes, a row's seconds would hold its wait for one.
            inputs.concurrency = min(inputs.concurrency, os.cpu_count() or 1)
            main = await stack.enter_async_context(_with(engine, concurrency=inputs.concurrency))
        asked = engine.settings.judge_settings()
        if facts.judges and asked.cache is None:
            # Equal requests are asked once, as the plan counts them, however far apart their rows are.
            folder = stack.enter_context(TemporaryDirectory(prefix="graders-preflight-"))
            asked = dataclasses.replace(asked, cache=Path(folder) / "replies.sqlite")
        asking = [engine]

        async def score(rows: Iterable[dict[str, Any]], times: int) -> AsyncIterator[RowOutcome]:
            used = main
            if facts.judges:
                judges = dataclasses.replace(
                    asked, repeats=max(times, repeats), **_left(asked, asking)
                )
                used = await stack.enter_async_context(_with(engine, judges=judges))
                asking.append(used)
            compiled = facts.compiled if used is engine else used.compile(facts.compiled.given)
            async with aclosing(used.score_single(compiled, rows)) as outcomes:
                async for outcome in outcomes:
                    yield outcome

        trials, inputs.stopped = await graded(
            inputs.plan, score, judged=bool(facts.judges), on_progress=on_progress
        )
        if own := trials.pop(grade.NAME, None):
            grade.take(inputs, own)
        inputs.trials = trials


def _left(asked: JudgeSettings, asking: Iterable[AsyncEngine]) -> dict[str, Any]:
    """What these engines have left of the budget for judges.

    Raises:
        BudgetSpent: nothing.
    """
    spent = [engine.spending() for engine in asking]
    left: dict[str, Any] = {}
    for name, unit in (("max_cost", "cost"), ("max_tokens", "tokens")):
        if (most := getattr(asked, name)) is not None:
            left[name] = most - sum(one[unit] for one in spent)
            if left[name] <= 0:
                raise BudgetSpent("The budget for judges is spent.")
    return left


def _with(engine: AsyncEngine, **settings: Any) -> AsyncEngine:
    """An engine with the same settings but these."""
    return AsyncEngine.from_settings(dataclasses.replace(engine.settings, **settings))


def _report(
    answers: Answers,
    inputs: Inputs,
    checks: Iterable[Check],
    measured: Mapping[str, Any],
    seconds: float,
) -> PreflightReport:
    ignore = inputs.options.ignore
    counted = [found for found in answers.findings if found.id not in ignore]
    counted.sort(key=lambda found: -SEVERITIES.index(found.severity))
    return PreflightReport(
        counted,
        answers.fine,
        answers.not_checked,
        [(found, ignore[found.id]) for found in answers.findings if found.id in ignore],
        measured,
        inputs,
        seconds,
        {check.id: check.group for check in checks},
    )
