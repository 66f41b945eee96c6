"""`graders cache`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from graders_engine.models.cache import CacheInfo, ReplyStore, default_path

_CACHE = click.option(
    "--cache",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Cache file (default: GRADERS_CACHE, or the user's cache folder).",
)


@click.group("cache")
def command() -> None:
    """Show or clear the judges' replies that are kept on disk, so that nothing is paid twice."""


@command.command("info")
@_CACHE
def info(path: Path | None) -> None:
    """Show which replies are kept, and where."""
    path = path or default_path()
    if not path.exists():
        click.echo(f"{path}: no replies are kept")
        return
    store = ReplyStore(path)
    found = store.info()
    store.close()
    _show(found)


@command.command("clear")
@_CACHE
def clear(path: Path | None) -> None:
    """Delete every kept reply. Equal requests are sent, and paid for, again."""
    path = path or default_path()
    if not path.exists():
        click.echo(f"{path}: no replies were kept")
        return
    store = ReplyStore(path)
    replies = store.clear()
    store.close()
    click.echo(f"{path}: deleted {replies:,} replies")


def _show(found: CacheInfo) -> None:
    click.echo(f"{found.path}: {found.file_bytes / 1e6:,.1f} MB")
    click.echo(f"replies  {found.replies:,}, which took {found.total_tokens:,} tokens")
    for model, replies in found.models.items():
        click.echo(f"  {model}  {replies:,}")
    if found.oldest is not None:
        click.echo(f"oldest   {datetime.fromtimestamp(found.oldest).astimezone():%Y-%m-%d %H:%M}")
