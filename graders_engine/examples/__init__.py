"""Graders with data to try them on, a folder each, with a README in Markdown that says what to look at."""

from __future__ import annotations

import errno
import os
import shutil
from functools import cache
from pathlib import Path

from graders_engine.files import TEMPORARY

FOLDER = Path(__file__).parent
README = "README.md"
_START = "# "


@cache
def titles() -> dict[str, str]:
    """The name of each example and its title, in the order of their names: {"invoices": "Invoices: …"}."""
    found = {}
    for path in sorted(FOLDER.glob(f"*/{README}")):
        with path.open(encoding="utf-8") as file:
            found[path.parent.name] = file.readline().removeprefix(_START).strip()
    return found


def first_command(name: str) -> str:
    """The first command that the README of an example shows: "graders score …", maybe of several lines.

    Raises:
        KeyError: there is no example of this name.
    """
    lines = iter(_folder(name).joinpath(README).read_text(encoding="utf-8").splitlines())
    command = next(line for line in lines if line.startswith("$ ")).removeprefix("$ ")
    while command.endswith("\\"):
        command += f"\n{next(lines)}"
    return command


def copy(name: str, folder: Path) -> None:
    """Write an example as a folder; whatever stops it, no part of it is left.

    Args:
        name: one of `titles`.
        folder: what does not exist yet.

    Raises:
        KeyError: there is no example of this name.
        FileExistsError: there is something of the folder's name.
        OSError: it cannot be written.

    Example:
        >>> copy("invoices", Path("invoices"))
    """
    files = _files(_folder(name))
    if os.path.lexists(folder):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}{TEMPORARY}")
    try:
        for path, content in files.items():
            (unfinished / path).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / path).write_bytes(content)
        unfinished.rename(folder)
    except OSError as error:
        error.filename = str(folder)
        raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _folder(name: str) -> Path:
    if name not in titles():
        raise KeyError(name)
    return FOLDER / name


def _files(folder: Path) -> dict[Path, bytes]:
    """The content of each file below a folder. An installation compiles python graders, too."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent.name != "__pycache__"
    }
