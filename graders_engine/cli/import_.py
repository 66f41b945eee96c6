"""`graders import`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from graders_engine.blocking import Engine
from graders_engine.cli.parsing.command import Group
from graders_engine.cli.parsing.flags import named_path
from graders_engine.cli.parsing.grader import as_flag
from graders_engine.cli.parsing.input_files import files_read
from graders_engine.cli.parsing.store import PROJECT
from graders_engine.cli.request import read_flag
from graders_engine.cli.terminal.failing import FAILED, complain
from graders_engine.cli.terminal.printing import print_lines
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.evals.hosted.check import HostedCheck, check
from graders_engine.evals.hosted.conversion import import_evals
from graders_engine.evals.hosted.dashboard import GivenGrader
from graders_engine.evals.hosted.download import Download, EvalsApi
from graders_engine.evals.hosted.export import files_of
from graders_engine.evals.hosted.imported import Imported
from graders_engine.evals.hosted.instructions import import_report, store_report
from graders_engine.files import FilesInUse, require_regular, write_whole
from graders_engine.graders.parse import parse
from graders_engine.models.credentials import DEFAULT_BASE_URL
from graders_engine.report.terminal.screen import screen_of

REPORT = "IMPORT.md"
MAX_ENTRIES = 10
"""Entries of each list that the terminal shows; the file has all."""


_EXAMPLE = """\
graders import evals --from-api --into evals
graders import evals --from-api --check --out evals
graders import evals export.jsonl --out evals
graders import evals eval_items.jsonl --grader grader.json --check --out evals"""


@click.group("import", cls=Group, example=_EXAMPLE)
def command() -> None:
    """Import graders and rows from other systems."""


@command.command("evals", example=_EXAMPLE)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    callback=named_path,
    help="Folder to write graders and rows to.",
)
@click.option(
    "--into",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    callback=named_path,
    help="Folder of `graders serve --jobs DIR`: keep everything there under its ids.",
)
@PROJECT
@click.option(
    "--grader",
    "graders",
    metavar="G",
    multiple=True,
    help="A grader for the dashboard's own export, which has none; repeatable.",
)
@click.option(
    "--from-api",
    is_flag=True,
    help="Download everything to DIR/export.jsonl first, with your key (possible until 30 November 2026).",
)
@click.option(
    "--check", "checked", is_flag=True,
    help="Also grade the rows, except by judges, and compare with the hosted scores.",
)  # fmt: skip
def evals(
    paths: tuple[Path, ...],
    out: Path | None,
    into: Path | None,
    project: str,
    graders: tuple[str, ...],
    from_api: bool,
    checked: bool,
) -> None:
    """Keep an export of hosted evals for old scripts, or make grader files and row files of it.

    The hosted evals end on 30 November 2026. Until then, --from-api imports everything, with the key in
    OPENAI_API_KEY (and OPENAI_BASE_URL for another address).

    The raw responses are kept in evals/export.jsonl, and until the download ends in evals/export.jsonl.part.
    The same command continues with what is there: it asks again for no run whose output items are all there.

    You can also make an export with the openai package: one
    JSON object a line, or JSON files with objects, arrays or list pages, in any mixture:

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

    The file that the dashboard downloads (eval_items_….jsonl) is an export, too, alone or next to others. It
    has items, outputs and scores, but no graders: its runs are matched with evals by their ids, or by the
    names of the scores, and --grader gives graders for others. A grader belongs to the score of its name, or
    of the name or key that it has in a multi; one grader and one score need no name.

    With --into, evals, runs and output items go into a folder as they are. `graders serve --jobs DIR` answers
    scripts with them, `graders evals list --jobs DIR` lists them, and new runs of the evals are made here.
    Importing the same again changes nothing; of two objects with one id the first one stays, and the other
    one is named.

    With --out, this is written for each eval, to a folder of its name:

    grader-NAME.json, a testing criterion; its pass threshold changes nothing.

    graders.json, if there are several: a multi of all of them; the reward is their mean, and the number of
    each is a sub-reward.

    RUN.rows.jsonl, the output items: id, item, sample, hosted scores.

    rejected-NAME.json, a criterion that is not a valid grader. One with templates that cannot be read is kept
    as the hosted evals kept it, if --templates as_served runs it.

    IMPORT.md, next to the folders, has the commands to run next, and says what could not be imported. Output
    items that hold an error instead of an output are left out and counted. Files of an earlier import are
    replaced. With --into, IMPORT.md is written as well.

    Exit codes: 0 if everything was downloaded and every line of the export was read; 1 if something was not,
    and the others are imported; 2 if the request is wrong.
    """  # noqa: D301 - \b is the character that tells click to keep the lines
    _check_request(paths, out, into, from_api=from_api, checked=checked)
    first = out or into
    assert first is not None  # noqa: S101 - one of them is given
    reports = [folder / REPORT for folder in (out, into) if folder is not None]
    for report in reports:
        require_regular(report, "The import cannot be written")
    export = first / "export.jsonl"
    failures = _download_export(export) if from_api else []
    files = [export] if from_api else files_of(paths, first)
    given = [_given(text) for text in graders]
    inputs = {
        **dict.fromkeys(files_read(), "a file of --grader"),
        **dict.fromkeys(files, "a file of the export itself"),
    }
    FilesInUse(inputs).write(dict.fromkeys(reports, "the report"))
    lost = 0
    if into is not None:
        lost = _keep(files, into, project, given, failures)
    if out is not None:
        lost = _convert(files, out, given, failures, checked=checked)
    if lost:
        lines = "1 line" if lost == 1 else f"{lost:,} lines"
        complain(f"{lines} of the export could not be read; {first / REPORT} names them.")
    if failures:
        complain(
            "Not everything could be downloaded: what came is imported, and the same command asks for the "
            "rest again."
        )
    if lost or failures:
        sys.exit(FAILED)


def _check_request(
    paths: tuple[Path, ...], out: Path | None, into: Path | None, *, from_api: bool, checked: bool
) -> None:
    """Check what the command was given.

    Raises:
        InvalidRequest: the arguments do not fit each other.
    """
    if from_api and paths:
        raise InvalidRequest("--from-api downloads the export: it takes no PATH.")
    if not from_api and not paths:
        raise InvalidRequest("Name the files or folders of the export, or pass --from-api.")
    if out is None and into is None:
        raise InvalidRequest(
            "Name the folder: --into DIR to serve the evals from, --out DIR for graders and rows."
        )
    if checked and out is None:
        raise InvalidRequest("--check grades the rows that --out DIR writes: pass it as well.")


def _keep(
    files: list[Path], into: Path, project: str, given: list[GivenGrader], failures: list[str]
) -> int:
    from graders_engine.evals.hosted.into_store import import_into
    from graders_engine.storage.store import Store

    with Store(into) as store:
        done = import_into(store, project, files, given, now=int(time.time()))
    done.notes[:0] = failures
    _write_report(into, lambda entries, _: store_report(done, into, project, entries), mode=0o600)
    return done.lost


def _convert(
    files: list[Path], out: Path, given: list[GivenGrader], failures: list[str], *, checked: bool
) -> int:
    imported = import_evals(files, out, given)
    imported.left_out[:0] = failures
    checks = list(_checks(imported)) if checked else None
    _write_report(out, lambda entries, columns: import_report(imported, checks, entries, columns))
    return imported.lost


def _write_report(
    folder: Path, text: Callable[[int | None, int | None], str], mode: int | None = None
) -> None:
    """Write a report to a folder, and print what fits the terminal.

    Args:
        folder: where to.
        text: gives the report, of most so many entries a list, for so many columns.
        mode: permissions of the file; when left out, the usual ones.
    """
    path = folder / REPORT
    try:
        whole = f"# Imported evals\n\n{text(None, None)}\n"
        write_whole(path, whole.encode(errors="backslashreplace"), mode)
    except OSError as error:
        raise DataSetError(f"{path} cannot be written: {error.strerror}.") from None
    screen = screen_of(sys.stdout)
    columns = screen.columns if screen.wraps else None
    print_lines([text(MAX_ENTRIES, columns), "", f"The full report is in {path}"])


def _given(text: str) -> GivenGrader:
    """A grader of `--grader`.

    Raises:
        InvalidRequest: it cannot be read, or is not valid.
    """
    grader = read_flag("grader", as_flag(text))
    parse(grader, templates="as_served")
    return GivenGrader(text.splitlines()[0] if text else text, grader)


def _checks(imported: Imported) -> Iterator[HostedCheck]:
    with Engine(templates="as_served") as engine:
        for imported_eval in imported.evals:
            yield from check(engine, imported_eval)


def _download_export(path: Path) -> list[str]:
    """Download everything to a file; gives sentences about what could not be downloaded."""
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        raise InvalidRequest("--from-api needs the key in the environment: OPENAI_API_KEY.")
    api = EvalsApi(key, os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL)
    getting = Download(api, path)
    part = getting.part
    if part.objects:
        text = (
            f"{path} continues from {part.objects:,} objects that are there. Runs whose output items are all "
            f"there are not asked for again: {len(part.whole):,}."
        )
        print_lines([text], err=True)

    async def show_progress() -> None:
        async for count in getting.objects():
            if sys.stderr.isatty():
                click.echo(f"\r{count:,} objects downloaded", nl=False, err=True)

    try:
        asyncio.run(show_progress())
    except (DataSetError, KeyboardInterrupt, SystemExit):
        complain(*getting.failures)
        if part.path.exists():
            complain(
                f"{part.objects:,} objects are kept in {part.path}: the same command continues there."
            )
        raise
    if sys.stderr.isatty():
        click.echo(err=True)
    complain(*getting.failures)
    return getting.failures
