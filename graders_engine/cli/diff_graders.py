"""`graders diff-graders`."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from graders_engine.blocking import Engine
from graders_engine.cli.compare import FILE, WithMargin, comparison_options, show
from graders_engine.cli.options import engine_options
from graders_engine.cli.progress import progress
from graders_engine.cli.request import read_flag
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import DataSetError, InvalidRequest


@click.command("diff-graders", cls=WithMargin)
@click.argument("old")
@click.argument("new")
@click.option("--data", metavar="FILE", required=True, type=FILE, help="Rows with stored outputs.")
@click.option("--sample-field", metavar="NAME", help="As for `graders score`.")
@click.option("--outputs", metavar="FILE", type=FILE, help="As for `graders score`.")
@click.option("--join-on", metavar="KEY", help="As for `graders score`.")
@click.option(
    "--out-dir", metavar="DIR", type=FILE, help="Keep the results there: old.jsonl, new.jsonl."
)
@click.option("--quiet", is_flag=True, help="No progress.")
@comparison_options
@engine_options(use_cache=True)
def command(
    engine: Engine,
    old: str,
    new: str,
    *,
    out_dir: Path | None,
    quiet: bool,
    as_json: bool,
    top: int,
    margin: float | None,
    **how: Any,
) -> None:
    """Score stored outputs with two versions of a grader, and show which rows changed.

    OLD and NEW are graders: JSON or YAML, @FILE, or a file's name. What is shown is what `graders compare`
    shows, A being OLD and B being NEW, with what differs in the graders themselves.

    With --out-dir the same command goes on where an interrupted one stopped.
    """
    from graders_engine.dataset.results.compare import compare

    if str(how["data"]) == "-":
        raise InvalidRequest("The rows are read twice: save standard input to a file, and name it.")
    graders = [_read(given) for given in (old, new)]
    with engine:
        for grader in graders:  # what cannot be run is said before any row is scored
            engine.compile(grader).require_runnable()
    with ExitStack() as stack:
        folder = out_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _make(folder)
        results = [folder / "old.jsonl", folder / "new.jsonl"]
        for grader, out in zip(graders, results, strict=True):
            # An engine each: what one has found out while it ran is no difference of the other's.
            with (
                Engine.from_settings(engine.settings) as its_own,
                progress(quiet=quiet) as on_progress,
            ):
                score_file(its_own, grader, out=out, on_progress=on_progress, **how)
        found = compare(*results, top=top)
    if out_dir is None:
        found = replace(
            found, before=replace(found.before, name="OLD"), after=replace(found.after, name="NEW")
        )
    show(found, as_json=as_json, margin=margin)


def _read(given: str) -> Any:
    if os.path.isfile(given):  # pathlib would raise for a text that is too long to be a name
        return read_flag("grader", f"@{given}")
    if ":" not in given and given[:1] not in ("@", "-"):
        raise InvalidRequest(f"{given}: there is no such file, and it is no grader.")
    return read_flag("grader", given)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataSetError(f"{folder} cannot be made: {error.strerror}.") from None
