"""Where a run keeps its results while it goes, whatever `--out` names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from graders_engine.cli.terminal.failing import caution
from graders_engine.cli.terminal.printing import STDOUT
from graders_engine.report.visible import visible_json
from graders_engine.urls import Location, Url

_CHUNK_BYTES = 1 << 20


class ResultsPlace(NamedTuple):
    """The file of this machine that a run writes to.

    Attributes:
        path: the file.
        print_new: prints those results that were added since its last call, where they are to be printed;
            for a URL, records once that they are to be sent there.
        send: at the end, brings the results to where they are wanted.
    """

    path: Path
    print_new: Callable[[], None] = lambda: None
    send: Callable[[], None] = lambda: None


@contextmanager
def results_place(
    out: Location,
    *,
    quiet: bool = False,
    overwrite: bool = False,
    inputs: Iterable[Location | None] = (),
) -> Iterator[ResultsPlace]:
    """The file for results: for `-` a temporary one, for a URL one in the current folder.

    Args:
        out: where the results are wanted.
        quiet: whether to say nothing of it.
        overwrite: whether what is at a URL may be replaced.
        inputs: what the run reads.

    Raises:
        DataSetError: results cannot be written at the URL.
        InvalidRequest: what is at such URLs can only be read; or it is an input.
    """
    if isinstance(out, Url):
        from graders_engine.dataset.results.upload import Upload

        upload = Upload(out)
        upload.require(overwrite=overwrite, inputs=inputs)
        if not quiet:
            caution(
                f"note: the results are in {upload.place} until all rows are graded; then in {out}"
            )
        yield ResultsPlace(upload.place, upload.note, upload.send)
    elif out != STDOUT:
        yield ResultsPlace(out)
    else:
        with _printed() as place:
            yield place


@contextmanager
def _printed() -> Iterator[ResultsPlace]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="graders-") as folder:
        lines = Path(folder) / "results.jsonl"
        printed = 0

        def print_new() -> None:
            nonlocal printed
            if not lines.exists():
                return
            with lines.open("rb") as file:
                file.seek(printed)
                for some in iter(lambda: file.readlines(_CHUNK_BYTES), []):
                    whole = b"".join(line for line in some if line.endswith(b"\n"))
                    sys.stdout.write(visible_json(whole.decode()))
                    printed += len(whole)
            sys.stdout.flush()

        yield ResultsPlace(lines, print_new)
