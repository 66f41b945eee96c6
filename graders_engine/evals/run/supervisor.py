"""Starts the workers of runs, and starts them again when they die; a run whose worker lives is left alone."""

from __future__ import annotations

import logging
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from graders_engine.errors import GradersError, OutOfResources
from graders_engine.evals.run.place import JUDGED, LOCK, LOG, NOTED, REPLIES, RESULTS, SAMPLES
from graders_engine.evals.run.spec import environment
from graders_engine.evals.worker_processes import KILL_S, POLL_S, WorkerProcesses, end_of_log
from graders_engine.processes import end_group
from graders_engine.settings import EngineSettings
from graders_engine.storage.lock import ProcessLock
from graders_engine.storage.runs import RunState, StoredRun
from graders_engine.storage.store import Store

_log = logging.getLogger("graders_engine")

AT_ONCE = 2
"""Runs that are worked on at the same time."""
ATTEMPTS = 3
"""Workers that may die one after the other without anything new; then the run has failed."""
COUNT_S = 300.0
"""The same for one whose run says already that it is canceled: it may be counting many results."""
COMMAND = (sys.executable, "-P", "-m", "graders_engine.evals.run.worker")
_OPEN = ("queued", "in_progress")
_REPLIES_IN = ((REPLIES, "SELECT COUNT(*) FROM replies"), (JUDGED, "SELECT COUNT(*) FROM judged"))
"""What counts the replies in files of a run: the next worker does not ask for them again."""


class Supervisor(WorkerProcesses):
    """Looks after the runs of a store. Several may do so at once: a run has one worker, whichever starts it.

    In a server::

        task = asyncio.create_task(supervisor.watch())
        ...
        supervisor.wake()   # a run was created

    Without one, `finish` works on a run and returns when it has ended.

    Args:
        store: where the runs are.
        settings: of the engine that samples and grades.
        at_once: runs that are worked on at the same time.
        command: starts a worker; the folder and the run's id are added.

    Raises:
        InvalidRequest: the settings hold an object, which no worker can have.
    """

    def __init__(
        self,
        store: Store,
        settings: EngineSettings,
        *,
        at_once: int = AT_ONCE,
        command: Sequence[str] = COMMAND,
    ) -> None:
        super().__init__(settings, "the runs of evals")
        self._store, self._at_once, self._command = store, at_once, tuple(command)
        self._settings = settings
        self._canceled_at: dict[str, float] = {}

    def finish(self, run_id: str, on_look: Callable[[], object] = lambda: None) -> StoredRun | None:
        """Look after this run alone until it has ended; None if it is deleted meanwhile.

        Args:
            run_id: of the run.
            on_look: called now and then.
        """
        while (state := self._store.runs.state(run_id)) is not None and state.status in _OPEN:
            self.look(run_id)
            on_look()
            time.sleep(POLL_S)
        with suppress(GradersError, OSError):  # the next that looks after the runs has it counted
            while (state := self._store.runs.state(run_id)) is not None and state.uncounted:
                self.look(run_id)
                time.sleep(POLL_S)
        self._wait_for(run_id)
        return self._store.runs.find(run_id)

    def look(self, only: str | None = None) -> None:
        """Look at all runs once, or at this one: start, start again, end what is to end."""
        self._reap()
        working = 0
        queued = []
        for state in self._store.runs.states(*_OPEN):
            if only not in (None, state.id):
                continue
            if self._is_alive(state.id):
                working += 1
                self._kill_if_late(state, KILL_S)
            elif state.wanted == "canceled":
                self._store.runs.move(state.id, "canceled", _OPEN)
            elif state.status == "queued" or self._is_queued_again(state):
                queued.append(state)
        for state in queued[: max(0, self._at_once - working)]:
            self._start(state)
        self._have_counted(only)

    def _have_counted(self, only: str | None) -> None:
        """Start workers for runs that have ended, but whose own died before it had counted the results."""
        counting = 0
        uncounted = []
        for state in self._store.runs.uncounted():
            if only not in (None, state.id):
                continue
            folder = self._store.run_folder(state.id)
            if self._is_alive(state.id):
                counting += 1
                self._kill_if_late(state, COUNT_S)
            elif any((folder / name).exists() for name in (SAMPLES, RESULTS)):
                uncounted.append(state)
            else:
                self._store.runs.note(state.id, wanted="")
        for state in uncounted[: max(0, self._at_once - counting)]:
            self._start(state)

    def _is_alive(self, run_id: str) -> bool:
        """Whether a worker is at work, or was started just now."""
        if run_id in self._started:
            return True
        folder = self._store.run_folder(run_id)
        if not folder.exists():
            return False
        lock = ProcessLock(folder / LOCK)
        free = lock.take()
        lock.release()
        return not free

    def _is_queued_again(self, state: RunState) -> bool:
        """Queue a run whose worker has died, unless the worker has ended it meanwhile; whether it did."""
        return self._store.runs.move(state.id, "queued", ("in_progress",))

    def _start(self, state: RunState) -> None:
        """Start a worker, unless too many have died without anything new."""
        folder = self._store.run_folder(state.id)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        keeps_replies = self._settings.judge_settings().cache is None
        died = 0 if _has_grown(folder, keeps_replies) else state.attempt
        if died >= ATTEMPTS:
            self._give_up(state)
            return
        variables = environment(self._settings)
        status = state.status if state.uncounted else "queued"
        if not self._store.runs.move(state.id, status, (status,), attempt=died + 1):
            return
        try:
            command = [*self._command, str(self._store.folder.absolute()), state.id]
            self._spawn(state.id, command, folder / LOG, variables)
        except OSError as error:
            self._store.runs.note(
                state.id, attempt=died
            )  # none has died: this system may have room later
            raise OutOfResources(f"A worker cannot be started: {error.strerror}.") from None

    def _give_up(self, state: RunState) -> None:
        log = end_of_log(self._store.run_folder(state.id) / LOG)
        if state.uncounted:
            _log.warning(
                "the results of the run %s could not be counted: its counts may be less than its items. "
                "The end of its worker's log: %s", state.id, log or "(empty)",
            )  # fmt: skip
            self._store.runs.note(state.id, wanted="")
            return
        message = (
            f"The run's worker died {state.attempt} times without a new result or reply. The end of its "
            f"log: {log or '(empty)'}"
        )
        error = {"code": "worker_died", "message": message}
        self._store.runs.move(
            state.id, "failed", ("queued",), error=error, wanted="canceled", attempt=0
        )

    def _kill_if_late(self, state: RunState, limit_s: float) -> None:
        if state.wanted != "canceled":
            self._canceled_at.pop(state.id, None)
            return
        since = self._canceled_at.setdefault(state.id, time.monotonic())
        if time.monotonic() - since < limit_s:
            return
        # The number is a worker's as long as the lock is held, which was so just now.
        with suppress(OSError, ValueError):
            text = (self._store.run_folder(state.id) / LOCK).read_text(encoding="ascii")
            end_group(int(text))


def _has_grown(folder: Path, keeps_replies: bool) -> bool:
    """Whether there is more since the last worker was started; what there is now is noted.

    Samples are written in the order of the items, so that one may hold back many replies.

    Args:
        folder: of the run.
        keeps_replies: whether the replies of models are kept there, and not in the user's cache.
    """
    note_file = folder / NOTED
    paths = (folder / name for name in (SAMPLES, RESULTS))
    size = sum(path.stat().st_size for path in paths if path.exists())
    replies = sum(_count(folder / name, sql) for name, sql in _REPLIES_IN) if keeps_replies else 0
    before = note_file.read_text(encoding="ascii").split() if note_file.exists() else []
    note_file.write_text(f"{size} {replies}\n", encoding="ascii")
    return any(
        old.isdigit() and now > int(old)
        for old, now in zip(before, (size, replies), strict=False)  # an older note has one number
    )


def _count(path: Path, sql: str) -> int:
    """What a query counts in a file; 0 where it cannot be read."""
    if not path.exists():
        return 0
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as file:
        return int(file.execute(sql).fetchone()[0])
    return 0
