"""Results at a URL: kept in a file here until the run is whole, and then copied there.

What stores objects cannot append to one. So a run writes to a file of this machine, where it is resumed as
any other, and what is at the URL is the whole of a run or what was there before.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from graders_engine.dataset.results.companions import index_path
from graders_engine.dataset.results.line import lines_of
from graders_engine.dataset.results.meta import UPLOADED, meta_path, read_meta, record
from graders_engine.dataset.rows.remote import Found, Missing, RemoteFile
from graders_engine.errors import DataSetError, InvalidRequest
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
        self._remote = RemoteFile(url)
        self._before: Found | None = None

    def require(self, *, overwrite: bool, inputs: Iterable[Location | None] = ()) -> None:
        """Check, before anything is graded, that the results can be written there, and destroy nothing.

        Args:
            overwrite: whether what is there may be replaced, whatever it is.
            inputs: what the run reads.

        Raises:
            DataSetError: they cannot, or something is there that this run did not put there; or no run wrote
                the file that is here.
            InvalidRequest: what is at such URLs can only be read; or it is an input.
        """
        if "?" in str(self.url):
            raise InvalidRequest(f"{self.url}: the URL of an output has no query.")
        if self.url in inputs:
            raise InvalidRequest(f"{self.url} is read by this run: write to another file.")
        self._remote.require_writable_scheme()
        self._before = self._found()
        if self._before is not None and not overwrite and self._recorded() != _facts(self._before):
            raise DataSetError(
                f"{self.url} exists, and it is not what a run put there from {self.place}. "
                "Write to another file, or pass --overwrite to start over."
            )
        self._remote.require_writable()

    def send(self) -> None:
        """Copy the results, and the files next to them, to the URL; the results last.

        Raises:
            DataSetError: they cannot be written, with where they are.
        """
        lines = lines_of(self.place)
        beside = [index_path(lines), meta_path(lines), *([lines] if lines != self.place else ())]
        try:
            if self._found() != self._before:
                raise DataSetError(f"{self.url} was written by somebody else meanwhile.")
            for file in (*beside, self.place):
                RemoteFile(self._url_of(file)).put(file)
            now = self._found()
        except DataSetError as error:
            raise DataSetError(
                f"{error} The results are whole, and kept here in {self.place}: run the same command again, "
                f"which grades nothing twice, or copy {', '.join(map(str, (self.place, *beside)))} by hand."
            ) from None
        record(lines, **{UPLOADED: None if now is None else _facts(now, self.url)})
        self._before = now

    def _url_of(self, file: Path) -> Url:
        """Where a file that is next to the results goes: next to them."""
        head, name, tail = self.url.given.rpartition(self.url.name)
        return Url(f"{head}{file.name}{tail}") if name else self.url

    def _found(self) -> Found | None:
        try:
            return self._remote.found("written")
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
