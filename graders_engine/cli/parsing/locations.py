"""Options and arguments that name files: of this machine, or at URLs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from graders_engine.errors import InvalidRequest
from graders_engine.urls import Location, Url, location

_IN_MEMORY = "memory"
"""The scheme of what fsspec keeps in a process: a command finds nothing there, and leaves nothing behind."""


def _of_memory(at: Url) -> str:
    """Why a URL is refused; empty if it is not."""
    if at.scheme != _IN_MEMORY:
        return ""
    return (
        f"{at} is in the memory of one process: nothing is there when a command begins, and what it writes "
        "there is gone when it ends. Name a file of this machine, or a URL of a store."
    )


def _any(at: Url) -> str:
    return _of_memory(at) or f"{at} is a URL, and this must be a file of this machine."


def _of_results(at: Url) -> str:
    from graders_engine.dataset.results.companions import index_path
    from graders_engine.dataset.results.line import lines_of
    from graders_engine.dataset.results.meta import meta_path

    lines = lines_of(Path(at.name))
    made_from = [lines.name] if lines.name != at.name else []
    files = [*made_from, meta_path(lines).name, index_path(lines).name]
    return _of_memory(at) or (
        f"{at} is a URL, and this must be a file of this machine: copy it here first, with the files beside "
        f"it: {', '.join(files)}."
    )


class _Located(click.Path):
    """A path, or what a URL names, whose secrets are in no message.

    Args:
        refusal: why a URL is not taken; an empty text if it is.
        checks: as for `click.Path`.
    """

    def __init__(self, refusal: Callable[[Url], str], **checks: bool) -> None:
        super().__init__(path_type=Path, **checks)
        self._refusal = refusal

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
        if not isinstance(at, Url):
            return super().convert(at, param, ctx)
        if refusal := self._refusal(at):
            self.fail(refusal, param, ctx)
        return at


DATA = _Located(_of_memory)
"""The type of what names rows to read, or results to write."""
FILE = _Located(_any)
"""The type of what names a file of this machine."""
EXISTING_FILE = _Located(_any, exists=True, dir_okay=False)
"""The same for one that must be there."""
RESULTS = _Located(_of_results)
"""The type of what names results to read, which are in a file of this machine."""
