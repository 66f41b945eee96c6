"""The thread that enforces the limits which the kernel does not.

These are wall time, the memory of all processes together, and, in the tiers without namespaces, the
disk and the number of threads. It is a thread, so that a busy event loop does not stop the clock. It
observes workers only from outside, through the host's /proc, and only those whose grade has run for a
while.
"""

from __future__ import annotations

import logging
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterable
from weakref import WeakKeyDictionary

from graders_engine.sandbox import disk_use, memory_use
from graders_engine.sandbox.inside.plan import DISK, MEMORY, NAMESPACES, NONE, PROCESSES, TIMEOUT
from graders_engine.sandbox.process import RunningGrade, Worker

_LOG = logging.getLogger(__name__)
_TICK_S = 0.05
_GRACE_S = 2.0  # between the request to kill a grade and the killing of its whole worker
_SCAN_SHARE = 2  # looking at a grade may take a third of the time
_PAGE = mmap.PAGESIZE


class Watchdog:
    """Watches the workers that `workers` returns, until `stop`."""

    def __init__(self, workers: Callable[[], Iterable[Worker]], wall_s: float) -> None:
        self._workers = workers
        self._wall_s = wall_s
        self._stopped = threading.Event()
        self._stop_requested = False
        self._next_scan = 0.0
        self._next_looks: WeakKeyDictionary[RunningGrade, float] = WeakKeyDictionary()
        self._thread = threading.Thread(target=self._run, name="sandbox-watchdog", daemon=True)
        self._thread.start()

    def request_stop(self) -> None:
        """Have the thread end soon; takes no lock, which a collection may find taken by its own thread."""
        self._stop_requested = True

    def stop(self) -> None:
        """Have the thread end at once; does not wait for it."""
        self._stopped.set()

    @property
    def is_running(self) -> bool:
        """Whether the thread has not ended yet."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not (self._stopped.wait(_TICK_S) or self._stop_requested):
            now = time.monotonic()
            for worker in self._workers():
                if worker.is_orphaned:
                    worker.abandon()
            busy = [
                (worker, grade)
                for worker in self._workers()
                if (grade := worker.running) is not None and now - grade.started >= _TICK_S
            ]
            for worker, grade in busy:
                self._check_time(worker, grade, now - grade.started)
            if busy and now >= self._next_scan:
                try:
                    self._check_limits(busy)
                except Exception:  # noqa: BLE001 - a scan that fails must not end the clock
                    _LOG.exception("the sandbox's watchdog could not inspect its workers")

    def _check_limits(self, busy: Iterable[tuple[Worker, RunningGrade]]) -> None:
        """Look at each grade that was not looked at just now; a slow look at one delays no other's."""
        began = time.monotonic()
        tree = _children()
        self._next_scan = began + (time.monotonic() - began) * _SCAN_SHARE
        for worker, grade in busy:
            looked = time.monotonic()
            if grade.kill_reason is None and looked >= self._next_looks.get(grade, 0.0):
                if reason := _exceeded_limit(tree, worker):
                    worker.kill_grade(grade, reason)
                ended = time.monotonic()
                self._next_looks[grade] = ended + (ended - looked) * _SCAN_SHARE

    def _check_time(self, worker: Worker, grade: RunningGrade, seconds: float) -> None:
        if grade.kill_reason is None:
            if seconds > self._wall_s:
                worker.kill_grade(grade, TIMEOUT)
        elif seconds > self._wall_s + _GRACE_S and worker.running is grade:
            worker.kill()


def _exceeded_limit(tree: dict[int, list[int]], worker: Worker) -> int | None:
    """The reason to kill a grade that exceeds a limit; None when it exceeds none."""
    plan, pids = worker.plan, _grade_pids(tree, worker)
    processes = {pid: memory_use.Status(pid) for pid in pids}
    if memory_use.exceeds(plan.memory_bytes, processes, plan.tier):
        return MEMORY
    if plan.tier == NAMESPACES:
        return None  # its scratch folder and the number of its processes are the kernel's
    if any(status.threads > plan.processes for status in processes.values()):
        return PROCESSES
    return DISK if disk_use.exceeds(plan, pids) else None


def _children() -> dict[int, list[int]]:
    """The children of each process of the host."""
    tree: dict[int, list[int]] = {}
    if not os.path.isdir("/proc"):  # macOS: what a grade takes cannot be seen
        return tree
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            tree.setdefault(parent, []).append(int(name))
    return tree


def _grade_pids(tree: dict[int, list[int]], worker: Worker) -> list[int]:
    """The processes below a worker's first template; so the second one, which has little of its own, too."""
    pending = [c for t in _templates(tree, worker) for c in tree.get(t, [])]
    found = []
    while pending:
        pid = pending.pop()
        found.append(pid)
        pending.extend(tree.get(pid, []))
    return found


def _templates(tree: dict[int, list[int]], worker: Worker) -> list[int]:
    """The template of a worker: behind a process that waits for it, except where there is no sandbox."""
    return [worker.pid] if worker.plan.tier == NONE else tree.get(worker.pid, [])


def resident_bytes(worker: Worker) -> int:
    """Memory of a worker's template."""
    tree = _children()
    return sum(_resident(p) for p in _templates(tree, worker))


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
