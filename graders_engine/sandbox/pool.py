"""A sandbox of warm workers.

One semaphore bounds the grades that run at a time. Each program has workers of its own, whose
templates stay as long as they are used: when there are too many workers, those of the least
recently used program end first. A worn worker is replaced in the background. A row whose worker is
lost is tried again on another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import time
import weakref
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from graders_engine.sandbox.advice import cannot_start, refuse, unavailable
from graders_engine.sandbox.base import (
    GradeResult,
    Kind,
    Limits,
    Program,
    SandboxError,
    SandboxUnavailable,
    WorkerLost,
    available_cpus,
)
from graders_engine.sandbox.grade_result import result_from_answer
from graders_engine.sandbox.inside import plan, wire
from graders_engine.sandbox.interpreter import locate
from graders_engine.sandbox.owned import REAP_S, Owned
from graders_engine.sandbox.process import ImportReport, Worker, WorkerEnded, WorkerState
from graders_engine.sandbox.replacement import ReplacementPolicy, Wear
from graders_engine.sandbox.worker_plan import make_plan

_log = logging.getLogger("graders_engine")

_FORK_S = 0.01  # processor time that one grade may cost the template
_WORKERS_PER_SLOT = 4
_PROGRAMS_PER_WORKER = 4
_MAX_SOURCE = (
    512 << 10
)  # twice what a grader may be; it must fit a frame in JSON's longest spelling

_INNOCENT = "def grade(sample, item): return 0.0"
worker_numbers = itertools.count(os.getpid() % 10_000 * 1_000)
"""A number for each worker of this process, different from those of most others."""


@dataclass(slots=True, eq=False)
class _ProgramState:
    """What the pool keeps of one program."""

    free: list[Worker] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    is_replacing: bool = False


class Pool:
    """A `Sandbox` of one tier. Belongs to one event loop; workers start on first need.

    With the tier "auto" it is the strongest that this machine offers, found when the first worker
    starts; `tier` then names it. "none" is no sandbox at all.

    Args:
        tier: "auto", "namespaces", "landlock" or "none".
        limits: of one call.
        concurrency: how many grades run at a time; by default as many as there are processors.
        replacement: when a worker that still works is replaced.
        slow_import_s: imports that take longer than this are worth a warning.

    Raises:
        ValueError: there is no such tier.

    Example:
        pool = Pool("auto", Limits(wall_s=5.0))
        program = Program("def grade(sample, item): return float(sample == item)")
        result = await pool.grade(program, b'"a"', b'"a"')  # result.reward == 1.0
        await pool.close()
    """

    def __init__(
        self,
        tier: str = plan.AUTO,
        limits: Limits | None = None,
        concurrency: int | None = None,
        replacement: ReplacementPolicy | None = None,
        slow_import_s: float = 5.0,
    ) -> None:
        if tier not in (plan.AUTO, plan.NONE, *plan.STRENGTH):
            raise ValueError(f"there is no sandbox named {tier!r}")
        self.tier = tier
        self.limits = limits or Limits()
        self.concurrency = concurrency or available_cpus()
        self._replacement = replacement or ReplacementPolicy()
        self._slow_import_s = slow_import_s
        self._choosing_tier = asyncio.Lock()
        self._slots = asyncio.Semaphore(self.concurrency)
        self._programs: OrderedDict[Program, _ProgramState] = OrderedDict()
        self._workers: dict[Worker, Wear] = {}
        self._discarded: list[Worker] = []
        self._background: set[asyncio.Task[None]] = set()
        self._owned = Owned(self._workers, self._discarded)
        weakref.finalize(self, self._owned.release)

    @property
    def workers(self) -> list[Worker]:
        """The workers that are not discarded."""
        return list(self._workers)

    def warnings(self, program: Program) -> list[str]:
        """Warnings about the imports of a program that has run: slow ones, and ones that start threads."""
        state = self._programs.get(program)
        return state.warnings if state else []

    async def grade(self, program: Program, sample_json: bytes, item_json: bytes) -> GradeResult:
        """Run the program on one row; see the port."""
        if reason := too_large(program, sample_json, item_json):
            return GradeResult(Kind.EXCEPTION, details=reason)
        async with self._slots:
            try:
                return await self._attempt(program, sample_json, item_json)
            except WorkerLost:
                return await self._grade_again(program, sample_json, item_json)

    async def _grade_again(
        self, program: Program, sample_json: bytes, item_json: bytes
    ) -> GradeResult:
        """Grade a row whose worker was lost on new workers; it is to blame if it ends each of them.

        Raises:
            WorkerLost: another row fails as well, or no worker starts.
        """
        with contextlib.suppress(WorkerEnded):
            return await self._attempt(program, sample_json, item_json, on_new_worker=True)
        await self._attempt(
            Program(_INNOCENT, interpreter=program.interpreter), b"0", b"0", on_new_worker=True
        )
        with contextlib.suppress(WorkerEnded):
            return await self._attempt(program, sample_json, item_json, on_new_worker=True)
        return GradeResult(
            Kind.DIED, details="each worker that took this row ended before it had an answer"
        )

    async def _attempt(
        self,
        program: Program,
        sample_json: bytes,
        item_json: bytes,
        *,
        on_new_worker: bool = False,
    ) -> GradeResult:
        if self._owned.is_closed:
            raise SandboxUnavailable("this sandbox has been closed")
        take = self._start_worker if on_new_worker else self._take_worker
        worker = await take(program)
        started = time.monotonic()
        try:
            answer = await worker.grade(sample_json, item_json)
        finally:
            self._put_back(program, worker)
        seconds = time.monotonic() - started
        self._replace_if_worn(program, worker)
        return result_from_answer(answer, self.limits, seconds)

    def _state_of(self, program: Program) -> _ProgramState:
        state = self._programs.get(program)
        if state is None:
            state = self._programs[program] = _ProgramState()
        return state

    async def _take_worker(self, program: Program) -> Worker:
        """A free worker of the program, or a new one."""
        state = self._state_of(program)
        self._programs.move_to_end(program)
        return state.free.pop() if state.free else await self._start_worker(program)

    def _put_back(self, program: Program, worker: Worker) -> None:
        """Keep a worker for the next row, unless it is lost or outdated."""
        wear = self._workers.get(worker)
        if worker.state is WorkerState.DISCARDED or wear is None or wear.is_outdated:
            self._discard(worker)
        else:
            self._state_of(program).free.append(worker)

    def _discard(self, worker: Worker) -> None:
        worker.discard()
        if self._workers.pop(worker, None) is not None:
            self._discarded.append(worker)

    async def _start_worker(self, program: Program) -> Worker:
        if self.tier == plan.AUTO:
            async with self._choosing_tier:
                if self.tier == plan.AUTO:
                    return await self._start_in_strongest_tier(program)
        return await self._start_in(self.tier, program)

    async def _start_in_strongest_tier(self, program: Program) -> Worker:
        reasons: dict[str, str] = {}
        refuse(plan.AUTO)
        for tier in plan.STRENGTH:
            try:
                worker = await self._start_in(tier, program)
            except SandboxUnavailable as error:
                reasons[tier] = str(error)
                continue
            self.tier = tier
            return worker
        raise unavailable(reasons)

    async def _start_in(self, tier: str, program: Program) -> Worker:
        refuse(tier)
        self._make_room()
        self._owned.watch(self.limits.wall_s)
        try:
            worker = Worker(self._plan(tier, program), locate(program.interpreter))
        except OSError as error:  # no process, no descriptor, no scratch folder
            raise cannot_start(error) from None
        self._workers[worker] = Wear(self._replacement)
        try:
            await worker.start()
            report = await worker.load(
                plan.Task(
                    source=program.source,
                    name=program.name,
                    filename=program.filename,
                    seed=program.seed,
                )
            )
        except BaseException:
            self._discard(worker)
            raise
        self._warn_once(program, report)
        return worker

    def _warn_once(self, program: Program, report: ImportReport) -> None:
        state = self._state_of(program)
        if not state.warnings:
            state.warnings = report.warnings(self._slow_import_s)
            for warning in state.warnings:
                _log.warning("a python grader: %s", warning)

    def _plan(self, tier: str, program: Program) -> plan.Plan:
        grades_s = self._replacement.max_grades * _FORK_S
        folder = "" if tier == plan.NAMESPACES else self._owned.new_folder()
        return make_plan(
            tier, locate(program.interpreter), self.limits, next(worker_numbers), folder, grades_s
        )

    def _make_room(self) -> None:
        """End least recently used workers until there is room for one more."""
        self._reap()
        max_workers = self.concurrency * _WORKERS_PER_SLOT
        while len(self._workers) >= max_workers:
            state = next((s for s in self._programs.values() if s.free), None)
            if state is None:  # all of them are busy
                return
            self._discard(state.free.pop(0))
        while len(self._programs) > _PROGRAMS_PER_WORKER * max_workers:
            program, state = next(iter(self._programs.items()))
            if state.free:
                return
            del self._programs[program]  # only its warnings are forgotten

    def _reap(self) -> None:
        self._discarded[:] = [worker for worker in self._discarded if not worker.reap()]

    def _replace_if_worn(self, program: Program, worker: Worker) -> None:
        wear, state = self._workers.get(worker), self._state_of(program)
        if (
            wear is None
            or not wear.add_grade(worker)
            or state.is_replacing
            or self._owned.is_closed
        ):
            return
        state.is_replacing = True
        self._run_in_background(self._replace(program, state, worker))

    async def _replace(self, program: Program, state: _ProgramState, old: Worker) -> None:
        """Start a new worker; the old one serves until then."""
        try:
            with contextlib.suppress(SandboxError):
                self._put_back(program, await self._start_worker(program))
                if wear := self._workers.get(old):
                    wear.is_outdated = True
                free = self._state_of(program).free
                if old in free:
                    free.remove(old)
                    self._discard(old)
        finally:
            state.is_replacing = False

    def _run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def close(self) -> None:
        """End every process and remove every folder; later calls are refused."""
        self._owned.is_closed = True
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._owned.stop_watchdog()
        for worker in self.workers:
            self._discard(worker)
        self._programs.clear()
        deadline = time.monotonic() + REAP_S
        while self._discarded and time.monotonic() < deadline:
            self._reap()
            await asyncio.sleep(0.005)
        await self._owned.close_folders()


def too_large(program: Program, sample_json: bytes, item_json: bytes) -> str:
    """Why a row cannot be sent to a worker; empty when it can."""
    size = len(sample_json) + len(item_json)
    if size > wire.MAX_ROW:
        return f"the row has {size} bytes; a sandbox takes at most {wire.MAX_ROW}"
    if len(program.source) > _MAX_SOURCE:
        return f"the source has {len(program.source)} characters; a sandbox takes at most {_MAX_SOURCE}"
    return ""
