"""`graders report`."""

from __future__ import annotations

from pathlib import Path

import click

from graders_engine.errors import DataSetError, InvalidRequest

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
    help="Lowest reward with which a sample passes (default: the grader's pass_threshold, or 1).",
)
@click.option("--no-html", is_flag=True, help="Only print the report.")
def command(
    results: Path, out: Path | None, data: Path | None, passing: float | None, no_html: bool
) -> None:
    """Print a report of a results file and write it as one HTML file.

    RESULTS is a file that `graders score` has written; the run may still be unfinished. The HTML file needs
    no other file and no network. The texts of rows are read from the data set; if it cannot be found, the
    report has no texts and says so.
    """
    from graders_engine.dataset.results.digest import digest
    from graders_engine.dataset.results.line import lines_of
    from graders_engine.dataset.results.meta import read_meta
    from graders_engine.report.numbers import numbers_of
    from graders_engine.report.provenance import Provenance
    from graders_engine.report.row_texts import texts_of
    from graders_engine.report.terminal.report import report_text

    meta = read_meta(results)
    numbers = numbers_of(digest(results), meta, passing)
    texts = texts_of(numbers.digest.kept(), meta, data)
    provenance = Provenance(results, meta)
    click.echo(report_text(numbers, provenance, texts))
    if no_html:
        return
    from graders_engine.report.html.page import report_page  # takes a while to import

    out = out or results.with_name(f"{results.name}.html")
    if out.exists() and out.samefile(lines_of(results)):
        raise InvalidRequest(f"--out {out}: these are the results; pass another file for the page.")
    try:
        out.write_text(report_page(numbers, provenance, texts), encoding="utf-8")
    except OSError as error:
        raise DataSetError(f"The report cannot be written: {out}: {error.strerror}.") from None
    click.echo(f"\nreport in {out}")
