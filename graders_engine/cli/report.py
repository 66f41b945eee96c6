"""`graders report`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from graders_engine.cli.parsing.command import Command
from graders_engine.cli.parsing.locations import DATA, FILE, RESULTS
from graders_engine.cli.parsing.numbers import GROUP_BY, GROUP_SIZE, PASSING, size_of
from graders_engine.cli.terminal.printing import STDOUT, format_value, print_lines
from graders_engine.files import beside
from graders_engine.report.terminal.screen import screen_of
from graders_engine.urls import Location

ROW_BYTES = 500
"""About as long as a short row is in the page."""


@contextmanager
def _no_collections() -> Iterator[None]:
    """Results have no cycles: collections would go through a hundred thousand of them in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@click.command("report", cls=Command, example="graders report results.jsonl")
@click.argument("results", type=RESULTS)
@click.option(
    "--out",
    metavar="FILE",
    type=FILE,
    help="The page, .html (default: RESULTS.html), or -.",
)
@click.option(
    "--data", metavar="FILE", type=DATA, help="The data set, if it was moved or is at a URL."
)
@PASSING
@GROUP_SIZE
@GROUP_BY
@click.option(
    "--embed",
    "embed_bytes",
    metavar="SIZE",
    callback=size_of,
    help="Rows with texts in the page, such as 20MB (default: 5MB); of larger runs, a choice.",
)
@click.option("--no-html", is_flag=True, help="Only print the report.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON; write no page.")
@_no_collections()
def command(
    results: Path,
    out: Path | None,
    data: Location | None,
    passing: float | None,
    group_size: int | None,
    group_by: str | None,
    embed_bytes: int | None,
    no_html: bool,
    as_json: bool,
) -> None:
    """Print a report of a results file and write it as one HTML file.

    RESULTS is a file that `graders score` has written; the run may still be unfinished. The HTML file needs
    no other file and no network. The texts of rows are read from the data set; if it cannot be found, the
    report has no texts and says so.

    With --json it prints what `graders score --json` does, each mean with its interval and its "groups", and
    "quantiles", "correlations", "judges", "saved_tokens" and "seconds". "groups" has "prompts", "sizes",
    "signal" (the share of groups of "group_size" samples whose rewards differ), "fewer_samples", "group_by",
    "alone", "passing", and "at": "pass_at_k" and "best_of_k" for each "k".
    """
    from graders_engine.dataset.results.data import groups_of
    from graders_engine.dataset.results.digest import DRAWN, digest
    from graders_engine.dataset.results.meta import read_meta
    from graders_engine.report.html.place import require_place, write_page
    from graders_engine.report.numbers import numbers_of
    from graders_engine.report.provenance import Provenance
    from graders_engine.report.row_texts import BUDGET_BYTES, texts_of
    from graders_engine.report.run_json import numbers_json
    from graders_engine.report.terminal.report import report_text

    meta = read_meta(results)
    page = None if no_html or as_json else out or beside(results, ".html")
    if page is not None and page != STDOUT:
        require_place(page, [(results, data)])
    groups = None
    if group_by is not None:
        groups = groups_of(group_by, meta, data, results)
        meta["settings"] = {**meta.get("settings", {}), "group_by": groups.path}
    embed = embed_bytes or BUDGET_BYTES
    drawn = max(DRAWN, embed // ROW_BYTES)
    numbers = numbers_of(digest(results, groups, drawn), meta, passing, group_size)
    provenance = Provenance(results, meta, data)
    if as_json:
        report = numbers_json(numbers, provenance)
        click.echo(format_value(report, "json"))
        return
    rows = numbers.digest
    others = () if no_html else rows.drawn.rows()
    texts = texts_of(rows.extremes(), meta, data, embed, file=results, others=others)
    printed = page == STDOUT
    screen = screen_of(sys.stderr if printed else sys.stdout)
    click.echo(report_text(numbers, provenance, texts, screen), err=printed)
    if page is None:
        return
    from graders_engine.report.html.page import report_page  # takes a while to import

    text = report_page(numbers, provenance, texts, embed_bytes=embed)
    if printed:
        click.echo(text)
        return
    write_page(page, text)
    print_lines(["", f"report in {page}"])
