"""The handler of the reward route: it grades a request's rows, and answers only when each has a number."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

from graders_engine.compiled import CompiledGrader, invalid_row
from graders_engine.engine import YIELD_EVERY_S
from graders_engine.errors import InvalidRow, Mistake
from graders_engine.language import strict_json
from graders_engine.outcome import RowOutcome, details_line
from graders_engine.server.bodies import too_long
from graders_engine.server.exchange import Exchange
from graders_engine.server.grader_cache import CachedGrader
from graders_engine.server.responses import Refused
from graders_engine.server.reward.description import REWARD
from graders_engine.server.reward.forms import STATUSES, RewardRequest, request_of, threshold_of
from graders_engine.server.routes import Body, Route
from graders_engine.server.scheduler import (
    RETRY_AFTER_S,
    Scheduler,
    deadline_exceeded,
    while_connected,
)
from graders_engine.server.settings import ServerSettings
from graders_engine.server.telemetry import ServerMetrics
from graders_engine.tasks import together

_MAX_LISTED = 3  # rows in a message


class RewardRoute:
    """Handles the requests for one grader's rewards.

    Args:
        compiled: the grader.
        scheduler: grades what cannot be graded on the event loop.
        settings: how much the server takes on.
        metrics: counts rows.

    Raises:
        UnavailableGrader: the engine cannot run it.
    """

    def __init__(
        self,
        compiled: CompiledGrader,
        scheduler: Scheduler,
        settings: ServerSettings,
        metrics: ServerMetrics,
    ) -> None:
        compiled.require_runnable()
        self._cached = CachedGrader(compiled, strict_json.encode(compiled.given))
        self._scheduler, self._max_row_bytes = scheduler, settings.max_row_bytes
        self._metrics = metrics.rows(compiled.type)

    def routes(self) -> list[Route]:
        """Its entries of the table of routes; a client may be given the server's address alone."""
        return [
            Route("POST", "/reward", self.reward, body=Body.JSON, operation=REWARD),
            Route("POST", "/", self.reward, body=Body.JSON, versioned=False),
        ]

    async def reward(self, exchange: Exchange) -> None:
        """Grade the rows of a request.

        Raises:
            Refused: the body cannot be read, a row is at fault or has no reward, or the server cannot take
                it on.
        """
        threshold = threshold_of(_query(exchange).get("threshold"))
        compiled = self._cached.compiled
        request = request_of(exchange.body, compiled)
        exchange.log_fields |= {
            "grader_type": compiled.type,
            "client": request.name,
            "rows": request.count,
        }
        if request.count == 1:
            rows = [await self._grade_one(request, exchange)]
            self._metrics.add_one(rows[0])
            exchange.log_fields["reward"] = rows[0].reward
        else:
            rows = await self._grade_several(request, exchange)
            self._metrics.add(rows)
            counts: Counter[str] = Counter(row.status for row in rows)
            exchange.log_fields |= {status: counts[status] for status in STATUSES}
        exchange.log_fields |= _flags_of(rows)
        _require_numbers(request, rows)
        await exchange.respond(200, strict_json.encode(request.answer(rows, threshold)))

    async def _grade_one(self, request: RewardRequest, exchange: Exchange) -> RowOutcome:
        size = len(exchange.body)
        self._check_length(request, 0, size)
        try:
            scope = request.scope(0)
        except InvalidRow as error:
            return invalid_row(0, error)
        return await self._scheduler.run_one(self._cached, scope, size, exchange.receive)

    async def _grade_several(self, request: RewardRequest, exchange: Exchange) -> list[RowOutcome]:
        deadline_s = self._scheduler.deadline_s
        with self._scheduler.queue.admit():
            try:
                async with asyncio.timeout(deadline_s):
                    return await while_connected(self._all_rows(request), exchange.receive)
            except TimeoutError:
                raise Refused(504, deadline_exceeded(deadline_s, None)) from None

    async def _all_rows(self, request: RewardRequest) -> list[RowOutcome]:
        """Grade the rows at the same time where grading waits, otherwise one after the other."""
        waits = self._cached.compiled.evaluator.waits
        at_once = min(self._scheduler.concurrency, request.count) if waits else 1
        indexes = iter(range(request.count))
        rows: list[RowOutcome] = []
        await together(self._grade_each(request, indexes, rows) for _ in range(at_once))
        return sorted(rows, key=lambda row: row.index)

    async def _grade_each(
        self, request: RewardRequest, indexes: Iterable[int], rows: list[RowOutcome]
    ) -> None:
        """Grade rows until none is left, with pauses in which the event loop serves other requests."""
        yield_at = perf_counter() + YIELD_EVERY_S
        for index in indexes:
            rows.append(await self._grade_row(request, index))
            if perf_counter() > yield_at:
                await asyncio.sleep(0)
                yield_at = perf_counter() + YIELD_EVERY_S

    async def _grade_row(self, request: RewardRequest, index: int) -> RowOutcome:
        size = request.size(index)
        self._check_length(request, index, size)
        try:
            scope = request.scope(index)
        except InvalidRow as error:
            return invalid_row(index, error)
        if size <= self._cached.inline_limit_bytes():
            return self._cached.compiled.grade_now(index, scope)
        self._scheduler.check_memory(self._cached, size)
        return await self._scheduler.run_queued(self._cached, index, scope)

    def _check_length(self, request: RewardRequest, index: int, size: int) -> None:
        if mistake := too_long(request.where(index), size, self._max_row_bytes):
            raise Refused(413, mistake)


def _query(exchange: Exchange) -> dict[str, str]:
    """The values behind the `?` of the address."""
    text = exchange.scope["query_string"]
    return dict(parse_qsl(text.decode("latin-1"), keep_blank_values=True)) if text else {}


def _flags_of(rows: Sequence[RowOutcome]) -> dict[str, Any]:
    """What the log says of rows with flags."""
    flagged = [row for row in rows if row.outcome.failures or row.sample_flags]
    fields: dict[str, Any] = {}
    if flagged:
        fields["flags"] = sorted({flag for row in flagged for flag in row.flags})
    if blames := Counter(row.blame for row in flagged if row.blame is not None):
        fields["blame"] = dict(blames) if len(rows) > 1 else flagged[0].blame
    return fields


def _require_numbers(request: RewardRequest, rows: Sequence[RowOutcome]) -> None:
    """Make sure that each row has a number that training may see.

    Raises:
        Refused: 400, if a row is at fault, since each try would end alike; 503, if a judge or the
            infrastructure is.
    """
    if all(row.counted is not None for row in rows):
        return
    if at_fault := [row for row in rows if row.blame == "row"]:
        text = "Invalid body: the grader cannot grade this. " + _listed(request, at_fault)
        param = request.where(at_fault[0].index) if request.count > 1 else None
        raise Refused(400, Mistake(text, param, "invalid_row"))
    without = [row for row in rows if row.counted is None]
    text = "The grader has no reward for this now. " + _listed(request, without)
    raise Refused(503, Mistake(text, code="no_reward"), {"retry-after": str(RETRY_AFTER_S)})


def _listed(request: RewardRequest, rows: Sequence[RowOutcome]) -> str:
    """Why rows have no reward, with their places where the request has several."""
    listed = []
    for row in rows[:_MAX_LISTED]:
        why = "; ".join(f"{flag}: {details_line(text)}" for flag, text in row.flags.items())
        listed.append(f"{request.where(row.index)}: {why}" if request.count > 1 else why)
    more = len(rows) - len(listed)
    return " | ".join(listed) + (f" | and {more} more" if more else "")
