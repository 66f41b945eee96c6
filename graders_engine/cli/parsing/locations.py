"""Options and arguments that name files: of this machine, or at URLs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from graders_engine.errors import InvalidRequest
from graders_engine.urls import Location, Url, location


class _Located(click.Path):
    """A path, or what a URL names, whose secrets are in no message."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str] | Url,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """The `Path` or the `Url` that the text names."""
        try:
            at: Location = value if isinstance(value, Url) else location(os.fspath(value))
        except InvalidRequest as error:
            self.fail(str(error), param, ctx)
        return at if isinstance(at, Url) else super().convert(at, param, ctx)


class _Local(_Located):
    """A path; a URL is refused by name."""

    def convert(
        self,
        value: str | os.PathLike[str] | Url,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """The `Path` that the text names."""
        at = super().convert(value, param, ctx)
        if isinstance(at, Url):
            self.fail(
                f"{at} is a URL, and this must be a file of this machine: copy it here first, with the "
                "files beside it.",
                param,
                ctx,
            )
        return at


DATA = _Located()
"""The type of what names rows to read."""
FILE = _Local()
"""The type of what names a file of this machine."""
