"""The thread that keeps the limits which the kernel does not: wall time, sums over processes, disk.

A thread of its own, so that a busy event loop does not stop the clock. It looks at workers only
from outside, through the host's /proc, and only at those that have been busy for a while.
"""

from __future__ import annotations

import logging
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterable

from graders_engine.sandbox.inside.plan import DISK, LANDLOCK, MEMORY, NAMESPACES, NONE, TIMEOUT
from graders_engine.sandbox.process import Worker

_LOG = logging.getLogger(__name__)
_TICK_S = 0.05
_GRACE_S = 2.0  # after an order to kill, before the whole worker is killed
_SLOW_SCAN = 10  # a look at /proc may cost a tenth of the time between two looks
_MAX_ENTRIES = 200_000
_PAGE = mmap.PAGESIZE


class Watchdog:
    """Watches the workers that `workers` returns, until `stop`."""

    def __init__(self, workers: Callable[[], Iterable[Worker]], wall_s: float) -> None:
        self._workers = workers
        self._wall_s = wall_s
        self._stopped = threading.Event()
        self._next_look = 0.0
        self._thread = threading.Thread(target=self._run, name="sandbox-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_TICK_S):
            now = time.monotonic()
            overdue = []
            for worker in self._workers():
                # in this order: a number that is older than the time is of no effect
                sequence, since = worker.sequence, worker.busy_since
                if since is None or now - since < _TICK_S:
                    continue
                overdue.append((worker, sequence))
                if now - since > self._wall_s + _GRACE_S and worker.ordered is not None:
                    worker.kill()
                elif now - since > self._wall_s and worker.ordered is None:
                    worker.order(TIMEOUT, sequence)
            if overdue and now >= self._next_look:
                try:
                    self._look(overdue)
                except Exception:  # noqa: BLE001 - a look that fails must not end the clock
                    _LOG.exception("the sandbox's watchdog could not look at its workers")
                took = time.monotonic() - now
                self._next_look = now + took * _SLOW_SCAN

    def _look(self, workers: list[tuple[Worker, int]]) -> None:
        tree = _children()
        for worker, sequence in workers:
            if worker.ordered is not None:
                continue
            pids = _grades(tree, worker)
            if sum(_resident(p) for p in pids) > worker.plan.memory_bytes and (
                sum(_proportional(p) for p in pids) > worker.plan.memory_bytes
            ):
                worker.order(MEMORY, sequence)
            elif worker.plan.tier in (LANDLOCK, NONE) and (
                _disk_usage(worker.plan.folder) > worker.plan.disk_bytes
            ):
                worker.order(DISK, sequence)


def _children() -> dict[int, list[int]]:
    """Process -> its children, over the whole host."""
    tree: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            tree.setdefault(parent, []).append(int(name))
    return tree


def _grades(tree: dict[int, list[int]], worker: Worker) -> list[int]:
    """The processes below a worker's template."""
    templates = tree.get(worker.pid, []) if worker.plan.tier == NAMESPACES else [worker.pid]
    pending = [c for t in templates for c in tree.get(t, [])]
    found = []
    while pending:
        pid = pending.pop()
        found.append(pid)
        pending.extend(tree.get(pid, []))
    return found


def resident_bytes(worker: Worker) -> int:
    """Memory of a worker's template."""
    tree = _children()
    pids = tree.get(worker.pid, []) if worker.plan.tier == NAMESPACES else [worker.pid]
    return sum(_resident(p) for p in pids)


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    """Memory of a process, what it shares counted in shares; exact but slow to ask."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) << 10
    except OSError:
        pass
    return _resident(pid)


def _disk_usage(folder: str) -> int:
    total = seen = 0
    pending = [folder]
    while pending and seen < _MAX_ENTRIES:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    seen += 1
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            continue
    return total
