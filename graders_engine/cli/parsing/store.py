"""The options of commands that work on a store: its folder, and whose objects are meant."""

from __future__ import annotations

from pathlib import Path

import click

from graders_engine.cli.parsing.flags import Decorator, named_path
from graders_engine.storage.ids import DEFAULT_PROJECT


def _folder(text: str) -> Decorator:
    return click.option(
        "--jobs",
        metavar="DIR",
        required=True,
        type=click.Path(path_type=Path, file_okay=False),
        callback=named_path,
        help=text,
    )


JOBS = _folder("Folder of `graders serve --jobs DIR`.")
EVALS = _folder("Folder of `graders serve --jobs DIR`, or of `graders import evals --into DIR`.")


def _project(what: str) -> Decorator:
    return click.option(
        "--project",
        metavar="NAME",
        default=DEFAULT_PROJECT,
        show_default=True,
        help=f"Whose {what}: a project of graders.toml.",
    )


PROJECT = _project("evals")
PROJECT_OF_JOBS = _project("jobs")
