"""`graders cache`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import click

from graders_engine.cli.parsing.command import Group
from graders_engine.cli.terminal.printing import format_value, print_lines
from graders_engine.home import expanded
from graders_engine.models.cache import CacheInfo, ReplyStore, default_path

_CACHE = click.option(
    "--cache",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Cache file (default: GRADERS_CACHE, or the user's cache folder).",
)


_JSON = click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")


@click.group("cache", cls=Group, example="graders cache info")
def command() -> None:
    """Show or clear the judges' replies that are kept on disk, so that nothing is paid twice."""


@command.command("info", example="graders cache info")
@_CACHE
@_JSON
def info(path: Path | None, *, as_json: bool) -> None:
    """Show which replies are kept, and where.

    With --json it prints {"path", "replies", "file_bytes", "total_tokens", "models", "oldest"}: the number of
    replies for each model, and when the oldest was kept (null if there is none).
    """
    path, is_there = _found(path)
    found = CacheInfo(path, 0, 0, 0, {}, None)
    if is_there:
        store = ReplyStore(path)
        found = store.info()
        store.close()
    if as_json:
        plain = {**dataclasses.asdict(found), "path": str(path), "oldest": _time(found, "seconds")}
        click.echo(format_value(plain, "json"))
    elif is_there:
        print_lines(_lines(found))
    else:
        print_lines([f"{path}: no replies are kept{_why_not(path)}"])


@command.command("clear", example="graders cache clear")
@_CACHE
@_JSON
def clear(path: Path | None, *, as_json: bool) -> None:
    """Delete every kept reply. Equal requests are sent, and paid for, again.

    With --json it prints {"path", "deleted"}.
    """
    path, is_there = _found(path)
    deleted = None
    if is_there:
        store = ReplyStore(path)
        deleted = store.clear()
        store.close()
    if as_json:
        click.echo(format_value({"path": str(path), "deleted": deleted or 0}, "json"))
        return
    what = (
        f"no replies were kept{_why_not(path)}"
        if deleted is None
        else f"deleted {_replies(deleted)}"
    )
    print_lines([f"{path}: {what}"])


def _found(path: Path | None) -> tuple[Path, bool]:
    """The cache, with the home folder in place of `~` where there is one, and whether it is there."""
    path = path or default_path()
    with suppress(ValueError):
        path = expanded(path)
    return path, path.exists()


def _why_not(path: Path) -> str:
    """Why no replies can be kept there, after what was found; empty if they can."""
    try:
        expanded(path)
    except ValueError as error:
        return f": {error}. Name a file with --cache or GRADERS_CACHE."
    return ""


def _replies(count: int) -> str:
    """A count of replies: "1 reply", "2 replies"."""
    return f"{count:,} {'reply' if count == 1 else 'replies'}"


def _lines(found: CacheInfo) -> Iterator[str]:
    yield f"{found.path}: {found.file_bytes / 1e6:,.1f} MB"
    yield f"replies  {found.replies:,}, which took {found.total_tokens:,} tokens"
    for model, replies in found.models.items():
        yield f"  {model}  {replies:,}"
    if found.oldest is not None:
        yield f"oldest   {_time(found, 'minutes')}"


def _time(found: CacheInfo, unit: str) -> str | None:
    """When the oldest reply was kept, in local time."""
    if found.oldest is None:
        return None
    time = datetime.fromtimestamp(found.oldest).astimezone()
    return time.isoformat(" " if unit == "minutes" else "T", unit)
