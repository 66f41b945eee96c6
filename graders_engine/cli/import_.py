"""`graders import`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from graders_engine.blocking import Engine
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.evals.check import Checked, check
from graders_engine.evals.conversion import Imported, import_evals
from graders_engine.evals.download import EvalsApi, download
from graders_engine.evals.export import files_of
from graders_engine.evals.instructions import render
from graders_engine.models.endpoint import DEFAULT_BASE_URL

SHOWN = 10
"""Lines of each list that the terminal shows; the file has all."""


@click.group("import")
def command() -> None:
    """Bring graders and rows over from elsewhere."""


@command.command("evals")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option(
    "--out", metavar="DIR", required=True, type=click.Path(path_type=Path), help="Where to write."
)
@click.option(
    "--from-api",
    is_flag=True,
    help="Download everything to DIR/export.jsonl first, with your key (possible until 30 November 2026).",
)
@click.option(
    "--check", "checked", is_flag=True,
    help="Grade the rows at once, judges apart, and compare with the hosted scores.",
)  # fmt: skip
def evals(paths: tuple[Path, ...], out: Path, from_api: bool, checked: bool) -> None:
    """Make grader files and row files from an export of hosted evals.

    The hosted evals end on 30 November 2026. Until then this brings everything over, with the key in
    OPENAI_API_KEY (and OPENAI_BASE_URL, for another address):

    \b
    graders import evals --from-api --check --out evals

    The raw answers stay in evals/export.jsonl. An export of your own, made with the openai package, will do
    as well: one JSON object a line, or JSON files with objects, arrays or list pages, in any mixture:

    \b
    import openai
    client = openai.OpenAI()
    with open("export.jsonl", "w", encoding="utf-8") as file:
        for one in client.evals.list():
            print(one.to_json(indent=None, warnings=False), file=file)
            for run in client.evals.runs.list(one.id):
                print(run.to_json(indent=None, warnings=False), file=file)
                items = client.evals.runs.output_items
                for item in items.list(run.id, eval_id=one.id):
                    print(item.to_json(indent=None, warnings=False), file=file)

    \b
    graders import evals export.jsonl --out evals

    What is written, for each eval in a folder of its name:

    \b
    grader-NAME.json    a testing criterion; its pass threshold changes nothing
    graders.json        where there are several: all at once, their mean is the
                        reward, and each one's number a sub-reward
    RUN.rows.jsonl      the output items: id, item, sample, hosted scores
    rejected-NAME.json  a criterion that no grader can be made of

    IMPORT.md, beside the folders, has the commands to run next, and says what could not be carried over. An
    output item that holds an error in place of an output is left out, and counted. Files of an earlier import
    are replaced.
    """  # noqa: D301 - \b is the character by which click keeps lines apart
    if from_api and paths:
        raise InvalidRequest("--from-api downloads the export: name no PATH with it.")
    if not from_api and not paths:
        raise InvalidRequest("Name the files or folders of the export, or say --from-api.")
    files = [_downloaded(out / "export.jsonl")] if from_api else files_of(paths, out)
    imported = import_evals(files, out)
    checks = list(_checks(imported)) if checked else []
    report = out / "IMPORT.md"
    try:
        report.write_text(f"# Imported evals\n\n{render(imported, checks)}\n", encoding="utf-8")
    except OSError as error:
        raise DataSetError(f"{report} cannot be written: {error.strerror}.") from None
    click.echo(render(imported, checks, most=SHOWN))
    click.echo(f"\nAll of it in {report}")


def _checks(imported: Imported) -> Iterator[Checked]:
    with Engine() as engine:
        for own in imported.evals:
            yield from check(engine, own)


def _downloaded(path: Path) -> Path:
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        raise InvalidRequest("--from-api needs the key in the environment: OPENAI_API_KEY.")

    async def show_progress() -> None:
        api = EvalsApi(key, os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL)
        async for count in download(api, path):
            if sys.stderr.isatty():
                click.echo(f"\r{count:,} objects downloaded", nl=False, err=True)

    asyncio.run(show_progress())
    if sys.stderr.isatty():
        click.echo(err=True)
    return path
