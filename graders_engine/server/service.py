"""The grader service's routes: run, validate, run_batch."""

from __future__ import annotations

from collections.abc import Callable

from graders_engine.engine import AsyncEngine
from graders_engine.language import strict_json
from graders_engine.models.local.source import LocalSource
from graders_engine.outputs.forms import sample_scope
from graders_engine.server import openapi
from graders_engine.server.batch import Batch
from graders_engine.server.bodies import batch_body, run_body, validate_body
from graders_engine.server.exchange import JSON, Exchange
from graders_engine.server.grader_cache import CachedGrader, GraderCache
from graders_engine.server.routes import Body, Handler, Operation, Route
from graders_engine.server.scheduler import Scheduler, while_connected
from graders_engine.server.settings import ServerSettings
from graders_engine.server.store.local_judges import require_local
from graders_engine.server.telemetry import ServerMetrics

PREFIX = "/fine_tuning/alpha/graders"
NDJSON = b"application/x-ndjson"
HELD_BYTES = 4 << 20
"""From this length on, results are sent before all of them are there."""


class Service:
    """Handles the requests to the grader routes.

    Args:
        engine: grades.
        settings: how much the server takes on.
        metrics: counts rows and graders.
        local: the models of this machine, as a project may use them; None for a server without any.

    Attributes:
        scheduler: grades rows; other routes share it, and with it the bounds.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        settings: ServerSettings,
        metrics: ServerMetrics,
        local: Callable[[str], LocalSource] | None = None,
    ) -> None:
        self._local = local
        self._engine, self._settings, self._metrics = engine, settings, metrics
        self.scheduler = Scheduler(engine, settings)
        self._graders = GraderCache(engine, settings.cache_bytes, metrics)
        metrics.add_gauge(
            "graders_queue_depth",
            "Rows that wait for their turn.",
            lambda: self.scheduler.queued,
        )
        metrics.add_gauge(
            "graders_cached_graders", "Compiled graders in memory.", lambda: len(self._graders)
        )

    def routes(self) -> list[Route]:
        """The service's entries of the table of routes."""

        def entry(handler: Handler, name: str, operation: Operation) -> Route:
            return Route("POST", f"{PREFIX}/{name}", handler, body=Body.JSON, operation=operation)

        return [
            entry(self.run, "run", openapi.RUN),
            entry(self.validate, "validate", openapi.VALIDATE),
            entry(self.run_batch, "run_batch", openapi.RUN_BATCH),
        ]

    def close(self) -> None:
        """Release what the service holds besides its engine."""
        self.scheduler.close()

    async def run(self, exchange: Exchange) -> None:
        """Grade one row.

        Raises:
            InvalidRequest: the grader or the row cannot be used.
            Refused: the body cannot be read, or the server cannot take it on.
        """
        body = run_body(exchange.body, self._settings.max_row_bytes)
        # A python source that cannot run is answered as the hosted service does: reward 0.0 and a flag.
        cached = await self._grader(exchange, bytes(body.grader), check_sources=False)
        # What the engine has no means to run is refused before the row is looked at.
        cached.compiled.require_runnable()
        scope = sample_scope(
            body.item,
            model_sample=body.model_sample,
            sample=body.sample,
            reference_answer=body.reference_answer,
        )
        row_bytes = len(exchange.body) - cached.size_bytes
        row = await self.scheduler.run_one(cached, scope, row_bytes, exchange.receive)
        self._metrics.rows(cached.compiled.type).add_one(row)
        exchange.log_fields |= {"grader_type": cached.compiled.type, "reward": row.reward}
        if row.outcome.failures or row.sample_flags:
            exchange.log_fields["flags"] = list(row.flags)
            exchange.log_fields["blame"] = row.blame
        await exchange.respond(200, cached.presenter()(row))

    def _models_for(self, exchange: Exchange) -> LocalSource | None:
        return None if self._local is None else self._local(exchange.project)

    async def _grader(
        self, exchange: Exchange, text: bytes, *, check_sources: bool
    ) -> CachedGrader:
        """The grader of a request that asks for rewards.

        Raises:
            Refused: it asks a model of this machine that is not there, or that the caller may not use.
        """
        local = self._models_for(exchange)
        cached = await self._graders.get(text, check_sources=check_sources, local=local)
        if local is not None:
            await require_local(cached.compiled.spec, local)
        return cached

    async def validate(self, exchange: Exchange) -> None:
        """Check a grader without running anything.

        Raises:
            InvalidGrader: with every mistake.
        """
        body = validate_body(exchange.body)
        local = self._models_for(exchange)
        cached = await self._graders.get(bytes(body.grader), check_sources=True, local=local)
        exchange.log_fields["grader_type"] = cached.compiled.type
        response = await self._engine.validate(cached.compiled)
        await exchange.respond(200, strict_json.encode(response.model_dump()))

    async def run_batch(self, exchange: Exchange) -> None:
        """Grade many rows with one grader; a row that cannot be graded has an error for a result.

        Raises:
            InvalidRequest: the grader cannot be used.
            Refused: the body cannot be read, or the server cannot take it on.
        """
        body = batch_body(exchange.body)
        cached = await self._grader(exchange, bytes(body.grader), check_sources=True)
        type_ = cached.compiled.type
        batch = Batch(
            cached,
            body.rows,
            self.scheduler,
            self._metrics.rows(type_),
            self._settings.max_row_bytes,
        )
        exchange.log_fields |= {"grader_type": type_, "rows": len(body.rows)}
        try:
            with self.scheduler.queue.admit():
                if NDJSON in exchange.headers.get(b"accept", b""):
                    await while_connected(_stream(exchange, batch), exchange.receive)
                else:
                    await while_connected(_answer(exchange, batch), exchange.receive)
        finally:
            exchange.log_fields |= batch.counts
            if any(batch.blames.values()):
                exchange.log_fields["blame"] = {
                    blame: count for blame, count in batch.blames.items() if count
                }


async def _answer(exchange: Exchange, batch: Batch) -> None:
    """Answer with one object; a long one goes out in chunks, so that it is never in memory as a whole."""
    results: list[bytes] = []
    held_bytes = 0

    async def emit(more: list[bytes]) -> None:
        nonlocal held_bytes
        results.extend(more)
        held_bytes += sum(map(len, more))
        if held_bytes > HELD_BYTES:
            begin = b"," if exchange.started else b'{"results":['
            if not exchange.started:
                await exchange.start_response(JSON)
            await exchange.send_chunk(begin + b",".join(results))
            results.clear()
            held_bytes = 0

    await batch.grade(emit)
    rest = b",".join(results) + b'],"counts":' + batch.summary() + b"}"
    if exchange.started:
        await exchange.send_chunk(b"," + rest if results else rest, last=True)
    else:
        await exchange.respond(200, b'{"results":[' + rest)


async def _stream(exchange: Exchange, batch: Batch) -> None:
    await exchange.start_response(NDJSON)

    async def emit(more: list[bytes]) -> None:
        if more:
            await exchange.send_chunk(b"\n".join(more) + b"\n")

    await batch.grade(emit)
    await exchange.send_chunk(b"", last=True)
