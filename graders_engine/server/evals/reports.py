"""The page of a run, for a browser."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from graders_engine.errors import Mistake
from graders_engine.evals.run.place import RESULTS
from graders_engine.evals.run.spec import environment_without_keys
from graders_engine.evals.wire import ENDED
from graders_engine.files import write_whole
from graders_engine.language import strict_json
from graders_engine.server.evals.context import Context, found
from graders_engine.server.evals.repeats import Creations
from graders_engine.server.exchange import HTML, Exchange
from graders_engine.server.responses import NO_RETRY, Refused
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store
from graders_engine.version import __version__

COMMAND = (sys.executable, "-P", "-m", "graders_engine.evals.run.page")
PAGES = "page-*.html"
"""The page of a run that has ended is kept in the run's folder, with what it depends on in its name."""
LONGEST_S = 300
"""Seconds that the page of a large run may take."""
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "sandbox allow-scripts",
    "referrer-policy": "no-referrer",
}
"""The page shows what models wrote: it gets an origin of its own, from which no route can be read."""


class ReportHandler:
    """Shows runs; each page is made by a process of its own, which keeps the server free for others.

    Args:
        context: what handlers need.
    """

    def __init__(self, context: Context) -> None:
        self._context, self._reports = context, Creations()

    async def show(self, exchange: Exchange) -> None:
        """Answer with the page of a run in any state, as far as the run has come.

        Raises:
            Refused: there is no such run in the caller's project.
        """
        run_id = exchange.path_parameters["run_id"]
        store = self._context.served.store
        stored = await self._context.served.call(store.runs.find, run_id)
        if stored is not None and stored.project != exchange.project:
            stored = None
        run = found("run", run_id, stored)
        owner = await self._context.served.call(store.evals.get, run.project, run.eval_id)
        name = owner.name if owner is not None else ""

        made = await asyncio.to_thread(page_of, store, run, name, self._reports)
        await exchange.respond(200, made, _HEADERS, media_type=HTML)


def page_of(store: Store, run: StoredRun, eval_name: str, making: Creations) -> bytes:
    """The page of a run: one that is kept, or a new one.

    Args:
        store: where the run is.
        run: as it was just now.
        eval_name: as the page names the eval; may be empty.
        making: the pages that are being made.

    Raises:
        Refused: the page cannot be made, or the run was deleted meanwhile.
    """
    try:
        kept = _place_of(store, run, eval_name)
        return making.make(run.id, lambda: _kept(kept), lambda: _make(store, run, kept))
    except (Refused, FileNotFoundError):  # no fault of ours where the run is gone
        found("run", run.id, store.runs.find(run.id))
        raise


def _place_of(store: Store, run: StoredRun, eval_name: str) -> Path | None:
    """Where the page of a run that has ended is kept; None for one in progress, or without a folder."""
    folder = store.run_folder(run.id)
    if run.status not in ENDED or not folder.is_dir():
        return None
    results = folder / RESULTS
    size = results.stat().st_size if results.exists() else 0
    basis = [__version__, run.name, eval_name, run.status, run.result, run.error, size]
    digest = hashlib.sha256(strict_json.encode(basis)).hexdigest()[:32]
    return folder / PAGES.replace("*", digest)


def _kept(page: Path | None) -> bytes | None:
    with suppress(FileNotFoundError):
        return None if page is None else page.read_bytes()
    return None


def _make(store: Store, run: StoredRun, kept: Path | None) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - no part of the command comes from a request
            [*COMMAND, str(store.folder.absolute()), run.id],
            cwd=store.folder,
            env=environment_without_keys(),
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LONGEST_S,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        message = f"The page of '{run.id}' could not be made: {_reason(error)}"
        raise Refused(500, Mistake(message, code="report_failed"), NO_RETRY) from None
    if kept is not None:
        with suppress(OSError):  # a full disk: it is made again
            for older in kept.parent.glob(PAGES):
                older.unlink(missing_ok=True)
            write_whole(kept, done.stdout)
    return done.stdout


def _reason(error: subprocess.CalledProcessError | subprocess.TimeoutExpired) -> str:
    """Why there is no page, in words for clients: without the command, which has paths of this machine."""
    if isinstance(error, subprocess.TimeoutExpired):
        return f"it took more than {LONGEST_S} s."
    printed: bytes = error.stderr or b""
    lines = printed.decode("utf-8", "replace").strip().splitlines()  # the last one of a traceback
    return lines[-1] if lines else f"its process ended with the code {error.returncode}."
