"""The runs that are open."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from graders_engine.dataset.results.line import lines_of
from graders_engine.view.loading.memory import return_large_blocks
from graders_engine.view.opened import OpenRun

OPEN_RUNS = 4
"""Runs that are open at the same time."""


class RunCache:
    """The runs that are open, at most `OPEN_RUNS`; the one that was not used for longest is closed."""

    def __init__(self) -> None:
        return_large_blocks()
        self._runs: OrderedDict[tuple[str, Path | None], OpenRun] = OrderedDict()
        self._lock = Lock()

    def open(self, path: Path, data: Path | None = None) -> OpenRun:
        """Open a run; a file that is new is read behind (`OpenRun.ready`).

        Args:
            path: the results file.
            data: where the data set is now, if it was moved.
        """
        key = (os.path.realpath(lines_of(path)), data)
        with self._lock:
            if (run := self._runs.get(key)) is None:
                run = self._runs[key] = OpenRun(path, data)
            self._runs.move_to_end(key)
            while len(self._runs) > OPEN_RUNS:
                self._runs.popitem(last=False)[1].close()
            return run

    def close(self) -> None:
        """Close all."""
        with self._lock:
            while self._runs:
                self._runs.popitem()[1].close()
