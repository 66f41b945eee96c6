"""`graders preflight`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from graders_engine.blocking import Engine
from graders_engine.cli.parsing.command import Command
from graders_engine.cli.parsing.engine_options import engine_options, flags_given
from graders_engine.cli.parsing.flags import named_path
from graders_engine.cli.parsing.grader import takes_grader
from graders_engine.cli.parsing.input_files import files_read, read_file
from graders_engine.cli.parsing.locations import DATA, FILE
from graders_engine.cli.parsing.preflight_options import max_calls_option, reference_options
from graders_engine.cli.request import read_flag
from graders_engine.cli.terminal.failing import FAILED, complain
from graders_engine.cli.terminal.printing import format_value, print_lines
from graders_engine.errors import InvalidRequest
from graders_engine.language import strict_json
from graders_engine.models.config import PreflightConfig, read_config
from graders_engine.preflight.findings import SEVERITIES, Severity
from graders_engine.preflight.options import SERVICES, Options
from graders_engine.report.terminal.screen import screen_of
from graders_engine.urls import Location

if TYPE_CHECKING:
    from graders_engine.preflight.inputs import Inputs
    from graders_engine.preflight.trials import Plan

_SHOW_AFTER_S = 2.0
"""A shorter run shows no progress."""


def _explain(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    from graders_engine.report.terminal.preflight_checks import explained, listed

    screen = screen_of(sys.stdout)
    click.echo(listed(screen) if value == "list" else explained(value, screen))
    ctx.exit()


@click.command(
    "preflight",
    cls=Command,
    example="graders preflight --grader @grader.json --train train.jsonl --reference-field answer",
)
@takes_grader(required=False)
@click.option("--train", metavar="FILE", type=DATA, help="The training rows.")
@click.option("--validation", metavar="FILE", type=DATA, help="The validation rows.")
@click.option(
    "--samples",
    metavar="FILE",
    type=DATA,
    help="Answers of the base model to these rows, in any shape that `score` reads.",
)
@click.option(
    "--job",
    metavar="FILE",
    type=FILE,
    help="The request of the job, as JSON; it may hold the grader. Given as the grader, it is the job, too.",
)
@reference_options
@click.option(
    "--rows",
    metavar="N",
    type=click.IntRange(2),
    help="Rows that are graded with their right answers; attacks get 2 in 5 of them (default: 30).",
)
@click.option(
    "--group-size",
    metavar="N",
    type=click.IntRange(2),
    default=8,
    help="Samples of a group in training (default: 8).",
)
@max_calls_option
@click.option(
    "--service",
    type=click.Choice(SERVICES),
    help="Whose rules on models and graders to check (default: none).",
)
@click.option(
    "--select", metavar="ID,…", multiple=True, help="Ask these checks, or groups of checks, only."
)
@click.option(
    "--ignore",
    metavar="ID[=REASON]",
    multiple=True,
    help="Do not count the findings of a check; the reason is shown.",
)
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    help="Exit with code 3 if a finding is as grave (default: error).",
)
@click.option(
    "--report",
    "page",
    metavar="FILE",
    type=FILE,
    callback=named_path,
    help="Write the report as one HTML file, too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress, and print no plan.")
@click.option(
    "--explain",
    metavar="ID",
    is_eager=True,
    expose_value=False,
    callback=_explain,
    help="Say what a check means, why, and what to do; `list` lists all checks.",
)
@engine_options(use_cache=True)
def command(
    engine: Engine,
    grader: str | None,
    *,
    train: Location | None,
    validation: Location | None,
    samples: Location | None,
    job: Path | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: Severity | None,
    page: Path | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Check whether a grader is fit for a reinforcement fine-tuning job.

    Answers five questions: is the grader valid on these rows, what does it give, is there anything to learn,
    can it be gamed, and what will it cost. Each check finds something, finds nothing, or is not asked; the
    report says which, and why. Files are read whole; of the rows, some are drawn and graded with their right
    answers, other rows' answers, wrong versions of the right answer, and answers that try to be rewarded
    without being right. Calls of judges are counted before the first one.

    Exit codes: 0 if nothing as grave as --fail-on was found; 3 if something was; 1 if a file cannot be read,
    or the budget for judges is spent before all is graded; 2 if the request is wrong.

    With --json it prints {"engine", "settings", "grader", "inputs", "summary", "findings", "fine",
    "not_checked", "measured", "groups", "verdicts"}; a finding is {"id", "severity", "message", "where",
    "rows", "numbers", "details", "fix", "see", "ignored"}. `graders view` shows such a file beside the runs
    of its folder, with a link from each finding to its rows.
    """
    if job is None and (job := _job_in(grader)) is not None:
        grader = None
    request = None if job is None else _job(job)
    value = None if grader is None else read_flag("grader", grader)
    config = _settings(engine)
    _require_page(page, [path for path in (train, validation, samples) if path is not None])
    options = Options(
        **{name: value for name, value in given.items() if value is not None},
        select=tuple(name for names in select for name in names.split(",")),
        ignore={**config.ignore, **dict(map(_ignored, ignore))},
        limits=config.limits,
        flags=flags_given(),
    )
    with engine, _progress(quiet=quiet or as_json) as on_progress:
        report = engine.preflight(
            value,
            train=train,
            validation=validation,
            samples=samples,
            job=request,
            options=options,
            grader_file=_name_of(grader),
            job_file=str(job or ""),
            on_plan=lambda plan, inputs: None if quiet else show_plan(engine, plan, inputs),
            on_progress=on_progress,
        )
    if as_json:
        from graders_engine.report.stored_preflight import preflight_json

        click.echo(format_value(preflight_json(report, fail_on or config.fail_on), "json"))
    else:
        from graders_engine.report.terminal.preflight import preflight_text

        click.echo(preflight_text(report, screen_of(sys.stdout), fail_on or config.fail_on))
    if page is not None:
        from graders_engine.report.html.place import write_page
        from graders_engine.report.html.preflight import preflight_page

        write_page(page, preflight_page(report))
        if not as_json:
            print_lines([f"report in {page}"])
    if faults := [file.fault for file in report.inputs.files if file.fault]:
        complain(*faults)
        sys.exit(FAILED)
    if report.inputs.stopped:
        complain(report.inputs.stopped)
        sys.exit(FAILED)
    sys.exit(report.exit_code(fail_on or config.fail_on))


def _require_page(page: Path | None, inputs: Sequence[Location]) -> None:
    """Check that the page can be written, before anything is read or graded."""
    if page is None:
        return
    from graders_engine.report.html.place import require_place

    require_place(page, [], others=[*inputs, *files_read()], option="--report")


def _job(path: Path) -> dict[str, Any]:
    try:
        value = strict_json.decode(read_file(path))
    except ValueError as error:
        raise InvalidRequest(f"{path} is not JSON: {strict_json.explained(error)}.") from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"{path}: the request of a job is a JSON object.")
    return value


def _job_in(grader: str | None) -> Path | None:
    """The file of a grader, if it is the request of a reinforcement job that holds the grader."""
    name = _name_of(grader)
    if not name:
        return None
    try:
        value = strict_json.decode(read_file(Path(name)))
    except ValueError:
        return None
    method = value.get("method") if isinstance(value, dict) else None
    holds = isinstance(method, dict) and isinstance(method.get("reinforcement"), dict)
    return Path(name) if holds else None


def _name_of(grader: str | None) -> str:
    return grader[1:] if grader is not None and grader.startswith("@") else ""


def _ignored(text: str) -> tuple[str, str]:
    id_, equals, reason = text.partition("=")
    if equals and not reason.strip():
        raise InvalidRequest(f"--ignore {text}: the reason is empty; write {id_}=REASON, or {id_}.")
    return id_, reason or "--ignore"


def _settings(engine: Engine) -> PreflightConfig:
    """What graders.toml says of preflight."""
    path = engine.settings.judge_settings().config
    return PreflightConfig() if path is None else read_config(Path(path)).preflight


def show_plan(engine: Engine, plan: Plan, inputs: Inputs) -> None:
    """Say how many calls judges will get, before the first."""
    from graders_engine.report.terminal.judge_plan import plan_sentence

    attempts = engine.settings.judge_settings().retry.attempts
    if sentence := plan_sentence(plan, inputs, attempts):
        print_lines([sentence], err=True)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how many samples of how many are graded."""
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda done, of: None
        return
    started, printed = monotonic(), False

    def show(done: int, of: int) -> None:
        nonlocal printed
        if monotonic() - started > _SHOW_AFTER_S:
            printed = True
            click.echo(f"\rgrading {done:,} of {of:,}", err=True, nl=False)

    try:
        yield show
    finally:
        if printed:
            click.echo("\r\x1b[K", err=True, nl=False, color=True)
