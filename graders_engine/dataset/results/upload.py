"""Results at a URL: kept in a file here until the run is whole, and then copied there.

What stores objects cannot append to one. So a run writes to a file of this machine, where it is resumed as
any other, and what is at the URL is the whole of a run or what was there before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from graders_engine.dataset.results.companions import index_path
from graders_engine.dataset.results.described import SENT, description_of
from graders_engine.dataset.results.line import lines_of
from graders_engine.dataset.results.meta import (
    COMPLETE,
    UPLOADED,
    meta_path,
    read_meta,
    record,
    write_meta,
)
from graders_engine.dataset.rows.remote import Found, Missing, RemoteFile
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.files import digest_of
from graders_engine.urls import Location, Url


class Upload:
    """Results on their way to a URL.

    ::

        upload = Upload(Url("s3://bucket/results.jsonl"))
        upload.require(overwrite=False)
        score_file(engine, grader, data, upload.place)
        upload.send()

    Args:
        url: where they are wanted.

    Attributes:
        place: the file of this machine that has them until then, and afterwards: in the current folder,
            with the name that the URL has.
    """

    def __init__(self, url: Url) -> None:
        self.url = url
        self.place = Path(url.name)
        self._remote = RemoteFile(url, "written")
        self._before: Found | None = None
        self._meta_before: dict[str, Any] = {}
        self._is_recorded = self._overwrite = False

    def require(self, *, overwrite: bool, inputs: Iterable[Location | None] = ()) -> None:
        """Check, before anything is graded, that the results can be written there, and destroy nothing.

        Args:
            overwrite: whether what is there may be replaced, whatever it is; never what is here.
            inputs: what the run reads.

        Raises:
            DataSetError: they cannot, or something is there that this run did not put there; or it is to
                start over, and the file that is here is none that was to be sent there.
            InvalidRequest: what is at such URLs can only be read; or it is an input.
        """
        self._require_name()
        if self.url in inputs:
            raise InvalidRequest(f"{self.url} is read by this run: write to another file.")
        self._remote.require_writable_scheme()
        if overwrite:
            self._require_ours_here()
        self._overwrite = overwrite
        self._before = self._found()
        if self._before is not None and not overwrite and not self._is_ours(self._before):
            raise DataSetError(
                f"{self.url} exists, and it is not what a run put there from {self.place}. "
                "Write to another file, or pass --overwrite to start over."
            )
        self._remote.require_writable()
        self._meta_before = read_meta(self.place)

    def note(self) -> None:
        """Record with the results that are here, once the run writes them, where they are to be sent.

        Raises:
            DataSetError: that cannot be written.
        """
        meta = read_meta(self.place)
        if not self._is_recorded and meta and meta != self._meta_before:
            record(lines_of(self.place), **{UPLOADED: self._intent()})
            self._is_recorded = True

    def send(self) -> None:
        """Copy the results, and the files next to them, to the URL.

        What describes the results says that they are not whole until all of them are there, and then how
        they end (`results.described`): nobody takes what was there before for the new results, or the other
        way round. Who fetches the files one by one meanwhile may have lines and a description of two sets,
        which all that reads results refuses; a table (.csv, .parquet) of another set is not noticed, for it
        is made from the lines and never read.

        Raises:
            DataSetError: they cannot be written, with where they are.
        """
        lines = lines_of(self.place)
        results = [index_path(lines), *([lines] if lines != self.place else ()), self.place]
        meta = {key: value for key, value in read_meta(lines).items() if key != UPLOADED}
        meta[SENT] = description_of(lines)
        record(lines, **{UPLOADED: {**self._intent(), "sha256": digest_of(self.place)}})
        try:
            if self._found() != self._before:
                raise DataSetError(f"{self.url} was written by somebody else meanwhile.")
            self._put_meta(lines, {COMPLETE: False})
            for file in results:
                RemoteFile(self._url_of(file), "written").put(file)
            self._put_meta(lines, meta)
            now = self._found()
        except DataSetError as error:
            by = " without --overwrite" if self._overwrite else ""
            raise DataSetError(
                f"{error} The results are whole, and kept here in {self.place}: run the same command again"
                f"{by}, which grades nothing twice, or copy "
                f"{', '.join(map(str, (*results, meta_path(lines))))} by hand."
            ) from None
        record(lines, **{UPLOADED: None if now is None else _facts(now, self.url)})
        self._before = now

    def _put_meta(self, lines: Path, meta: dict[str, Any]) -> None:
        with tempfile.TemporaryDirectory(prefix="graders-") as folder:
            there = Path(folder) / lines.name
            write_meta(there, meta)
            RemoteFile(self._url_of(meta_path(lines)), "written").put(meta_path(there))

    def _require_name(self) -> None:
        if "?" in str(self.url):
            raise InvalidRequest(f"{self.url}: the URL of an output has no query.")
        name = self.url.given.partition("://")[2].partition("/")[2].rpartition("/")[2]
        if name in ("", ".", "..") or not name.isprintable():
            raise InvalidRequest(
                f"{str(self.url)!r}: the URL of an output ends with the name of a file."
            )

    def _require_ours_here(self) -> None:
        """Check that a file with results that is here was to be sent to the URL, or is there."""
        lines = lines_of(self.place)
        there = [path for path in (self.place, lines) if path.exists() and path.stat().st_size]
        if there and self._recorded() is None:
            raise DataSetError(
                f"{there[0]} is here already, and no run that sends it to {self.url} wrote it: --overwrite "
                "replaces what is at the URL alone. Move it, or run the command in another folder."
            )

    def _intent(self) -> dict[str, Any]:
        """Where the results are to be sent, and what they replace there."""
        before = None if self._before is None else _facts(self._before)
        return {"to": str(self.url), "replaces": before}

    def _is_ours(self, there: Found) -> bool:
        """Whether an object is what a run sent there from here, or what it was to replace."""
        recorded = self._recorded()
        if recorded is None or "replaces" not in recorded:
            return bool(recorded == _facts(there))
        if recorded["replaces"] == _facts(there):
            return True
        # The connection may have ended after it was written, but before that was known.
        if "sha256" not in recorded or there.size not in (None, self.place.stat().st_size):
            return False
        with tempfile.TemporaryDirectory(prefix="graders-") as folder:
            copy = Path(folder) / "results"
            self._remote.fetch(copy)
            return bool(recorded["sha256"] == digest_of(copy))

    def _url_of(self, file: Path) -> Url:
        """Where a file that is next to the results goes: next to them."""
        head, name, tail = self.url.given.rpartition(self.url.name)
        return Url(f"{head}{file.name}{tail}") if name else self.url

    def _found(self) -> Found | None:
        try:
            return self._remote.found()
        except Missing:
            return None

    def _recorded(self) -> Any:
        recorded = read_meta(self.place).get(UPLOADED)
        if isinstance(recorded, dict) and recorded.pop("to", None) == str(self.url):
            return recorded
        return None


def _facts(found: Found, url: Url | None = None) -> dict[str, Any]:
    """What is known of an object, as JSON values."""
    to = {} if url is None else {"to": str(url)}
    return {**to, "size": found.size, "facts": dict(found.facts)}
