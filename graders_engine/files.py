"""Files by name: no input is overwritten, an output is a regular file, a text is not read without end."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from graders_engine.errors import DataSetError

TEMPORARY = ".graders.tmp"
"""Ends the name of a file that is being written, until it is whole and gets its own name."""
MAX_TEXT_BYTES = 64 << 20
"""Longest text file that is read whole: a grader, a sample, a configuration."""
STDIN = Path("-")
"""Stands for standard input."""
SQLITE_SUFFIXES = ("-wal", "-shm", "-journal")
"""SQLite writes to files next to a database, under its name with these endings."""
NO_INHERITANCE = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""Flags for `os.open`: children do not get the file; and on Windows its ends of lines stay as they are."""
READING = os.O_RDONLY | NO_INHERITANCE | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Flags to read what others wrote: no link is followed, and no pipe is waited for. Windows has neither."""
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "folder"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)
_PATH = re.compile(
    r"""(?P<quote>['"])/(?:[^'"\n]*/)?(?P<quoted>[^'"/\n]+)/?(?P=quote)"""
    r"""|(?<![\w:/.~])/(?:[^/\s'"<>|:]+/)+(?P<name>[^/\s'"<>|:,;()]+)/?"""
)
_DRIVE = r"(?:\\{2,4}[?.]\\{1,2})?[A-Za-z]:[\\/]+|\\{2,4}[^\s\\/'\"<>|:]+\\+"
_WINDOWS_PATH = re.compile(
    rf"""(?P<quote>['"])(?:{_DRIVE})(?:[^'"\n\\/]+[\\/]+)*(?P<quoted>[^'"\\/\n]+)[\\/]*(?P=quote)"""
    rf"""|(?<![\w/\\])(?:{_DRIVE})(?:[^\\/\n'"<>|:]+\\+|[^\\/\s'"<>|:]+/+)*"""
    r"""(?P<name>[^\\/\s'"<>|:,;()]+)[\\/]*"""
)
"""A path with a drive or a server; its backslashes may be doubled, as in a list that is shown."""
_MAX_LINKS = 40
"""Symbolic links that are followed; Linux follows as many."""
_Key = tuple[str, int, int] | str


class FilesInUse:
    """The files that a command reads and writes: what is written is neither an input nor another output.

    Files are recognised whatever their name is: through symbolic and hard links, `/proc/self/fd`, and other
    spellings.

    Args:
        inputs: by path, what each is, as in "the data set itself". `-` is the file on standard input, if
            that is one.
    """

    def __init__(self, inputs: Mapping[Path, str]) -> None:
        self._owners: dict[_Key, tuple[Path, str]] = {}
        for path, what in inputs.items():
            self._add(path, what)

    def write(self, outputs: Mapping[Path, str]) -> None:
        """Take files as outputs.

        Args:
            outputs: by path, what each is.

        Raises:
            DataSetError: one of them is an input, or an output that was taken before.
        """
        for path, what in outputs.items():
            for key in _keys(path):
                if key in self._owners:
                    other, role = self._owners[key]
                    named = "" if other == path else f" ({other})"
                    raise DataSetError(
                        f"{path} is {role}{named}: it cannot be {what} as well. Write to another file."
                    )
            self._add(path, what)

    def _add(self, path: Path, what: str) -> None:
        for key in _keys(path):
            self._owners.setdefault(key, (path, what))


def _keys(path: Path) -> list[_Key]:
    """What identifies a file, whether it exists or not; nothing for what is no file on a disk."""
    try:
        found = os.fstat(0) if path == STDIN else os.stat(path)
    except (OSError, ValueError):
        return [] if path == STDIN else [_real(path)]
    if not stat.S_ISREG(found.st_mode):
        return []
    inode = ("inode", found.st_dev, found.st_ino)
    return [inode] if path == STDIN else [inode, _real(path)]


def _real(path: Path) -> str:
    try:
        return os.path.normcase(os.path.realpath(path))
    except (OSError, ValueError):
        return str(path)


def kind_of(path: Path) -> str:
    """What is at a path, if it is no regular file: "folder", "pipe", "socket" or "device"; else empty.

    Raises:
        OSError: the system does not say; that there is nothing is no error.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except ValueError as error:  # a NUL in the name
        raise OSError(0, str(error)) from None
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "")


def require_regular(path: Path, subject: str) -> None:
    """Check that a path can be written to as a file, before anything is written anywhere.

    Args:
        path: the output.
        subject: begins the sentence: "The results cannot be written".

    Raises:
        DataSetError: it is a folder, a pipe, a socket or a device, its name is too long, or it stands for
            a file that is open in this process, such as /dev/stdout.
    """
    try:
        if kind := kind_of(path):
            raise DataSetError(f"{subject}: {path} is not a regular file, but a {kind}.")
    except OSError as error:
        raise DataSetError(f"{subject}: {path}: {error.strerror}.") from None
    if is_open_file(path):
        raise DataSetError(
            f"{subject}: {path} is not a regular file, but stands for one that is already open. "
            "Name that file."
        )


def is_open_file(path: Path) -> bool:
    """Whether a name leads through /proc or /dev/fd, as /dev/stdout does."""
    name = str(path)
    for _ in range(_MAX_LINKS):
        folder = os.path.realpath(os.path.dirname(name) or ".")
        if folder.startswith(("/proc/", "/dev/fd")):
            return True
        if not os.path.islink(name):
            return False
        name = os.path.join(folder, os.readlink(name))
    return False


def require_free(companions: Iterable[Path], subject: str) -> None:
    """Check that files which a run makes besides those that are named can be made.

    Raises:
        DataSetError: something is in the way that is no regular file, or a name is too long.
    """
    for path in companions:
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise DataSetError(f"{subject}: {path}: {error.strerror}.") from None
        if not stat.S_ISREG(mode):
            kinds = (kind for is_kind, kind in _KINDS if is_kind(mode))
            kind = next(kinds, "symbolic link")
            raise DataSetError(
                f"{subject}: {path} cannot be written, because a {kind} is in its place. "
                "Remove it, or write to another file."
            )


def require_writable(path: Path, subject: str) -> None:
    """Check that `write_whole` can write a file, before anything is computed.

    Raises:
        DataSetError: there is no such folder, or nothing may be written into it; or as `require_regular`.
    """
    require_regular(path, subject)
    temporary = temporary_for(path)
    require_free([temporary], subject)
    folder = temporary.parent
    if not folder.is_dir():
        raise DataSetError(f"{subject}: {path}: there is no folder {folder}.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataSetError(f"{subject}: {path}: nothing may be written into {folder}.")


def beside(path: Path, suffix: str) -> Path:
    """The file whose name is that of another one with something at its end; for any path, even `.`."""
    return Path(f"{path}{suffix}")


def sqlite_companions(path: Path) -> list[Path]:
    """The files that SQLite may write next to a database."""
    return [beside(path, suffix) for suffix in SQLITE_SUFFIXES]


def temporary_for(path: Path) -> Path:
    """Where a file is written until it is whole: next to it, or to what it links to."""
    return beside(Path(os.path.realpath(path)), TEMPORARY)


def write_whole(path: Path, content: bytes, mode: int | None = None) -> None:
    """Write a file completely or not at all; what is there stays as it is until then.

    Args:
        path: the file.
        content: what to write.
        mode: its permissions; when left out, those of the file that is there.

    Raises:
        OSError: it cannot be written.
    """

    def write(file: BinaryIO) -> None:
        file.write(content)

    replace_by(path, write, mode)


def replace_by(path: Path, write: Callable[[BinaryIO], object], mode: int | None = None) -> None:
    """Replace a file by what a function writes; the new one is on the disk before it gets the name.

    Args:
        path: the file.
        write: writes the new one.
        mode: its permissions; when left out, those of the file that is there.

    Raises:
        OSError: it cannot be written; the old one is unchanged.
    """
    temporary = temporary_for(path)
    temporary.unlink(missing_ok=True)  # of a process that was killed
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_INHERITANCE
        with open(os.open(temporary, flags, 0o666 if mode is None else mode), "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            with suppress(OSError):
                if mode is None:
                    os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
        temporary.replace(os.path.realpath(path))
    finally:
        temporary.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """A text file, which may be a pipe, without a byte order mark.

    Raises:
        OSError: it cannot be read, or is longer than `MAX_TEXT_BYTES`.
        UnicodeDecodeError: it is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TEXT_BYTES + 1)
    except ValueError as error:  # a NUL in the name
        raise OSError(0, str(error)) from None
    if len(content) > MAX_TEXT_BYTES:
        raise OSError(0, f"it is longer than {MAX_TEXT_BYTES} bytes")
    return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def digest_of(file: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def reason_of(error: Exception) -> str:
    """Why something failed, without the path that the system names with it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def without_paths(text: str) -> str:
    r"""An error's text as clients may see it: of each absolute path of this machine, its last name alone.

    What begins with no folder of this machine, such as the path of a URL, stays as it is; on Windows, what
    begins with no drive, and no `\\server`.
    """
    if sys.platform == "win32":
        text = _WINDOWS_PATH.sub(_name_alone, text)
    return _PATH.sub(_last_name, text)


def _last_name(found: re.Match[str]) -> str:
    quote = found["quote"] or ""
    first = found[0].removeprefix(quote)[1:].partition("/")[0]
    return _name_alone(found) if os.path.isdir(f"/{first}") else found[0]


def _name_alone(found: re.Match[str]) -> str:
    quote = found["quote"] or ""
    return found["name"] or f"{quote}{found['quoted']}{quote}"
