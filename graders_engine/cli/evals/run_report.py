"""Prints a run with items that did not pass."""

from __future__ import annotations

from typing import Any

import click

from graders_engine.cli.evals.stored import show_command
from graders_engine.cli.evals.text import item_lines, run_lines
from graders_engine.cli.terminal.printing import format_value, print_lines
from graders_engine.evals.run.items import OutputItems
from graders_engine.evals.run.reading import notes_on
from graders_engine.evals.run.reasons import reasons_of
from graders_engine.evals.wire import run_object
from graders_engine.report.terminal.screen import Caution, Heading, Screen
from graders_engine.storage.pages import Page
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store


def show_run(store: Store, found: StoredRun, limit: int, screen: Screen, *, as_json: bool) -> None:
    """Print a run and items that did not pass."""
    items, more = _not_passed(store, found, limit)
    if as_json:
        click.echo(format_value({**run_object(found, ""), "not_passed": items}, "json"))
        return
    owner = store.evals.get(found.project, found.eval_id)
    way = show_command(found, store.folder, 2 * limit) if more else ""
    lines = [*run_lines(found, owner, screen), *map(Caution, notes_on(store, found))]
    if reasons := reasons_of(store, found):
        lines += ["", Heading("why items are errored"), *(f"  {reason}" for reason in reasons)]
    print_lines([*lines, *item_lines(items, way, screen)])


def _not_passed(store: Store, run: StoredRun, limit: int) -> tuple[list[dict[str, Any]], bool]:
    """The first items that failed, then those that errored; and whether there are others."""
    if not limit:
        return [], False
    reader = OutputItems(store)
    found: list[dict[str, Any]] = []
    for status in ("fail", "error"):
        some = reader.page(run, Page(None, limit + 1 - len(found)), status)
        found += some.data
        if len(found) > limit:
            break
    return found[:limit], len(found) > limit
