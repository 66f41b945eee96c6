"""Where a page is written: not onto an input, nor onto anything that is no page."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from graders_engine.dataset.results.companions import results_files
from graders_engine.dataset.results.data import place_recorded
from graders_engine.dataset.results.line import lines_of
from graders_engine.dataset.results.meta import read_meta
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.files import FilesInUse, require_writable, write_whole
from graders_engine.urls import Location

_ENDINGS = (".html", ".htm")
_FIRST_BYTES = b"<!doctype html>"
"""Of every page that was written before."""


def require_place(
    page: Path,
    runs: Sequence[tuple[Path, Location | None]],
    what: str = "report",
    others: Collection[Location] = (),
    option: str = "--out",
) -> None:
    """Check that a page can be written, before anything is computed.

    Args:
        page: the file to write.
        runs: the results files that it is about, each with its data set if that was moved.
        what: the page is, for messages: "report".
        others: more files that the command reads.
        option: that which names the page, for messages.

    Raises:
        InvalidRequest: the page would replace the results, or has the name of another format.
        DataSetError: it cannot be written there, or would destroy an input or what is not a page.
    """
    subject = f"The {what} cannot be written"
    require_writable(page, subject)
    inputs = {path: "an input of this command" for path in others if isinstance(path, Path)}
    for results, data in runs:
        lines = lines_of(results)
        if page.exists() and lines.exists() and page.samefile(lines):
            raise InvalidRequest(
                f"{option} {page}: these are the results; pass another file for the page."
            )
        recorded = read_meta(results).get("data", {})
        paths = (recorded.get("path"), (recorded.get("outputs") or {}).get("path"))
        places = [data, *map(place_recorded, paths)]
        inputs |= {path: "the data set itself" for path in places if isinstance(path, Path)}
        inputs |= dict.fromkeys(results_files(results), "a file of the run")
    FilesInUse(inputs).write({page: f"the {what}"})
    require_ending(page, option)
    if page.exists():
        with page.open("rb") as file:
            begins = file.read(len(_FIRST_BYTES))
        if begins and begins != _FIRST_BYTES:
            raise DataSetError(
                f"{subject}: {page} exists and is not a {what}: move it, or name another file with {option}."
            )


def require_ending(page: Path, option: str = "--out") -> None:
    """Check that a page has the name of one.

    Raises:
        InvalidRequest: it has not.
    """
    if page.suffix.lower() not in _ENDINGS:
        raise InvalidRequest(f"{option} {page}: the page is HTML; name a file that ends in .html.")


def write_page(page: Path, text: str, what: str = "report") -> None:
    """Write a page completely or not at all.

    Raises:
        DataSetError: it cannot be written.
    """
    try:
        write_whole(page, text.encode())
    except OSError as error:
        raise DataSetError(f"The {what} cannot be written: {page}: {error.strerror}.") from None
