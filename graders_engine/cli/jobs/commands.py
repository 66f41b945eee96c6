"""`graders jobs` and its commands."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from graders_engine.cli.evals.stored import where
from graders_engine.cli.jobs.page import page
from graders_engine.cli.jobs.stored import find_job, is_served, opened
from graders_engine.cli.jobs.text import (
    checkpoint_lines,
    curve_lines,
    event_line,
    job_lines,
    job_table,
)
from graders_engine.cli.parsing.command import Command, Group
from graders_engine.cli.parsing.judge_options import CONFIG
from graders_engine.cli.parsing.store import JOBS, PROJECT_OF_JOBS
from graders_engine.cli.terminal.printing import format_value, print_lines
from graders_engine.errors import InvalidRequest
from graders_engine.jobs import states
from graders_engine.jobs.exporting import checkpoint_of, export_model
from graders_engine.jobs.wire import checkpoint_object, event_object, job_object
from graders_engine.models.config import Config, read_config
from graders_engine.report.terminal.screen import Heading, screen_of
from graders_engine.storage.job_records import StoredEvent
from graders_engine.storage.jobs import Jobs, StoredJob
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store

_PAGE = 500
_POLL_S = 0.5
_EVENTS_SHOWN = 8
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the objects as JSON.")
_ID = click.argument("job_id", metavar="ID")
_EXAMPLE = """\
graders jobs list --jobs DIR
graders jobs show ftjob-68b1... --jobs DIR
graders jobs events ftjob-68b1... --follow --jobs DIR"""


@click.group("jobs", cls=Group, example=_EXAMPLE)
def command() -> None:
    """Show and steer the fine-tuning jobs in a folder of `graders serve --jobs`.

    No server is needed for this; one takes the requests that create jobs, and starts their training. The
    beginning of an id is enough, if nothing else begins so.
    """


@command.command("list", cls=Command, example="graders jobs list --jobs DIR")
@JOBS
@PROJECT_OF_JOBS
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Show at most N jobs, the newest first.",
)
@_JSON
def list_(jobs: Path, project: str, limit: int, *, as_json: bool) -> None:
    """List jobs: their states, methods and models.

    With --json it prints {"jobs", "has_more"}: each job as the API answers it.
    """
    with opened(jobs) as store:
        found = store.jobs.page(project, Page(None, limit, "desc"))
    if as_json:
        objects = [job_object(job) for job in found.data]
        click.echo(format_value({"jobs": objects, "has_more": found.has_more}, "json"))
        return
    screen = screen_of(sys.stdout)
    if not found.data:
        print_lines([f"There are no jobs of the project {project} in {jobs}."])
        return
    print_lines(job_table(found.data, screen))
    if found.has_more:
        print_lines(["", f"… more: graders jobs list --limit {2 * limit} {where(jobs, project)}"])


@command.command("show", cls=Command, example="graders jobs show ftjob-68b1... --jobs DIR")
@_ID
@JOBS
@PROJECT_OF_JOBS
@_JSON
def show(job_id: str, jobs: Path, project: str, *, as_json: bool) -> None:
    """Show a job: its settings, its curve, its checkpoints and its last events.

    With --json it prints the job as the API answers it, with its "checkpoints".
    """
    with opened(jobs) as store:
        job = find_job(store, project, job_id)
        kept = store.jobs.all_checkpoints(job.id)
        events = list(_events(store, job.id))
    if as_json:
        whole = {**job_object(job), "checkpoints": [checkpoint_object(one) for one in kept]}
        click.echo(format_value(whole, "json"))
        return
    metrics = [event for event in events if event.type == "metrics"]
    last = [event_line(event) for event in events[-_EVENTS_SHOWN:]]
    curve = list(curve_lines(metrics, screen_of(sys.stdout)))
    print_lines([
        *job_lines(job), *(["", Heading("curve"), *curve] if curve else []), *checkpoint_lines(kept), "",
        Heading("last events"), *(f"  {line}" for line in last),
    ])  # fmt: skip


@command.command("events", cls=Command, example="graders jobs events ftjob-68b1... --jobs DIR")
@_ID
@JOBS
@PROJECT_OF_JOBS
@click.option(
    "--follow", is_flag=True, help="Print new events until the job has ended, or is paused."
)
@_JSON
def events(job_id: str, jobs: Path, project: str, *, follow: bool, as_json: bool) -> None:
    """Print what has happened to a job, a line an event, the oldest first.

    With --json it prints a JSON object a line, each event as the API answers it.
    """
    with opened(jobs) as store:
        job = find_job(store, project, job_id)
        last: str | None = None
        while True:
            # The state first: what happens after this look is in the next one.
            state = store.jobs.state(job.id)
            for event in _events(store, job.id, last):
                last = event.id
                _print_event(event, as_json=as_json)
            if not follow or state is None or state.status in (*states.ENDS, "paused"):
                return
            time.sleep(_POLL_S)


def _print_event(event: StoredEvent, *, as_json: bool) -> None:
    if as_json:
        click.echo(format_value(event_object(event), "jsonl"))
    else:
        print_lines([event_line(event)])


def _events(store: Store, job_id: str, after: str | None = None) -> Iterator[StoredEvent]:
    while True:
        some = store.jobs.events(job_id, Page(after, _PAGE))
        yield from some.data
        if not some.has_more:
            return
        after = some.data[-1].id


@command.command("pause", cls=Command, example="graders jobs pause ftjob-68b1... --jobs DIR")
@_ID
@JOBS
@PROJECT_OF_JOBS
def pause(job_id: str, jobs: Path, project: str) -> None:
    """Pause a job that is queued or running; a step that is trained just now is ended first."""
    _change(jobs, project, job_id, states.pause, "only a running or queued job can be paused.")


@command.command("resume", cls=Command, example="graders jobs resume ftjob-68b1... --jobs DIR")
@_ID
@JOBS
@PROJECT_OF_JOBS
def resume(job_id: str, jobs: Path, project: str) -> None:
    """Let a paused job wait for its turn again, in the next server if there is none now."""
    _change(jobs, project, job_id, states.resume, "only a paused job can be resumed.")


@command.command("cancel", cls=Command, example="graders jobs cancel ftjob-68b1... --jobs DIR")
@_ID
@JOBS
@PROJECT_OF_JOBS
def cancel(job_id: str, jobs: Path, project: str) -> None:
    """Stop a job for good; its checkpoints stay."""
    _change(jobs, project, job_id, states.cancel, "it has ended, and cannot be cancelled.")


def _change(
    jobs: Path, project: str, job_id: str, change: Callable[[Jobs, str], bool], only: str
) -> None:
    """Change the state of a job, and print what it is then.

    Raises:
        InvalidRequest: there is no such job, or it is in another state.
    """
    with opened(jobs) as store:
        job = find_job(store, project, job_id)
        changed = change(store.jobs, job.id)
        job = store.jobs.get(project, job.id) or job
        if not changed:
            raise InvalidRequest(f"The job {job.id} is {job.status}: {only}")
        lines = [f"{job.id} is {job.status}."]
        if job.status == "queued" and not is_served(store):
            lines.append(f"No server has {jobs}: the next `graders serve --jobs {jobs}` trains it.")
        print_lines(lines)


command.add_command(page)


@command.command(
    "export", cls=Command, example="graders jobs export ftjob-68b1... MODEL --jobs DIR"
)
@_ID
@click.argument("target", metavar="FOLDER", type=click.Path(path_type=Path))
@JOBS
@PROJECT_OF_JOBS
@click.option(
    "--step",
    metavar="N",
    type=click.IntRange(1),
    help="The checkpoint of step N (default: the newest).",
)
@click.option(
    "--adapters", is_flag=True, help="Write adapters as they are, without their base model."
)
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="graders.toml, whose [training] names the Python that merges adapters (default: ./graders.toml).",
)
def export(
    job_id: str,
    target: Path,
    jobs: Path,
    project: str,
    step: int | None,
    config: Path | None,
    *,
    adapters: bool,
) -> None:
    """Write a job's weights into a new folder, for vLLM, for converters, and for `from_pretrained`.

    Adapters are merged into their base model, which needs the packages of the extra `train`.
    """
    python = _config(config).training.python
    with opened(jobs) as store:
        job = find_job(store, project, job_id)
        kept = checkpoint_of(store, job, step)
        try:
            merged = export_model(store, kept, target, python=python, merge=not adapters)
        except OSError as error:
            raise InvalidRequest(f"{target} cannot be written: {error.strerror}.") from None
    how = ", adapters merged into their base model" if merged else ""
    print_lines([f"{kept.name} is in {target}{how}."])


def _config(path: Path | None) -> Config:
    wanted = path or (CONFIG if CONFIG.exists() else None)
    return Config() if wanted is None else read_config(wanted)


@command.command("delete", cls=Command, example="graders jobs delete ftjob-68b1... --jobs DIR")
@_ID
@JOBS
@PROJECT_OF_JOBS
def delete(job_id: str, jobs: Path, project: str) -> None:
    """Delete a job that has ended, with its weights, checkpoints and events; its result files stay."""
    with opened(jobs) as store:
        job = find_job(store, project, job_id)
        if job.status not in states.ENDS:
            raise InvalidRequest(f"The job {job.id} is {job.status}: cancel it first.")
        _delete(store, job)
    print_lines([f"{job.id} is deleted."])


def _delete(store: Store, job: StoredJob) -> None:
    if not store.jobs.delete(job.project, job.id):
        raise InvalidRequest(f"The job {job.id} was deleted meanwhile.")
