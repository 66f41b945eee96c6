"""Many rows in one request: graded in order, answered whole or as NDJSON while they come."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice
from time import perf_counter
from typing import Any

import msgspec

from graders_engine.compiled import scope_reader
from graders_engine.crew import ROWS_AHEAD
from graders_engine.engine import YIELD_EVERY_S
from graders_engine.errors import GradersError
from graders_engine.graders import mistakes
from graders_engine.language import strict_json
from graders_engine.language.scope import Scope, scope_of
from graders_engine.outcome import RowOutcome
from graders_engine.server.answers import Refused, error_body, refusal
from graders_engine.server.bodies import too_long
from graders_engine.server.grader_cache import CachedGrader
from graders_engine.server.scheduler import Scheduler, overdue
from graders_engine.server.telemetry import GradedRows

Emit = Callable[[list[bytes]], Awaitable[None]]
"""Takes the next results, each a response or an error object."""


class _Row(msgspec.Struct, gc=False):
    item: Any = None
    model_sample: Any = None
    sample: Any = None
    reference_answer: Any = None


_plain_row = msgspec.json.Decoder(_Row).decode
_any_row = scope_reader(None)


class Batch:
    """The rows of one request.

    Args:
        kept: the grader.
        rows: their JSON.
        grading: grades them.
        counted: where each is counted.
        max_row_bytes: longest row.
    """

    def __init__(
        self,
        kept: CachedGrader,
        rows: list[msgspec.Raw],
        grading: Scheduler,
        counted: GradedRows,
        max_row_bytes: int,
    ) -> None:
        self._kept, self._rows, self._grading = kept, rows, grading
        self._counted, self._max_row_bytes = counted, max_row_bytes
        self._window = grading.concurrency * ROWS_AHEAD
        self._present = kept.presenter()

    async def grade(self, emit: Emit) -> None:
        """Grade them all and hand on the results in order.

        A row that is none, or that the deadline comes before, has an error object for a result; the others
        keep theirs.
        """
        deadline = asyncio.get_running_loop().time() + self._grading.deadline_s
        if self._kept.compiled.evaluator.waits:
            await self._waiting(emit, deadline)
        else:
            await self._at_once(emit, deadline)

    async def _at_once(self, emit: Emit, deadline: float) -> None:
        grade, present = self._kept.compiled.grade, self._present
        quick_bytes = min(self._kept.quick_bytes(), self._max_row_bytes)
        loop_time = asyncio.get_running_loop().time
        results: list[bytes] = []
        rows: list[RowOutcome] = []
        breath = perf_counter() + YIELD_EVERY_S
        for index, text in enumerate(self._rows):
            try:
                if len(text) <= quick_bytes:
                    row = await grade(index, scope_of_text(text))  # never waits
                    rows.append(row)
                    results.append(present(row))
                else:
                    results.append(await self._later(index, text))
            except (GradersError, Refused) as error:
                results.append(_error(index, error))
            if perf_counter() > breath:
                self._counted.add(rows)
                await emit(results)
                results, rows = [], []
                await asyncio.sleep(0)
                breath = perf_counter() + YIELD_EVERY_S
                if loop_time() > deadline:
                    results = self._overdue(index + 1)
                    break
        self._counted.add(rows)
        await emit(results)

    async def _waiting(self, emit: Emit, deadline: float) -> None:
        begun: deque[asyncio.Task[bytes]] = deque()
        done = 0
        rest = enumerate(self._rows)
        try:
            async with asyncio.timeout_at(deadline):
                while done < len(self._rows):
                    for index, text in islice(rest, self._window - len(begun)):
                        begun.append(asyncio.create_task(self._result(index, text)))
                    await emit([await begun[0]])
                    begun.popleft()
                    done += 1
        except TimeoutError:
            await emit(self._overdue(done))
        finally:
            for task in begun:
                task.cancel()
            await asyncio.gather(*begun, return_exceptions=True)

    async def _result(self, index: int, text: msgspec.Raw) -> bytes:
        try:
            return await self._later(index, text)
        except (GradersError, Refused) as error:
            return _error(index, error)

    async def _later(self, index: int, text: msgspec.Raw) -> bytes:
        if mistake := too_long("item", len(text), self._max_row_bytes):
            raise Refused(413, mistake)
        self._grading.check(self._kept, len(text))
        row = await self._grading.later(self._kept, index, scope_of_text(text))
        self._counted.add((row,))
        return self._present(row)

    def _overdue(self, begin: int) -> list[bytes]:
        return [
            error_body(504, overdue(self._grading.deadline_s, f"rows[{index}]"))
            for index in range(begin, len(self._rows))
        ]


def scope_of_text(text: msgspec.Raw) -> Scope:
    """What the templates see of a row.

    Raises:
        InvalidRow: it is no row.
        Refused: it is not even JSON.
    """
    try:
        row = _plain_row(text)
        if row.sample is None and row.model_sample is not None:
            return scope_of(
                row.item, model_sample=row.model_sample, reference_answer=row.reference_answer
            )
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass  # the standard library may read it
    try:
        return _any_row(strict_json.decode(bytes(text)))
    except ValueError as error:
        raise Refused(400, mistakes.unreadable_body(str(error))) from None


def _error(index: int, error: Exception) -> bytes:
    """The result in place of a row that cannot be graded."""
    refused = refusal(error)
    if refused is None:
        raise error
    where = f"rows[{index}]"
    mistake = refused.mistake
    param = f"{where}.{mistake.param}" if mistake.param else where
    return error_body(refused.status, dataclasses.replace(mistake, param=param))
