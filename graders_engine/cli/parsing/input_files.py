"""The files that a command reads its request from; what judges write must be none of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from graders_engine.errors import InvalidRequest
from graders_engine.files import FilesInUse, read_text
from graders_engine.urls import Location, files_among

if TYPE_CHECKING:
    from graders_engine.settings import EngineSettings

_FILES_READ = f"{__name__}.files_read"


def read_file(path: Path) -> str:
    """The text of a file.

    Raises:
        InvalidRequest: the file cannot be read, or is not UTF-8.
    """
    try:
        text = read_text(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidRequest(f"{path}: {reason[0].lower()}{reason[1:]}.") from None
    except UnicodeDecodeError as error:
        wide = error.object[:2] in (b"\xff\xfe", b"\xfe\xff")
        reason = "UTF-16 text" if wide else f"not UTF-8 text (byte {error.start})"
        known = "UTF-16" if wide else "ENCODING"
        such = "" if wide else ", with such as CP1252 or GBK"
        raise InvalidRequest(
            f"{path}: {reason}: save it as UTF-8, as by `iconv -f {known} -t UTF-8 {path}`{such}."
        ) from None
    files_read().append(path)
    return text


def files_read() -> list[Path]:
    """The files that the current command has read by `read_file`; nothing may overwrite them."""
    context = click.get_current_context(silent=True)
    files: list[Path] = [] if context is None else context.meta.setdefault(_FILES_READ, [])
    return files


def keep_inputs(settings: EngineSettings, *more: Location) -> None:
    """Check that judges write to no file that this command reads.

    Args:
        settings: the engine's; they name what judges read and write.
        more: files that the command reads, besides those of `read_file`.

    Raises:
        DataSetError: they would.
    """
    judges = settings.judge_settings()
    inputs = dict.fromkeys((*files_read(), *files_among(more)), "an input of this command")
    FilesInUse({**judges.inputs(), **inputs}).write(judges.outputs())
