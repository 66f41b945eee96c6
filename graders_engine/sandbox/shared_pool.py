"""A sandbox in which the rows of a program share a process: `isolation="worker"`.

The walls are those of `Pool`, and so are the limits of a row. A process of its own is what a row loses:
see the table in this folder's README. What counts is only what the shared process itself answered, a
reward, an exception or a bad return; a row that ended it, took long, or met a limit is graded again by
a `Pool`, whose answer counts. So are the rows of the spot check, and a program whose rows are slow,
which gain nothing from sharing.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import OrderedDict, deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any

from graders_engine.sandbox.answer import Answer
from graders_engine.sandbox.base import (
    GradeResult,
    Kind,
    Limits,
    Program,
    SandboxError,
    SandboxUnavailable,
    WorkerLost,
)
from graders_engine.sandbox.grade_result import result_from_answer
from graders_engine.sandbox.inside import plan
from graders_engine.sandbox.interpreter import locate
from graders_engine.sandbox.owned import REAP_S, Owned
from graders_engine.sandbox.pool import Pool, too_large, worker_numbers
from graders_engine.sandbox.process import Worker, WorkerState
from graders_engine.sandbox.shared_worker import SharedRow, SharedWorker
from graders_engine.sandbox.spot_check import SpotCheck
from graders_engine.sandbox.worker_plan import make_plan

LONGEST_S = 2.0
"""A row that takes longer is graded in a process of its own, where it has all of its time."""
_ROWS_AHEAD = 16
_AHEAD_S = 0.02  # a worker gets rows for about this time
_QUICK_S = _AHEAD_S / _ROWS_AHEAD
_SLOW_S = 0.3  # programs whose rows take so long gain nothing
_MEMORY = 0.1  # the weight of one row in a program's usual time
_FIRST_GUESS_S = 0.01
_MOST_BYTES = 8 << 20  # of a row that is sent ahead
_WORKERS_PER_CORE = 4
_PROGRAMS_PER_WORKER = 4  # that are remembered
_ITS_OWN = (Kind.VALUE, Kind.EXCEPTION, Kind.BAD_RETURN)


@dataclass(slots=True, eq=False)
class _SharedProgram:
    """What the pool keeps of one program.

    Attributes:
        check: compares some of its rows.
        waiting: the rows that no worker has.
        workers: those that have started.
        starting: how many are about to.
        usual_s: how long a row takes.
    """

    check: SpotCheck
    waiting: deque[SharedRow] = field(default_factory=deque)
    workers: list[SharedWorker] = field(default_factory=list)
    starting: int = 0
    usual_s: float = _FIRST_GUESS_S

    @property
    def rows_ahead(self) -> int:
        """How many rows a worker has at a time."""
        return _ROWS_AHEAD if self.usual_s < _QUICK_S else max(1, int(_AHEAD_S / self.usual_s))

    @property
    def is_slow(self) -> bool:
        """Whether its rows take so long that sharing a process gains nothing."""
        return self.usual_s > _SLOW_S

    def took(self, seconds: float) -> None:
        """Learn from one row."""
        self.usual_s += _MEMORY * (seconds - self.usual_s)


class SharedPool:
    """A `Sandbox` whose rows share processes, one for each core. Belongs to one event loop.

    Args:
        tier: as for `Pool`.
        limits: of one row.
        concurrency: how many processes a program's rows share; by default one for each processor.

    Raises:
        ValueError: there is no such tier.
    """

    def __init__(
        self, tier: str = plan.AUTO, limits: Limits | None = None, concurrency: int | None = None
    ) -> None:
        self._alone = Pool(tier, limits, concurrency)
        self.limits = self._alone.limits
        self._programs: OrderedDict[Program, _SharedProgram] = OrderedDict()
        self._last: tuple[Program | None, _SharedProgram] = (None, _SharedProgram(SpotCheck()))
        self._workers: set[SharedWorker] = set()
        self._discarded: list[Worker] = []
        self._background: set[asyncio.Task[None]] = set()
        self._owned = Owned(self._workers, self._discarded)
        weakref.finalize(self, self._owned.release)

    @property
    def tier(self) -> str:
        """The tier in use, or "auto" before the first row."""
        return self._alone.tier

    @property
    def workers(self) -> list[SharedWorker]:
        """The workers that are not discarded."""
        return list(self._workers)

    @property
    def programs(self) -> list[Program]:
        """The programs that it remembers, the least recently used one first."""
        return list(self._programs)

    async def grade(self, program: Program, sample_json: bytes, item_json: bytes) -> GradeResult:
        """Run the program on one row; see the port.

        Raises:
            RowsMix: rows of this program change each other's rewards; those that follow, and those in
                flight, are graded in processes of their own.
        """
        if reason := too_large(program, sample_json, item_json):
            return GradeResult(Kind.EXCEPTION, details=reason)
        if self._owned.is_closed:
            raise SandboxUnavailable("this sandbox has been closed")
        state = self._state_of(program)
        large = len(sample_json) + len(item_json) > _MOST_BYTES
        # The first row finds the tier.
        if self.tier == plan.AUTO or state.is_slow or large or state.check.rows_mix:
            return await self._grade_alone(state, program, sample_json, item_json)
        is_due = state.check.is_due()
        row = SharedRow(sample_json, item_json, asyncio.get_running_loop().create_future())
        state.waiting.append(row)
        self._distribute(program, state)
        result = self._result_of(await row.answer, row.seconds)
        if result is None or state.check.rows_mix:
            return await self._grade_alone(state, program, sample_json, item_json)
        state.took(row.seconds)
        if is_due:
            alone = partial(self._alone.grade, program, sample_json, item_json)
            await state.check.compare(result, alone, sample_json, item_json)
        return result

    async def _grade_alone(
        self, state: _SharedProgram, program: Program, sample_json: bytes, item_json: bytes
    ) -> GradeResult:
        """Grade a row in a process of its own."""
        result = await self._alone.grade(program, sample_json, item_json)
        if result.kind is not Kind.TIMEOUT:  # one row without an end says nothing of the others
            state.took(result.seconds)
        return result

    def _result_of(self, answer: Answer | float | None, seconds: float) -> GradeResult | None:
        """The result in a process that rows share; None where the row needs one of its own."""
        if isinstance(answer, float):
            return GradeResult(Kind.VALUE, answer, seconds=seconds)
        if answer is None:
            return None
        result = result_from_answer(answer, self.limits, seconds)
        return result if result.kind in _ITS_OWN else None

    def _state_of(self, program: Program) -> _SharedProgram:
        last, state = self._last
        if program is not last:
            state = self._programs.setdefault(program, _SharedProgram(SpotCheck()))
            self._programs.move_to_end(program)
            self._last = program, state
            self._forget_programs()
        return state

    def _forget_programs(self) -> None:
        """Forget the program that was not used for the longest time, if there are too many."""
        if (
            len(self._programs)
            <= _PROGRAMS_PER_WORKER * _WORKERS_PER_CORE * self._alone.concurrency
        ):
            return
        for program, state in self._programs.items():
            if (
                not (state.waiting or state.workers or state.starting)
                and state is not self._last[1]
            ):
                del self._programs[program]
                return

    def _distribute(self, program: Program, state: _SharedProgram) -> None:
        """Send the rows that wait to the workers with the fewest; start another worker if some are left."""
        waiting, ahead = state.waiting, state.rows_ahead
        while waiting:
            fewest, chosen = ahead, None
            for worker in state.workers:
                if worker.rows < fewest and worker.is_ready:
                    fewest, chosen = worker.rows, worker
            if chosen is None:
                break
            row = waiting.popleft()
            if not row.answer.done():  # nobody waits for it any more
                chosen.take(row)
        wanted = len(state.waiting) > _ROWS_AHEAD * state.starting
        if wanted and len(state.workers) + state.starting < self._alone.concurrency:
            self._start(program, state)

    def _start(self, program: Program, state: _SharedProgram) -> None:
        if self._owned.is_closed or not self._make_room(state):
            return
        state.starting += 1
        self._run_in_background(self._start_worker(program, state))

    def _make_room(self, wanting: _SharedProgram) -> bool:
        """End an idle worker of the least recently used program if there are too many; whether there is room.

        A program without any worker gets its first one in any case.
        """
        self._discarded[:] = [worker for worker in self._discarded if not worker.reap()]
        if len(self._workers) < _WORKERS_PER_CORE * self._alone.concurrency:
            return True
        for state in self._programs.values():
            idle = [each for each in state.workers if each.state is WorkerState.IDLE]
            idle = [each for each in idle if not each.rows]
            if idle and state is not wanting:
                idle[0].discard()
                return True
        return not wanting.workers and not wanting.starting

    async def _start_worker(self, program: Program, state: _SharedProgram) -> None:
        worker: SharedWorker | None = None
        try:
            self._owned.watch(min(LONGEST_S, self.limits.wall_s))
            change = partial(self._on_change, program, state)
            worker = SharedWorker(self._plan(program), locate(program.interpreter), change)
            self._workers.add(worker)
            await worker.start()
            await worker.load(
                plan.Task(
                    source=program.source,
                    name=program.name,
                    filename=program.filename,
                    seed=program.seed,
                )
            )
            if worker.state is WorkerState.DISCARDED:
                raise WorkerLost("the worker went away")
            state.workers.append(worker)
        except (SandboxError, OSError):
            if not state.workers:  # a process of its own has the same trouble, and says which
                _settle_all(state.waiting)
        finally:
            state.starting -= 1
            if worker is not None and worker not in state.workers:
                worker.discard()
        self._distribute(program, state)

    def _plan(self, program: Program) -> plan.Plan:
        limits = self.limits
        rows_s = plan.ROWS_A_PROCESS * min(LONGEST_S, limits.wall_s) * limits.cpus
        folder = "" if self.tier == plan.NAMESPACES else self._owned.new_folder()
        return make_plan(
            self.tier, locate(program.interpreter), limits, next(worker_numbers), folder, rows_s,
            shared=True,
        )  # fmt: skip

    def _on_change(
        self, program: Program, state: _SharedProgram, worker: SharedWorker, rows: list[SharedRow]
    ) -> None:
        """Distribute rows, after a worker has given these back, has room, or is lost."""
        state.waiting.extendleft(reversed(rows))
        if worker.state is WorkerState.DISCARDED:
            if worker in state.workers:
                state.workers.remove(worker)
            if worker in self._workers:
                self._workers.discard(worker)
                self._discarded.append(worker)
        if self._owned.is_closed:
            _settle_all(state.waiting)
        else:
            self._distribute(program, state)

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
            worker.discard()
        for state in self._programs.values():
            _settle_all(state.waiting)
        await self._alone.close()
        deadline = monotonic() + REAP_S
        while self._discarded and monotonic() < deadline:
            self._discarded[:] = [worker for worker in self._discarded if not worker.reap()]
            await asyncio.sleep(0.005)
        await self._owned.close_folders()


def _settle_all(waiting: deque[SharedRow]) -> None:
    """Have these rows graded in processes of their own."""
    while waiting:
        waiting.popleft().settle(None)
