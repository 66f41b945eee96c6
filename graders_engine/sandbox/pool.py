"""A sandbox of warm workers.

One limiter bounds the grades that run at a time. Each program has workers of its own, whose
templates stay while they are used: the least recently used are ended when there are too many. A
worker that has forked often or has grown is replaced in the background. A row whose worker is lost
is tried once more on a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from graders_engine.sandbox import cgroup
from graders_engine.sandbox.advice import unavailable
from graders_engine.sandbox.base import (
    Kind,
    Limits,
    Program,
    SandboxError,
    SandboxUnavailable,
    Verdict,
    WorkerLost,
    available_cpus,
)
from graders_engine.sandbox.folders import Folders, remove
from graders_engine.sandbox.inside import plan, wire
from graders_engine.sandbox.interpreter import locate
from graders_engine.sandbox.process import Worker
from graders_engine.sandbox.verdicts import verdict
from graders_engine.sandbox.watchdog import Watchdog, resident_bytes

_log = logging.getLogger("graders_engine")

_FORKS = 20_000  # grades of one template before it is replaced
_FORK_S = 0.01  # what one of them may cost the template, for its own processor limit
_GROWTH_BYTES = 256 << 20  # and what it may grow by
_LOOK_EVERY = 1_000  # grades between two looks at its size
_HOST_IDS = 0x6F000000  # user ids far from what any system gives out
_WORKERS_PER_SLOT = 4
_PROGRAMS_PER_WORKER = 4
_REAP_S = 5.0
_MAX_SOURCE = 512 << 10  # twice what a grader may be; it must fit a frame in JSON's worst spelling

_numbers = itertools.count(os.getpid() % 10_000 * 1_000)


@dataclass(slots=True, eq=False)
class _Warm:
    """A program's workers that are free."""

    program: Program
    free: list[Worker] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    replacing: bool = False


class Pool:
    """A `Sandbox` of one tier. Belongs to one event loop; workers start on first need.

    With the tier "auto" it is the strongest that can be had, found when the first worker is
    started; `tier` says which. "none" is no sandbox, for those who ask for it by name.
    """

    def __init__(
        self,
        tier: str = plan.AUTO,
        limits: Limits | None = None,
        concurrency: int | None = None,
    ) -> None:
        if tier not in (plan.AUTO, plan.NONE, *plan.STRENGTH):
            raise ValueError(f"there is no sandbox named {tier!r}")
        self.tier = tier
        self._choosing = asyncio.Lock()
        self.limits = limits or Limits()
        self.concurrency = concurrency or available_cpus()
        self._slots = asyncio.Semaphore(self.concurrency)
        self._programs: OrderedDict[Program, _Warm] = OrderedDict()
        self._workers: set[Worker] = set()
        self._leaving: list[Worker] = []
        self._groups: list[cgroup.Group] = []
        self._errands: set[asyncio.Task[None]] = set()
        self._watchdog: Watchdog | None = None
        self._folders: Folders | None = None
        self._closed = False

    @property
    def workers(self) -> list[Worker]:
        """The workers that are up, for the curious and the tests."""
        return list(self._workers)

    def remarks(self, program: Program) -> list[str]:
        """What is to be said of a program that has run: slow imports, imports that start threads."""
        warm = self._programs.get(program)
        return warm.remarks if warm else []

    async def grade(self, program: Program, sample_json: bytes, item_json: bytes) -> Verdict:
        """Run the program on one row; see the port."""
        async with self._slots:
            try:
                return await self._attempt(program, sample_json, item_json)
            except WorkerLost:
                return await self._attempt(program, sample_json, item_json)

    async def _attempt(self, program: Program, sample_json: bytes, item_json: bytes) -> Verdict:
        if self._closed:
            raise SandboxUnavailable("this sandbox has been closed")
        if too_large := _too_large(program, sample_json, item_json):
            return Verdict(Kind.EXCEPTION, details=too_large)
        warm = self._programs.get(program)
        if warm is None:
            warm = self._programs[program] = _Warm(program)
        self._programs.move_to_end(program)
        worker = warm.free.pop() if warm.free else await self._start(warm)
        started = time.monotonic()
        try:
            frame = await worker.grade(sample_json, item_json)
        except WorkerLost:
            if worker.ordered is None:
                raise
            # it had to be killed with its worker: the row did that
            frame = {"kind": "killed", "reason": worker.ordered}
        finally:
            self._keep(warm, worker)
        seconds = time.monotonic() - started
        if self._is_stale(worker):
            self._replace_soon(warm, worker)
        return verdict(frame, self.limits, seconds)

    async def _start(self, warm: _Warm) -> Worker:
        if self.tier != plan.AUTO:
            return await self._start_as(self.tier, warm)
        async with self._choosing:
            if self.tier != plan.AUTO:
                return await self._start_as(self.tier, warm)
            reasons: dict[str, str] = {}
            for tier in plan.STRENGTH if sys.platform == "linux" else ():
                try:
                    worker = await self._start_as(tier, warm)
                except SandboxUnavailable as error:
                    reasons[tier] = str(error)
                    continue
                self.tier = tier
                return worker
            raise unavailable(reasons)

    async def _start_as(self, tier: str, warm: _Warm) -> Worker:
        self._make_room()
        if self._watchdog is None:
            self._watchdog = Watchdog(lambda: list(self._workers), self.limits.wall_s)
        program = warm.program
        worker = Worker(self._plan(tier, program), locate(program.interpreter))
        self._workers.add(worker)
        # Before it is told its plan: what it starts from then on is inside.
        limits = self.limits
        worker.group = cgroup.enclose(worker.pid, limits.memory_bytes, limits.disk_bytes)
        try:
            await worker.start()
            await worker.load(
                plan.Task(
                    source=program.source,
                    name=program.name,
                    filename=program.filename,
                    seed=program.seed,
                )
            )
        except BaseException:
            worker.discard()
            self._part_with(worker)
            raise
        if not warm.remarks:
            warm.remarks = worker.remarks()
            for remark in warm.remarks:
                _log.warning("a python grader: %s", remark)
        return worker

    def _plan(self, tier: str, program: Program) -> plan.Plan:
        interpreter, limits = locate(program.interpreter), self.limits
        number = next(_numbers)
        return plan.Plan(
            tier=tier,
            readable=list(interpreter.readable),
            module_path=list(interpreter.module_path),
            prefix=interpreter.prefix,
            folder="" if tier == plan.NAMESPACES else self._new_folder(),
            host_id=0 if os.geteuid() else _unused_id(number),
            affinity=_affinity(limits.cpus, number),
            memory_bytes=limits.memory_bytes,
            disk_bytes=limits.disk_bytes,
            output_bytes=limits.output_bytes,
            processes=limits.processes,
            cpu_s=int(limits.wall_s * limits.cpus + _FORKS * _FORK_S),
        )

    def _new_folder(self) -> str:
        if self._folders is None:
            self._folders = Folders()
        return self._folders.new()

    def _make_room(self) -> None:
        """End the longest unused worker when there are as many as there may be."""
        self._reap()
        most = self.concurrency * _WORKERS_PER_SLOT
        while len(self._workers) >= most:
            warm = next((w for w in self._programs.values() if w.free), None)
            if warm is None:
                return
            worker = warm.free.pop(0)
            worker.discard()
            self._part_with(worker)
        while len(self._programs) > _PROGRAMS_PER_WORKER * most:
            program, warm = next(iter(self._programs.items()))
            if warm.free:
                return
            del self._programs[program]  # only its remarks are forgotten

    def _keep(self, warm: _Warm, worker: Worker) -> None:
        if worker.retired:
            worker.discard()
        if worker.lost:
            self._part_with(worker)
        else:
            warm.free.append(worker)

    def _part_with(self, worker: Worker) -> None:
        self._workers.discard(worker)
        self._leaving.append(worker)

    def _reap(self) -> None:
        for worker in [w for w in self._leaving if w.gone()]:
            self._leaving.remove(worker)
            if worker.group is not None:
                self._groups.append(worker.group)
            if worker.plan.folder:
                remove(worker.plan.folder)

        # The kernel keeps a group until the last process in it is gone, a moment after the worker.
        self._groups = [group for group in self._groups if not group.close()]

    def _is_stale(self, worker: Worker) -> bool:
        if worker.served >= _FORKS:
            return True
        if worker.served % _LOOK_EVERY == 0:
            now = resident_bytes(worker)
            worker.first_size = worker.first_size or now
            return now - worker.first_size > _GROWTH_BYTES
        return False

    def _replace_soon(self, warm: _Warm, worker: Worker) -> None:
        if not warm.replacing and not worker.retired and not self._closed:
            warm.replacing = True
            self._run_errand(self._replace(warm, worker))

    async def _replace(self, warm: _Warm, old: Worker) -> None:
        """Start a successor; the old one serves until it is there."""
        try:
            with contextlib.suppress(SandboxError):
                new = await self._start(warm)
                self._keep(warm, new)
                old.retired = True
                if old in warm.free:
                    warm.free.remove(old)
                    self._keep(warm, old)
        finally:
            warm.replacing = False

    def _run_errand(self, errand: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def close(self) -> None:
        """End every process and remove every folder; later calls are refused."""
        self._closed = True
        for task in list(self._errands):
            task.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)
        if self._watchdog is not None:
            await asyncio.to_thread(self._watchdog.stop)
            self._watchdog = None
        for worker in self.workers:
            worker.discard()
            self._part_with(worker)
        self._programs.clear()
        deadline = time.monotonic() + _REAP_S
        while (self._leaving or self._groups) and time.monotonic() < deadline:
            self._reap()
            await asyncio.sleep(0.005)
        if self._folders is not None:
            self._folders.close()
            self._folders = None


def _too_large(program: Program, sample_json: bytes, item_json: bytes) -> str:
    """What is too large to be sent to a worker, in words; empty when nothing is."""
    size = len(sample_json) + len(item_json)
    if size > wire.MAX_ROW:
        return f"a row of {size} bytes; at most {wire.MAX_ROW} are sent to a sandbox"
    if len(program.source) > _MAX_SOURCE:
        return f"a source of {len(program.source)} characters; at most {_MAX_SOURCE} are run"
    return ""


def _unused_id(number: int) -> int:
    """A user id for the worker of that number that nobody has; 0 when there is none to give."""
    wanted = _HOST_IDS + number % 0x100000
    with contextlib.suppress(OSError), open("/proc/self/uid_map", encoding="ascii") as ranges:
        ends = [int(r.split()[0]) + int(r.split()[2]) for r in ranges]
        if wanted >= max(ends):  # a container with few ids: the highest of them
            return max(max(ends) - 1 - number % 1000, 0)
    return wanted


def _affinity(cpus: int, number: int) -> list[int]:
    """Which processors the worker of that number is kept to; empty when all may be used."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) <= cpus:
        return []
    first = number * cpus
    return [mine[(first + k) % len(mine)] for k in range(cpus)]
