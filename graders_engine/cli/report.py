"""`graders report`."""

from __future__ import annotations

from pathlib import Path

import click

from graders_engine.errors import DataSetError, InvalidRequest

_PATH = click.Path(path_type=Path)


@click.command("report")
@click.argument("results", type=_PATH)
@click.option(
    "--out", metavar="FILE", type=_PATH, help="The HTML file; RESULTS.html when left out."
)
@click.option("--data", metavar="FILE", type=_PATH, help="The data set, if it was moved.")
@click.option(
    "--passing", metavar="X", type=float, help="The reward from which on a sample passes."
)
@click.option("--no-html", is_flag=True, help="Print only.")
def command(
    results: Path, out: Path | None, data: Path | None, passing: float | None, no_html: bool
) -> None:
    """Show what a results file says, here and as one HTML file that needs nothing else.

    RESULTS is what `graders score` wrote; a run that is not done can be looked at, too. The rows' texts
    come from the data set; where it is not found, the report is without them and says so.

    A sample passes with the grader's `pass_threshold`, or else with 1, unless --passing says otherwise.
    """
    from graders_engine.dataset.results.digest import digest
    from graders_engine.dataset.results.line import lines_of
    from graders_engine.dataset.results.meta import read_meta
    from graders_engine.report.html.page import render
    from graders_engine.report.numbers import numbers_of
    from graders_engine.report.provenance import Provenance
    from graders_engine.report.row_texts import texts_of
    from graders_engine.report.terminal.report import render_numbers

    meta = read_meta(results)
    numbers = numbers_of(digest(results), meta, passing)
    texts = texts_of(numbers.digest.kept(), meta, data)
    made_by = Provenance(results, meta)
    click.echo(render_numbers(numbers, made_by, texts))
    if no_html:
        return
    out = out or results.with_name(f"{results.name}.html")
    if out.exists() and out.samefile(lines_of(results)):
        raise InvalidRequest(f"--out {out}: these are the results; write the page to another file.")
    try:
        out.write_text(render(numbers, made_by, texts), encoding="utf-8")
    except OSError as error:
        raise DataSetError(f"The report cannot be written: {out}: {error.strerror}.") from None
    click.echo(f"\nreport in {out}")
