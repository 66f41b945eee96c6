"""`graders jobs page`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from graders_engine.cli.jobs.stored import find_job, opened
from graders_engine.cli.parsing.command import Command
from graders_engine.cli.parsing.store import JOBS, PROJECT_OF_JOBS
from graders_engine.cli.terminal.printing import STDOUT, print_lines
from graders_engine.errors import InvalidRequest
from graders_engine.settings import EngineSettings


@click.command("page", cls=Command, example="graders jobs page ftjob-68b1... --jobs DIR")
@click.argument("job_id", metavar="ID")
@JOBS
@PROJECT_OF_JOBS
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The page, .html (default: the job's id and .html), or -.",
)
def page(job_id: str, jobs: Path, project: str, out: Path | None) -> None:
    """Write the page of a job as one HTML file: its curves, errors, checkpoints, best and worst rollouts.

    The file needs no other file and no network, and says how the job was at that moment; it may still run.
    Under /view/ of `graders serve --jobs DIR`, or of `graders view DIR`, the same page refreshes itself.
    """
    from graders_engine.jobs.page.watch import page_of_job
    from graders_engine.report.html.place import require_place, write_page

    with opened(jobs) as store:
        job = find_job(store, project, job_id)
        target = out or Path(f"{job.id}.html")
        if target != STDOUT:
            require_place(target, [], "page")
        read = partial(store.jobs.watch, project, job.id)
        text = page_of_job(store.job_folder(job.id), read, EngineSettings())
    if text is None:
        raise InvalidRequest(f"The job {job.id} was deleted meanwhile.")
    if target == STDOUT:
        click.echo(text)
        return
    write_page(target, text, "page")
    print_lines([f"page in {target}"])
