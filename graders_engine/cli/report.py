"""`graders report`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from graders_engine.cli.printing import format_value
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.files import (
    FilesInUse,
    beside,
    require_free,
    require_regular,
    temporary_for,
    write_whole,
)
from graders_engine.report.visible import visible

_SUBJECT = "The report cannot be written"
_FIRST_BYTES = b"<!doctype html>"
"""Of every page that was written before."""
_PATH = click.Path(path_type=Path)


@click.command("report")
@click.argument("results", type=_PATH)
@click.option(
    "--out", metavar="FILE", type=_PATH, help="The HTML file to write (default: RESULTS.html)."
)
@click.option("--data", metavar="FILE", type=_PATH, help="The data set, if it was moved.")
@click.option(
    "--passing",
    metavar="X",
    type=float,
    help="Lowest reward with which a row passes (default: the grader's pass_threshold).",
)
@click.option(
    "--group-size",
    metavar="N",
    type=click.IntRange(2),
    default=8,
    help="Samples of a group in training, of which the report says how often they differ (default: 8).",
)
@click.option("--no-html", is_flag=True, help="Only print the report.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON; write no page.")
def command(
    results: Path,
    out: Path | None,
    data: Path | None,
    passing: float | None,
    group_size: int,
    no_html: bool,
    as_json: bool,
) -> None:
    """Print a report of a results file and write it as one HTML file.

    RESULTS is a file that `graders score` has written; the run may still be unfinished. The HTML file needs
    no other file and no network. The texts of rows are read from the data set; if it cannot be found, the
    report has no texts and says so.
    """
    from graders_engine.dataset.results.digest import digest
    from graders_engine.dataset.results.meta import read_meta
    from graders_engine.report.numbers import numbers_of
    from graders_engine.report.provenance import Provenance
    from graders_engine.report.row_texts import texts_of
    from graders_engine.report.run_json import numbers_json
    from graders_engine.report.terminal.report import report_text

    meta = read_meta(results)
    page = None if no_html or as_json else _place_of_page(out, results, meta, data)
    numbers = numbers_of(digest(results), meta, passing, group_size)
    provenance = Provenance(results, meta)
    if as_json:
        report = numbers_json(numbers, results, meta.get("settings", {}), provenance.engine)
        click.echo(format_value(report, "json"))
        return
    texts = texts_of(numbers.digest.kept(), meta, data)
    click.echo(report_text(numbers, provenance, texts))
    if page is None:
        return
    from graders_engine.report.html.page import report_page  # takes a while to import

    try:
        write_whole(page, report_page(numbers, provenance, texts).encode())
    except OSError as error:
        raise DataSetError(f"{_SUBJECT}: {page}: {error.strerror}.") from None
    click.echo(visible(f"\nreport in {page}"))


def _place_of_page(
    out: Path | None, results: Path, meta: Mapping[str, Any], data: Path | None
) -> Path:
    """Where the page is written; it is checked before anything is computed.

    Raises:
        DataSetError: it cannot be written there, or would destroy an input or what is not a page.
    """
    from graders_engine.dataset.results.companions import results_files
    from graders_engine.dataset.results.line import lines_of

    page = out or beside(results, ".html")
    require_regular(page, _SUBJECT)
    require_free([temporary_for(page)], _SUBJECT)
    if page.exists() and page.samefile(lines_of(results)):
        raise InvalidRequest(
            f"--out {page}: these are the results; pass another file for the page."
        )
    recorded = meta.get("data", {})
    paths = (data, recorded.get("path"), (recorded.get("outputs") or {}).get("path"))
    inputs = {Path(path): "the data set itself" for path in paths if path}
    files = FilesInUse({**inputs, **dict.fromkeys(results_files(results), "a file of the run")})
    files.write({page: "the report"})
    if page.exists():
        with page.open("rb") as file:
            begins = file.read(len(_FIRST_BYTES))
        if begins and begins != _FIRST_BYTES:
            raise DataSetError(
                f"{_SUBJECT}: {page} exists and is not a report: move it, or name another file with --out."
            )
    return page
