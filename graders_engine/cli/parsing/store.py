"""The options of commands that work on a store: its folder, and whose objects are meant."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graders_engine.cli.parsing.flags import Decorator, named_path
from graders_engine.errors import InvalidRequest
from graders_engine.storage.ids import DEFAULT_PROJECT

if TYPE_CHECKING:
    from graders_engine.blocking import Engine


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


def judges_of_store(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command that is called with an `engine` ask the models of a store as judges."""

    @click.option(
        "--jobs",
        metavar="DIR",
        type=click.Path(path_type=Path, file_okay=False, exists=True),
        callback=named_path,
        help="Folder of `graders serve --jobs DIR`: judges may be models that jobs have trained there.",
    )
    @click.option(
        "--project",
        metavar="NAME",
        default=DEFAULT_PROJECT,
        show_default=True,
        help="Whose models, with --jobs: a project of graders.toml.",
    )
    @functools.wraps(command)
    def with_models(engine: Engine, jobs: Path | None, project: str, **rest: Any) -> None:
        if jobs is None:
            command(engine=engine, **rest)
            return
        if rest.get("cluster") is not None:
            raise InvalidRequest(
                "--jobs has models of this machine asked, which Ray's workers cannot: leave out one of "
                "--jobs and --backend ray."
            )
        from graders_engine.inference.judging import Projects  # few ask for it
        from graders_engine.storage.store import Store

        judges = engine.settings.judge_settings()
        with Store(jobs) as store:
            asked = replace(judges, local=Projects(store, judges).of(project))
            command(engine=engine.from_settings(replace(engine.settings, judges=asked)), **rest)

    return with_models
