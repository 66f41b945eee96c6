"""`graders evals` and its commands that only read."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from graders_engine.cli.evals.run import run
from graders_engine.cli.evals.run_report import show_run
from graders_engine.cli.evals.stored import find, opened, show_command, where
from graders_engine.cli.evals.text import criteria_lines, eval_lines
from graders_engine.cli.parsing.command import Command, Group
from graders_engine.cli.parsing.store import EVALS, PROJECT
from graders_engine.cli.terminal.printing import format_value, print_lines
from graders_engine.evals.wire import eval_object, run_object
from graders_engine.report.terminal.screen import Screen, screen_of
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store

_RUNS_LISTED = 3
"""Runs of an eval in a list of evals, the newest ones."""
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the objects as JSON.")
_EXAMPLE = """\
graders evals list --jobs DIR
graders evals show evalrun_68b1... --jobs DIR
graders evals run eval_68b1... --data rows.jsonl --jobs DIR"""


@click.group("evals", cls=Group, example=_EXAMPLE)
def command() -> None:
    """List, show and run the evals in a folder of `graders serve --jobs`; no server is needed."""


command.add_command(run)


@command.command("list", cls=Command, example="graders evals list --jobs DIR")
@EVALS
@PROJECT
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Show at most N evals, the newest first.",
)
@_JSON
def list_(jobs: Path, project: str, limit: int, *, as_json: bool) -> None:
    """List evals and their newest runs: status, pass rate, and how many of the graded items passed.

    The pass rate leaves out items that errored: they had no sample, lacked what a criterion reads, or met an
    outage.

    With --json it prints {"evals", "has_more"}: each eval as the API answers it, with its newest "runs".
    """
    with opened(jobs) as store:
        found = store.evals.page(project, Page(None, limit, "desc"))
        newest = Page(None, _RUNS_LISTED, "desc")
        evals = [(one, store.runs.page(project, one.id, newest)) for one in found.data]
    if as_json:
        objects = [
            {**eval_object(one), "runs": [run_object(run, "") for run in runs.data]}
            for one, runs in evals
        ]
        click.echo(format_value({"evals": objects, "has_more": found.has_more}, "json"))
        return
    if not evals:
        print_lines([f"There are no evals of the project {project} in {jobs}."])
        return
    screen = screen_of(sys.stdout)
    for position, (one, runs) in enumerate(evals):
        more = show_command(one, jobs) if runs.has_more else ""
        print_lines([*([""] if position else []), *eval_lines(one, runs.data, more, screen)])
    if found.has_more:
        print_lines(["", f"… more: graders evals list --limit {2 * limit} {where(jobs, project)}"])


@command.command("show", cls=Command, example="graders evals show evalrun_68b1... --jobs DIR")
@click.argument("shown_id", metavar="ID")
@EVALS
@PROJECT
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Show at most N items of a run that did not pass, or N runs of an eval.",
)
@_JSON
def show(shown_id: str, jobs: Path, project: str, limit: int, *, as_json: bool) -> None:
    """Show an eval with its runs, or a run with its criteria and items that did not pass.

    The beginning of an id is enough, if nothing else begins so.

    With --json it prints the object as the API answers it, with "runs" or "not_passed", a list of runs or of
    output items; a run's data source has no rows.
    """
    screen = screen_of(sys.stdout)
    with opened(jobs) as store:
        found = find(store, project, shown_id)
        if isinstance(found, StoredEval):
            _show_eval(store, found, limit, screen, as_json=as_json)
        else:
            show_run(store, found, limit, screen, as_json=as_json)


def _show_eval(
    store: Store, found: StoredEval, limit: int, screen: Screen, *, as_json: bool
) -> None:
    runs = store.runs.page(found.project, found.id, Page(None, max(limit, 1), "desc"))
    listed = runs.data[:limit]
    if as_json:
        whole = {**eval_object(found), "runs": [run_object(one, "") for one in listed]}
        click.echo(format_value(whole, "json"))
        return
    more = show_command(found, store.folder, 2 * max(limit, 1)) if runs.has_more else ""
    print_lines([*eval_lines(found, listed, more, screen), *criteria_lines(found)])
