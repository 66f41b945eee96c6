"""`graders score`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from graders_engine.blocking import Engine
from graders_engine.cli.options import engine_options
from graders_engine.cli.request import read_flag
from graders_engine.dataset.score import OnProgress, score_file
from graders_engine.dataset.tally import Tally
from graders_engine.report.text import render

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


@click.command("score")
@click.option("--grader", metavar="G", required=True, help="The grader: JSON or YAML, @FILE, or -.")
@click.option(
    "--data", metavar="FILE", required=True, type=click.Path(path_type=Path), help="JSONL rows."
)
@click.option(
    "--out", metavar="FILE", required=True, type=click.Path(path_type=Path), help="JSONL results."
)
@click.option(
    "--sample-field", metavar="NAME", help="Flat rows: the field with the model's output."
)
@click.option("--overwrite", is_flag=True, help="Begin anew even if --out holds results.")
@click.option("--quiet", is_flag=True, help="No progress, no report.")
@engine_options(keep_replies=True)
def command(
    engine: Engine,
    grader: str,
    data: Path,
    out: Path,
    sample_field: str | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Grade every row of a data set, in its order, and print a report.

    A row is {"item": …, "model_sample": "…"} or {"item": …, "sample": {…}}; with --sample-field the row is
    flat, and what is not the model's output is the item. A row that cannot be read counts as invalid and
    does not stop the others.

    The same command goes on where an interrupted one stopped.
    """
    with engine, _progress(data, shown=not quiet and sys.stderr.isatty()) as on_progress:
        compiled = engine.compile(read_flag("grader", grader))
        try:
            tally = score_file(
                engine,
                compiled,
                data,
                out,
                sample_field=sample_field,
                overwrite=overwrite,
                on_progress=on_progress,
            )
        except KeyboardInterrupt:
            click.echo("\nInterrupted. The same command goes on from here.", err=True)
            sys.exit(INTERRUPTED)
        settings = engine.settings(compiled)
    if not quiet:
        click.echo(render(tally, settings))
        click.echo(f"results in {out}")


@contextmanager
def _progress(data: Path, *, shown: bool) -> Iterator[OnProgress]:
    if not shown or not data.exists():
        yield lambda done, tally: None
        return
    tallies: list[Tally] = [Tally()]

    def so_far(_: object) -> str:
        mean = tallies[0].mean
        return f"{tallies[0].rows:,} rows" + ("" if mean is None else f", mean {mean:.3f}")

    with click.progressbar(
        length=data.stat().st_size, label="scoring", file=sys.stderr, item_show_func=so_far
    ) as bar:

        def on_progress(done: int, tally: Tally) -> None:
            tallies[0] = tally
            bar.update(done - bar.pos, current_item=0)

        yield on_progress
