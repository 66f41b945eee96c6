"""`graders export`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from graders_engine.cli.parsing.command import Command, Group
from graders_engine.cli.parsing.flags import named_path
from graders_engine.cli.parsing.grader import takes_grader
from graders_engine.cli.parsing.input_files import files_read
from graders_engine.cli.request import read_flag
from graders_engine.cli.terminal.printing import print_lines
from graders_engine.exports import folders
from graders_engine.files import FilesInUse

_AZURE = "graders export azure-endpoint --grader @grader.json --out FOLDER"
_BEDROCK = "graders export bedrock-lambda --grader @grader.json --out FOLDER"


@click.group("export", cls=Group, example=f"{_AZURE}\n{_BEDROCK}")
def command() -> None:
    """Make the files by which a cloud service's fine-tuning uses a grader."""


def _writes_folder(function: Callable[..., None]) -> Callable[..., None]:
    """The options of each export."""
    out = click.option(
        "--out",
        metavar="DIR",
        required=True,
        type=click.Path(path_type=Path),
        callback=named_path,
        help="Folder to write to.",
    )
    replace = click.option(
        "--overwrite", is_flag=True, help="Replace files that are there with other contents."
    )
    return takes_grader(required=True)(out(replace(function)))


@command.command("azure-endpoint", cls=Command, example=_AZURE)
@_writes_folder
@click.option(
    "--url",
    metavar="URL",
    default=folders.PLACEHOLDER,
    show_default=True,
    help="Where Azure will reach the container.",
)
def azure_endpoint(grader: str, out: Path, url: str, *, overwrite: bool) -> None:
    """An endpoint grader for Azure, and the container that answers it.

    Writes endpoint-grader.json (the grader of the fine-tuning job), grader.json, a Dockerfile that runs
    `graders serve --grader`, and a README.md with the steps. The container takes the key from
    GRADERS_API_KEY.
    """
    _write(out, folders.azure_endpoint(read_flag("grader", grader), url), overwrite)


@command.command("bedrock-lambda", cls=Command, example=_BEDROCK)
@_writes_folder
def bedrock_lambda(grader: str, out: Path, *, overwrite: bool) -> None:
    """A Lambda function for reinforcement fine-tuning on Amazon Bedrock or SageMaker.

    Writes lambda_function.py, grader.json, a Dockerfile, and a README.md with the steps. An outage ends an
    invocation with an error, never with a zero.
    """
    _write(out, folders.bedrock_lambda(read_flag("grader", grader)), overwrite)


def _write(out: Path, files: Mapping[str, str], overwrite: bool) -> None:
    paths = {out / name: name for name in files}
    FilesInUse(dict.fromkeys(files_read(), "a file of --grader")).write(paths)
    folders.write(out, files, replace=overwrite)
    print_lines([*map(str, paths), "", f"{out / 'README.md'} says what to do with them."])
