"""The page of a run's report, for a browser."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from graders_engine.errors import Mistake
from graders_engine.evals.run.spec import environment_without_keys
from graders_engine.evals.wire import ENDED
from graders_engine.server.evals.context import Context, found
from graders_engine.server.evals.repeats import Creations
from graders_engine.server.exchange import Exchange
from graders_engine.server.responses import NO_RETRY, Refused
from graders_engine.storage.runs import StoredRun

RESULTS, PAGE = "results.jsonl", "report.html"
"""The files of a run's folder: what `graders score` writes, and what `graders report` makes of it."""
LONGEST_S = 300
"""Seconds that the report of a large run may take."""
_HTML = b"text/html; charset=utf-8"
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "sandbox allow-scripts",
    "referrer-policy": "no-referrer",
}
"""The page shows what models wrote: it gets an origin of its own, from which no route can be read."""


class ReportHandler:
    """Shows reports; each is made by a process of its own, which keeps the server free for others.

    Args:
        context: what handlers need.
    """

    def __init__(self, context: Context) -> None:
        self._context, self._reports = context, Creations()

    async def show(self, exchange: Exchange) -> None:
        """Answer with the report of a run, as far as the run has come.

        Raises:
            Refused: there is no such run in the caller's project, or it has no results.
        """
        run_id = exchange.path_parameters["run_id"]
        served = self._context.served
        stored = await served.call(served.store.runs.find, run_id)
        if stored is not None and stored.project != exchange.project:
            stored = None
        run = found("run", run_id, stored)
        folder = served.store.run_folder(run.id)
        page = await asyncio.to_thread(
            self._reports.make, run.id, lambda: _made(folder, run), lambda: _make(folder, run)
        )
        await exchange.respond(200, page, _HEADERS, media_type=_HTML)


def _made(folder: Path, run: StoredRun) -> bytes | None:
    """The page of a run that has ended, where it was made after the last result."""
    page, results = folder / PAGE, folder / RESULTS
    try:
        if run.status in ENDED and page.stat().st_mtime_ns >= results.stat().st_mtime_ns:
            return page.read_bytes()
    except FileNotFoundError:
        pass
    return None


def _make(folder: Path, run: StoredRun) -> bytes:
    if not (folder / RESULTS).exists():
        message = f"The run '{run.id}' is {run.status} and has no results of its own to report."
        raise Refused(404, Mistake(message, code="not_found"))
    command = [sys.executable, "-m", "graders_engine", "report", RESULTS, "--out", PAGE]
    try:
        subprocess.run(  # noqa: S603 - no part of the command comes from a request
            command,
            cwd=folder,
            env=environment_without_keys(),
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=LONGEST_S,
        )
        return (folder / PAGE).read_bytes()
    except (subprocess.SubprocessError, FileNotFoundError) as error:
        printed = getattr(error, "stderr", None) or b""
        reason = printed.decode("utf-8", "replace").strip() or str(error)
        message = f"The report of '{run.id}' could not be made: {reason}"
        raise Refused(500, Mistake(message, code="report_failed"), NO_RETRY) from None
