"""Shows on standard error how far a run of an eval has come."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import click

from graders_engine.cli.terminal.progress import LINE_S, REDRAW_S, fitted
from graders_engine.evals.run.reading import counts_of, pass_rate
from graders_engine.report.terminal.screen import screen_of
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store


@contextmanager
def run_progress(
    store: Store, run_id: str, rows: int, *, quiet: bool
) -> Iterator[Callable[[], None]]:
    """The `on_look` for a supervisor; at the end, the cursor is on a new line.

    Args:
        store: where the run is.
        run_id: of the run.
        rows: how many it has.
        quiet: show nothing.
    """
    if quiet:
        yield lambda: None
        return
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    next_at = monotonic() + (0 if terminal else LINE_S)

    def show() -> None:
        nonlocal next_at
        if monotonic() < next_at:
            return
        next_at = monotonic() + (REDRAW_S if terminal else LINE_S)
        found = store.runs.find(run_id)
        if found is None:
            return
        fields = _fields(found, rows)
        if terminal:
            columns = screen_of(sys.stderr).columns - 1
            line = fitted(fields, counts_of(found)["total"] / rows, columns)
            click.echo(f"\r\x1b[K{line}", err=True, nl=False, color=True)
        else:
            click.echo("  ".join(fields.values()), err=True)

    try:
        yield show
    finally:
        if terminal:
            click.echo(err=True)


def _fields(run: StoredRun, rows: int) -> dict[str, str]:
    counts = counts_of(run)
    if run.status == "queued":
        return {"share": "waiting", "rows": f"{rows:,} items"}
    answers = sum(one["invocation_count"] for one in run.result.get("per_model_usage") or ())
    fields = {"share": f"scoring {counts['total'] / rows:4.0%}"}
    if counts["total"]:
        fields["rows"] = f"{counts['total']:,} of {rows:,} items"
    elif answers:
        fields["rows"] = f"{answers:,} answers for {rows:,} items"
    rate = pass_rate(run)
    if rate is not None:
        fields["mean"] = f"{100 * rate:.1f} % pass"
    if counts["errored"]:
        fields["failed"] = f"{counts['errored']:,} errored"
    return fields
