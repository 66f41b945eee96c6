"""The command `graders view`: its options, and how it is started."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import webbrowser
from pathlib import Path

import click

from graders_engine.cli.parsing.command import Command
from graders_engine.cli.parsing.engine_options import engine_settings
from graders_engine.cli.parsing.locations import EXISTING_FILE, FILE
from graders_engine.errors import InvalidRequest
from graders_engine.settings import EngineSettings
from graders_engine.version import how_to_install

PORT = 8470
"""The first port that is tried."""
PORTS = 20
"""Ports that are tried, one after the other."""


@click.command("view", cls=Command, example="graders view runs/\ngraders view results.jsonl")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=FILE)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on.",
)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    help=f"Port to listen on; by default {PORT}, or the next free one.",
)
@click.option("--no-open", is_flag=True, help="Only print the address; open no browser.")
@click.option(
    "--data",
    metavar="FILE",
    type=EXISTING_FILE,
    help="The data set, if it was moved.",
)
@click.option(
    "--read-only", is_flag=True, help="Grade nothing with judges or python, and save nothing."
)
@engine_settings(use_cache=True)
def command(
    settings: EngineSettings,
    paths: tuple[Path, ...],
    host: str,
    port: int | None,
    no_open: bool,
    data: Path | None,
    read_only: bool,
) -> None:
    """Look at runs in a browser: their numbers, rows, texts, and how each reward comes about.

    PATH is a folder (by default the current one), in which all results of `graders score` are found, or a
    results file. The page needs no network. Its address has a key, without which nothing can be read; the key
    is made once for this user, so that bookmarks stay good. Ctrl-C ends it.
    """
    try:
        from graders_engine.server import serving
        from graders_engine.view import access, app, starting
    except ModuleNotFoundError as error:
        raise InvalidRequest(
            f"The page needs packages that are not installed ({error.name}): "
            f"{how_to_install('server')}."
        ) from None
    view = app.view_of_folders(paths or (Path(),), settings, data=data, read_only=read_only)
    key = access.kept_key()
    opened = _listen(host, port)
    address = starting.address(opened, key)

    def announce() -> None:
        with contextlib.suppress(OSError):  # it serves even where nothing can be printed
            click.echo(f"Runs in a browser: {address}\nCtrl-C ends it.")
        if not no_open and has_display():
            webbrowser.open(address)

    serving.serve(
        settings,
        starting.settings(opened, key),
        opened,
        announce,
        site=lambda store: app.site(view, alone=True),
        grades=False,
        log=starting.QuietLog(),
    )


def _listen(host: str, port: int | None) -> socket.socket:
    """Listen on a port, or on the first that is free of some.

    Raises:
        InvalidRequest: none can be used.
    """
    from graders_engine.server import listener

    if port is not None:
        return listener.listen(host, port)
    for number in range(PORT, PORT + PORTS - 1):
        with contextlib.suppress(InvalidRequest):
            return listener.listen(host, number)
    return listener.listen(host, PORT + PORTS - 1)


def has_display() -> bool:
    """Whether a browser with a window can be opened here: elsewhere one would take over the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
