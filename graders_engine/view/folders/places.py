"""What was opened: folders and files, and that nothing outside of them is reached."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from graders_engine.dataset.results.line import lines_of
from graders_engine.dataset.results.meta import meta_path
from graders_engine.errors import InvalidRequest, Mistake
from graders_engine.server.responses import Refused

MAX_DEPTH = 8
"""Folders within folders that are looked into."""
MAX_ENTRIES = 20_000
"""Files and folders that are looked at in one opened folder."""
SKIPPED = frozenset(("node_modules", "__pycache__", "site-packages"))
"""Folders that hold no runs, besides hidden ones."""
_NUMBERED = re.compile(r"(\d{1,3}):(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened folder, or the folder of an opened file.

    Attributes:
        given: as the user named it.
        folder: its path without symbolic links.
        only: the name of the file, if one was opened; else empty.
    """

    given: str
    folder: Path
    only: str = ""

    @property
    def label(self) -> str:
        """What it is called on the page: as the user named it, but "." and ".." by their own names."""
        is_dots = all(part == ".." for part in Path(self.given).parts)
        return (self.folder.name if is_dots else "") or self.given

    def holds(self, path: Path) -> bool:
        """Whether a path without symbolic links is what was opened, or in it."""
        if self.only:
            return path == self.folder / self.only
        return path.is_relative_to(self.folder)

    def reaches(self, path: Path) -> bool:
        """Whether a path is what was opened, or leads to what is in it."""
        if self.only and path == self.folder / self.only:
            return True
        try:
            return self.holds(Path(os.path.realpath(path)))
        except (OSError, ValueError):
            return False

    def has_all_of(self, run: Path) -> bool:
        """Whether neither the results of a run nor what describes them are links that lead out."""
        lines = lines_of(run)
        return self.reaches(lines) and (bool(self.only) or self.reaches(meta_path(lines)))


class Places:
    """Everything that was opened.

    Args:
        given: folders and files, as the user named them.

    Raises:
        InvalidRequest: one of them does not exist.
    """

    def __init__(self, given: Sequence[Path]) -> None:
        missing = [str(path) for path in given if not path.exists()]
        if missing:
            raise InvalidRequest(
                "\n".join(f"{path}: there is no such file or folder." for path in missing)
            )
        self.all = [_place(path) for path in given]

    def find(self, name: str) -> Path:
        """The path of a file that an address names; it may not exist.

        Raises:
            Refused: it is not in what was opened.
        """
        place, within = self._split(name)
        parts = PurePosixPath(within).parts
        hidden = any(part.startswith(".") or part in SKIPPED for part in parts)
        if hidden or not parts or within.startswith("/") or "\0" in within or "\\" in within:
            raise unknown(name)
        path = place.folder.joinpath(*parts)
        if not place.reaches(path):
            raise unknown(name)
        return path

    def find_run(self, name: str) -> Path:
        """The path of the results file that an address names; neither it nor what describes it is outside.

        Raises:
            Refused: it is not there, or not in what was opened.
        """
        path = self.find(name)
        try:
            there = path.is_file() or meta_path(path).is_file()
        except OSError:  # a name that is too long
            there = False
        if not there or not self._split(name)[0].has_all_of(path):
            raise unknown(name)
        return path

    def find_folder(self, name: str) -> Path:
        """The folder in which a file is that an address names.

        Raises:
            Refused: the file or the folder is not in what was opened.
        """
        path, place = self.find(name), self._split(name)[0]
        if not Path(os.path.realpath(path.parent)).is_relative_to(place.folder):
            raise unknown(name)
        return path.parent

    def holds(self, path: Path) -> bool:
        """Whether a path leads to something in what was opened, symbolic links followed."""
        try:
            real = Path(os.path.realpath(path))
        except (OSError, ValueError):
            return False
        return any(place.holds(real) for place in self.all)

    def real(self, path: Path) -> Path | None:
        """A path without symbolic links, if an address could name it; None for what was not opened."""
        try:
            real = Path(os.path.realpath(path))
        except (OSError, ValueError):
            return None
        for place in self.all:
            if place.holds(real):
                try:
                    return self.find(self.name(place, real))
                except Refused:  # it is hidden
                    continue
        return None

    def name(self, place: Opened, path: Path) -> str:
        """How an address names a file of a place."""
        within = path.relative_to(place.folder).as_posix()
        return within if len(self.all) == 1 else f"{self.all.index(place) + 1}:{within}"

    def plain(self, text: str) -> str:
        """A sentence in which paths are as the user gave them."""
        for place in self.all:
            given = place.given.rstrip("/")
            prefix = "" if given in ("", ".") or place.only else f"{given}/"
            text = text.replace(f"{place.folder}{os.sep}", prefix)
        return text

    def _split(self, name: str) -> tuple[Opened, str]:
        """The place that a name is in, and the name within it."""
        if len(self.all) == 1:
            return self.all[0], name
        match = _NUMBERED.fullmatch(name)
        number = int(match[1]) if match else 0
        if match is None or not 1 <= number <= len(self.all):
            raise unknown(name)
        return self.all[number - 1], match[2]


def unknown(name: str) -> Refused:
    """The answer to a name that is nothing of what was opened."""
    message = f"There is no '{name[:200]}' in what was opened."
    return Refused(404, Mistake(message, code="not_found"))


def _place(given: Path) -> Opened:
    if given.is_dir():
        return Opened(str(given), Path(os.path.realpath(given)))
    lines = lines_of(given)
    return Opened(str(given), Path(os.path.realpath(lines.parent)), lines.name)


def files_in(place: Opened) -> Iterator[os.DirEntry[str] | None]:
    """The files of a place, folder by folder; no symbolic link to a folder is followed.

    After `MAX_ENTRIES` it ends with None: there may be more. A link to a file counts as the file, if that is
    in the place.
    """
    waiting, seen = [(str(place.folder), 0)], 0
    while waiting:
        folder, depth = waiting.pop()
        for entry in _entries(folder):
            seen += 1
            if seen > MAX_ENTRIES:
                yield None
                return
            if entry.name.startswith(".") or entry.name in SKIPPED:
                continue
            if entry.is_dir(follow_symlinks=False):
                if depth < MAX_DEPTH and not place.only:
                    waiting.append((entry.path, depth + 1))
            elif _is_inside(place, entry):
                yield entry


def _is_inside(place: Opened, entry: os.DirEntry[str]) -> bool:
    try:
        if not entry.is_file():
            return False
    except OSError:  # links in a circle
        return False
    return not entry.is_symlink() or place.holds(Path(os.path.realpath(entry.path)))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What is in a folder, by name; nothing of one that may not be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []
