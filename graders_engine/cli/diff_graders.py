"""`graders diff-graders`."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from graders_engine.blocking import Engine
from graders_engine.cli.compare import (
    WithMargin,
    comparison_options,
    require_page,
    show_comparison,
)
from graders_engine.cli.parsing.engine_options import engine_options
from graders_engine.cli.parsing.flags import named_path
from graders_engine.cli.parsing.grader import as_flag
from graders_engine.cli.parsing.input_files import files_read
from graders_engine.cli.parsing.locations import DATA, FILE
from graders_engine.cli.request import read_flag
from graders_engine.cli.terminal.failing import caution
from graders_engine.cli.terminal.progress import progress
from graders_engine.dataset.scoring.score import require_apart, score_file
from graders_engine.errors import DataSetError, InvalidRequest


@click.command(
    "diff-graders",
    cls=WithMargin,
    example="graders diff-graders old.yaml new.yaml --data rows.jsonl",
)
@click.argument("old")
@click.argument("new")
@click.option(
    "--data", metavar="FILE", required=True, type=DATA, help="The rows, with stored model outputs."
)
@click.option("--sample-field", metavar="NAME", help="As for `graders score`.")
@click.option("--outputs", metavar="FILE", type=DATA, help="As for `graders score`.")
@click.option("--join-on", metavar="KEY", help="As for `graders score`.")
@click.option("--group-by", metavar="PATH", help="As for `graders score`.")
@click.option(
    "--out-dir",
    metavar="DIR",
    type=FILE,
    callback=named_path,
    help="Keep the results: DIR/old.jsonl, DIR/new.jsonl.",
)
@click.option("--keep-going", is_flag=True, help="As for `graders score`.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@comparison_options
@engine_options(use_cache=True)
def command(
    engine: Engine,
    old: str,
    new: str,
    *,
    out_dir: Path | None,
    quiet: bool,
    page: Path | None,
    as_json: bool,
    top: int,
    margin: float | None,
    **how: Any,
) -> None:
    """Score stored outputs with two versions of a grader and compare the results.

    OLD and NEW are graders: JSON or YAML, @FILE, or the name of a file. Prints the same as `graders compare`
    does, with OLD as A and NEW as B, including the differences between the two graders.

    With --out-dir an interrupted comparison can be resumed: run the same command again.
    """
    from graders_engine.dataset.results.same_data import Sources

    if str(how["data"]) == "-":
        raise InvalidRequest(
            "The rows are read twice: save standard input to a file and pass that with --data."
        )
    flags = [as_flag(argument) for argument in (old, new)]
    graders = [read_flag("grader", flag) for flag in flags]
    kept = () if out_dir is None else (out_dir / "old.jsonl", out_dir / "new.jsonl")
    require_apart(engine.settings, kept, how["data"], how["outputs"], files_read())
    inputs = [path for path in (how["outputs"], *files_read()) if path is not None]
    require_page(page, [(results, how["data"]) for results in kept], [how["data"], *inputs])
    with engine:
        for grader in graders:  # fail before any row is scored if a grader cannot be run
            engine.compile(grader).require_runnable()
    with ExitStack() as stack:
        folder = out_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _make_folder(folder)
        results = [folder / "old.jsonl", folder / "new.jsonl"]
        notes: dict[str, None] = {}  # both runs have the same
        for grader, out in zip(graders, results, strict=True):
            # An engine for each: what one detects about its endpoints must not change the other run.
            fresh = Engine.from_settings(engine.settings)
            with fresh, progress(quiet=quiet) as on_progress:
                score_file(
                    fresh, grader, out=out, inputs=files_read(), on_progress=on_progress,
                    on_note=notes.setdefault, **how,
                )  # fmt: skip
        for note in () if quiet else notes:
            caution(f"note: {note}")
        show_comparison(
            (results[0], results[1]),
            Sources(how["data"], how["data"]),
            names=_names(flags) if out_dir is None else None,
            page=page,
            as_json=as_json,
            top=top,
            margin=margin,
        )


def _names(flags: list[str]) -> tuple[str, str]:
    """The names of the two graders' files, with their folders where they are equal; else OLD and NEW."""
    paths = [flag[1:] if flag.startswith("@") and flag != "@-" else "" for flag in flags]
    names = [Path(path).name for path in paths]
    old, new = names if len(set(names)) == len(names) else paths
    return old or "OLD", new or "NEW"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataSetError(f"--out-dir {folder} cannot be created: {error.strerror}.") from None
