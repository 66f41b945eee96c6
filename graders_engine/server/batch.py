"""Many rows in one request: graded in order; the results go out together, or as NDJSON while they come."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from time import perf_counter
from typing import Any

import msgspec

from graders_engine.compiled import scope_reader
from graders_engine.crew import ROWS_AHEAD
from graders_engine.engine import YIELD_EVERY_S
from graders_engine.errors import GradersError, InvalidRow
from graders_engine.graders import mistakes
from graders_engine.graders.base import RewardsDiffer
from graders_engine.language import strict_json
from graders_engine.language.scope import Scope, scope_of
from graders_engine.outcome import BLAMES, Blame, RowOutcome, status_of
from graders_engine.outputs.several import key_of_several
from graders_engine.server.bodies import too_long
from graders_engine.server.grader_cache import CachedGrader
from graders_engine.server.responses import Refused, error_body, refusal
from graders_engine.server.scheduler import Scheduler, deadline_exceeded
from graders_engine.server.telemetry import RowMetrics
from graders_engine.tasks import SharedTask

Emit = Callable[[list[bytes]], Awaitable[None]]
"""Takes the next results, each a response or an error object."""


class _Row(msgspec.Struct, gc=False):
    item: Any = None
    model_sample: Any = None
    sample: Any = None
    reference_answer: Any = None


_UNREADABLE = (400, 413)
"""Status of an error that says that a row is none, or is too long."""
_plain_row = msgspec.json.Decoder(_Row).decode
_any_row = scope_reader(None)


class Batch:
    """The rows of one request.

    Args:
        cached: the grader.
        rows: their JSON.
        scheduler: grades what cannot be graded on the event loop.
        metrics: counts the graded rows.
        max_row_bytes: longest row.

    Attributes:
        counts: rows by status, and those with an error for a result as "errors".
        blames: rows without a reward, by whose fault it is; of a row that cannot be read, it is the row's.
    """

    def __init__(
        self,
        cached: CachedGrader,
        rows: list[msgspec.Raw],
        scheduler: Scheduler,
        metrics: RowMetrics,
        max_row_bytes: int,
    ) -> None:
        self._cached, self._rows, self._scheduler = cached, rows, scheduler
        self._metrics, self._max_row_bytes = metrics, max_row_bytes
        self._window = scheduler.concurrency * ROWS_AHEAD
        self._present = cached.batch_presenter()
        self.counts: Counter[str] = Counter(scored=0, invalid=0, failed=0, errors=0)
        self.blames: Counter[str] = Counter(dict.fromkeys(BLAMES, 0))
        self._queued: dict[int, Blame | None] = {}
        self._unreadable: set[int] = set()

    async def grade(self, emit: Emit) -> None:
        """Grade all rows, and hand on the results in order.

        A row that cannot be read, or that the deadline cuts off, has an error object for a result; the others
        keep theirs.

        Raises:
            RewardsDiffer: rows change each other's rewards, so that none of the results counts.
        """
        deadline = asyncio.get_running_loop().time() + self._scheduler.deadline_s
        if self._cached.compiled.evaluator.waits:
            await self._grade_concurrently(emit, deadline)
        else:
            await self._grade_in_turn(emit, deadline)

    async def _grade_in_turn(self, emit: Emit, deadline: float) -> None:
        """Grade the rows one after the other, with pauses in which the event loop serves other requests."""
        loop_time = asyncio.get_running_loop().time
        done = 0
        while True:
            results = await self._next_results(done)
            done += len(results)
            await emit(results)
            if done == len(self._rows):
                return
            await asyncio.sleep(0)
            if loop_time() > deadline:
                await emit(self._cut_off(done))
                return

    async def _next_results(self, begin: int) -> list[bytes]:
        """Grade rows from this one on until it is time for a pause."""
        grade, present = self._cached.compiled.grade_now, self._present
        inline_limit = min(self._cached.inline_limit_bytes(), self._max_row_bytes)
        results: list[bytes] = []
        graded: list[RowOutcome] = []
        pause_at = perf_counter() + YIELD_EVERY_S
        for index, text in enumerate(islice(self._rows, begin, None), begin):
            try:
                if len(text) <= inline_limit:
                    row = grade(index, scope_of_text(text))
                    graded.append(row)
                    results.append(present(row))
                else:
                    results.append(await self._grade_queued(index, text))
                    self._count_result(index)
            except (GradersError, Refused) as error:
                results.append(self._error(index, error))
                self._count_result(index)
            if perf_counter() > pause_at:
                break
        self._count(graded)
        return results

    async def _grade_concurrently(self, emit: Emit, deadline: float) -> None:
        """Grade the rows as tasks, of which a window is begun ahead of the oldest unfinished one."""
        tasks: deque[SharedTask[bytes]] = deque()
        done = 0
        rest = enumerate(self._rows)
        try:
            async with asyncio.timeout_at(deadline):
                while done < len(self._rows):
                    for index, text in islice(rest, self._window - len(tasks)):
                        tasks.append(SharedTask(self._result(index, text)))
                    await emit([await tasks[0].wait()])
                    self._count_result(done)
                    tasks.popleft()
                    done += 1
        except TimeoutError:
            await emit(self._cut_off(done))
        finally:
            await asyncio.gather(*(task.end() for task in tasks), return_exceptions=True)

    async def _result(self, index: int, text: msgspec.Raw) -> bytes:
        try:
            return await self._grade_queued(index, text)
        except RewardsDiffer as error:  # the other rows' rewards may be wrong, too
            raise error.of(f"Row {index} (counted from 0)") from None
        except (GradersError, Refused) as error:
            return self._error(index, error)

    def _error(self, index: int, error: Exception) -> bytes:
        """The result in place of a row that cannot be graded."""
        refused = refusal(error)
        if refused is None:
            raise error
        if isinstance(error, InvalidRow | Refused) and refused.status in _UNREADABLE:
            self._unreadable.add(index)
        where = f"rows[{index}]"
        mistake = refused.mistake
        param = f"{where}.{mistake.param}" if mistake.param else where
        return error_body(refused.status, dataclasses.replace(mistake, param=param))

    async def _grade_queued(self, index: int, text: msgspec.Raw) -> bytes:
        if mistake := too_long("item", len(text), self._max_row_bytes):
            raise Refused(413, mistake)
        self._scheduler.check_memory(self._cached, len(text))
        row = await self._scheduler.run_queued(self._cached, index, scope_of_text(text))
        self._metrics.add_one(row)
        self._queued[index] = row.outcome.blame
        return self._present(row)

    def _count(self, rows: Sequence[RowOutcome]) -> None:
        for blame, count in self._metrics.add(rows).items():
            self._add(blame, count)

    def _count_result(self, index: int) -> None:
        """Count a result that was made by itself; only now, since the deadline may have replaced it."""
        if index in self._queued:
            self._add(self._queued.pop(index), 1)
        else:
            self.counts["errors"] += 1
            self.blames["row"] += index in self._unreadable

    def _add(self, blame: Blame | None, count: int) -> None:
        self.counts[status_of(blame)] += count
        if blame is not None:
            self.blames[blame] += count

    def summary(self) -> bytes:
        """The counts, as JSON."""
        return msgspec.json.encode({**self.counts, "blame": self.blames})

    def _cut_off(self, begin: int) -> list[bytes]:
        """The results of the rows from this one on, which the deadline has cut off."""
        self.counts["errors"] += len(self._rows) - begin
        return [
            error_body(504, deadline_exceeded(self._scheduler.deadline_s, f"rows[{index}]"))
            for index in range(begin, len(self._rows))
        ]


def scope_of_text(text: msgspec.Raw) -> Scope:
    """What the templates see of a row.

    Raises:
        InvalidRow: it is JSON, but not a row with one sample.
        Refused: it is not JSON.
    """
    try:
        row = _plain_row(text)
        plain = row.sample is None and row.reference_answer is None
        if plain and row.item is not None and isinstance(row.model_sample, str):
            return Scope(row.item, row.model_sample)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass  # the standard library may be able to read it
    try:
        values = strict_json.decode(bytes(text))
    except ValueError as error:
        raise Refused(400, mistakes.unreadable_body(str(error))) from None
    if isinstance(values, Mapping) and (key := key_of_several(values)):
        raise InvalidRow(
            f"A row of a batch has one sample, but this one has a list of them in `{key}`: send a row for "
            "each of them, with the same `item` and a `model_sample` or `sample` of its own."
        )
    scope = _any_row(values)
    # Files may have a whole sample, or a text, under either key; a request may not, as for a single run.
    if isinstance(values.get("model_sample"), Mapping) or isinstance(values.get("sample"), str):
        scope_of({}, model_sample=values.get("model_sample"), sample=values.get("sample"))
    return scope
