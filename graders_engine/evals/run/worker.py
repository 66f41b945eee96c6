"""`python -m graders_engine.evals.run.worker DIR RUN_ID`: the process of one run.

The settings of the engine come over standard input (`spec.as_json`). The process holds the run's lock while
it lives: who can take the lock knows that nobody works. It talks to others by the store alone.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from graders_engine.errors import GradersError
from graders_engine.evals.run.failure import DISK_FULL, RunFailed, failure_of
from graders_engine.evals.run.place import LOCK, RESERVE
from graders_engine.evals.run.work import Work
from graders_engine.settings import EngineSettings
from graders_engine.settings_json import from_json
from graders_engine.storage.lock import ProcessLock
from graders_engine.storage.store import Store

LOCKED = 75
"""Exit code of a worker that found another one at work."""
OPEN = ("queued", "in_progress")
WATCH_S = 0.2
"""Seconds between two looks at what is wanted."""
BEAT_S = 0.5
"""Seconds between two notes of its life, and of the progress."""
END_S = 2.0
"""How long the work may take to end when the run is canceled; what was sampled is listed after that."""
_LOCK_S = 1.0
"""How long the lock is waited for: who looks whether it is free holds it for a moment."""


def main(folder: Path, run_id: str) -> int:
    """Work on a run; gives the exit code."""
    settings = from_json(sys.stdin.buffer.read())
    with Store(folder) as store:
        place = store.run_folder(run_id)
        if store.runs.state(run_id) is None:
            return 0
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = ProcessLock(place / LOCK)
        until = time.monotonic() + _LOCK_S
        while not lock.take():
            if time.monotonic() > until:
                return LOCKED
            time.sleep(0.02)
        os.truncate(lock.path, 0)
        lock.path.write_text(f"{os.getpid()}\n", encoding="ascii")
        try:
            return _work(store, run_id, settings)
        finally:
            lock.release()


def _work(store: Store, run_id: str, settings: EngineSettings) -> int:
    if not store.runs.move(run_id, "in_progress", OPEN, heartbeat=time.time()):
        return _count(store, run_id, settings)
    run = store.runs.find(run_id)
    if run is None:
        return 0
    work = Work(store, run, settings)
    watcher = Watcher(store, run_id, work)
    try:
        with watcher:
            work.do()
    except KeyboardInterrupt:
        if not watcher.canceled:
            return 1
        _end(store, run_id, work, "canceled")
        return 0
    except (RunFailed, GradersError, OSError) as error:
        _make_room(store, run_id)
        if watcher.canceled:  # something on the way made another error of the interrupt
            _end(store, run_id, work, "canceled")
            return 0
        failure = failure_of(error)
        sys.stderr.write(f"{failure['code']}: {failure['message']}\n")
        _end(store, run_id, work, "failed", error=failure)
        return 0
    _end(store, run_id, work, "completed")
    return 0


def _count(store: Store, run_id: str, settings: EngineSettings) -> int:
    """Count what an ended run has in its files, if its worker died before it did so."""
    state = store.runs.state(run_id)
    run = store.runs.find(run_id)
    if state is None or run is None or not state.uncounted:
        return 0
    _make_room(store, run_id)
    work = Work(store, run, settings)
    try:
        work.count()
    except (RunFailed, GradersError, OSError) as error:
        sys.stderr.write(f"The results cannot be counted: {error}\n")
        return 1
    store.runs.note(run_id, result=work.result, wanted="")
    return 0


def _make_room(store: Store, run_id: str) -> None:
    """Give back the space that was kept for the last note of a run."""
    with suppress(OSError):
        (store.run_folder(run_id) / RESERVE).unlink(missing_ok=True)


def _end(store: Store, run_id: str, work: Work, status: str, **columns: Any) -> None:
    _make_room(store, run_id)
    wanted = ""
    if status != "completed":
        wanted = "canceled"  # unless all is listed now, another worker does it later
        if columns.get("error", {}).get("code") != DISK_FULL:
            with suppress(OSError, GradersError):
                work.list_ungraded()
                wanted = ""
    result = work.result
    if not store.runs.move(run_id, status, OPEN, result=result, wanted=wanted, **columns):
        store.runs.note(run_id, result=result, wanted=wanted)  # who canceled the run has moved it


class Watcher:
    """Beats while the work goes, and interrupts it when the run is canceled or deleted.

    Args:
        store: where the run is.
        run_id: the run.
        work: what is done for it.

    Attributes:
        canceled: whether it interrupted the work.
    """

    def __init__(self, store: Store, run_id: str, work: Work) -> None:
        self.canceled = False
        self._store, self._run_id, self._work = store, run_id, work
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        noted_at = time.monotonic()
        while not self._done.wait(WATCH_S):
            with suppress(GradersError, OSError):  # a full disk: the work meets it, too
                if self._is_over():
                    self._interrupt()
                    return
                if time.monotonic() - noted_at >= BEAT_S and not self._done.is_set():
                    noted_at = time.monotonic()
                    self._store.runs.note(self._run_id, heartbeat=time.time())
                    self._work.note()

    def _is_over(self) -> bool:
        state = self._store.runs.state(self._run_id)
        return state is None or state.wanted == "canceled" or state.status not in OPEN

    def _interrupt(self) -> None:
        self.canceled = True
        main_thread = threading.main_thread().ident
        if main_thread is not None and not self._done.is_set():
            if sys.platform == "win32":
                signal.raise_signal(signal.SIGINT)  # the main thread handles it
            else:
                signal.pthread_kill(main_thread, signal.SIGINT)
        if self._done.wait(END_S):
            return
        # What the work waits for does not end: the system ends it, and another worker counts.
        self._store.runs.move(self._run_id, "canceled", OPEN, wanted="canceled")
        os._exit(0)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.freeze()
    gc.set_threshold(50_000)  # rows and results have no cycles
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
