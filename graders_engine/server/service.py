"""The routes: run, validate, run_batch."""

from __future__ import annotations

from graders_engine.engine import AsyncEngine
from graders_engine.language import strict_json
from graders_engine.language.scope import scope_of
from graders_engine.server.batch import Batch
from graders_engine.server.bodies import batch_body, run_body, validate_body
from graders_engine.server.exchange import Exchange
from graders_engine.server.grader_cache import GraderCache
from graders_engine.server.scheduler import Scheduler, while_wanted
from graders_engine.server.settings import ServerSettings
from graders_engine.server.telemetry import GradedRows, ServerMetrics

NDJSON = b"application/x-ndjson"


class Service:
    """What the routes do. Each takes a call and gives the answer's body; None when it has sent it.

    Args:
        engine: grades.
        settings: how much is taken on.
        figures: where rows are counted.

    Attributes:
        graders: the compiled graders.
    """

    def __init__(
        self, engine: AsyncEngine, settings: ServerSettings, figures: ServerMetrics
    ) -> None:
        self._engine, self._settings, self._figures = engine, settings, figures
        self._grading = Scheduler(engine, settings)
        self.graders = GraderCache(engine, settings.cache_bytes)

    def close(self) -> None:
        """Let go of what the service holds besides its engine."""
        self._grading.close()

    def waiting(self) -> int:
        """Rows that wait for their turn."""
        return max(0, self._grading.rows - self._engine.settings.concurrency)

    async def run(self, call: Exchange) -> bytes:
        """Grade one row.

        Raises:
            InvalidRequest: the grader or the row cannot be used.
            Refused: the body cannot be read, or the server cannot take it on.
        """
        body = run_body(call.body, self._settings.max_row_bytes)
        # A python source that cannot run is answered as the service does: reward 0.0 and a flag.
        kept = await self.graders.get(bytes(body.grader), check_sources=False)
        kept.compiled.require_runnable()
        scope = scope_of(
            body.item,
            model_sample=body.model_sample,
            sample=body.sample,
            reference_answer=body.reference_answer,
        )
        row = await self._grading.one(kept, scope, len(call.body) - kept.size, call.receive)
        self._figures.graded(kept.compiled.type).add((row,))
        call.facts |= {"grader_type": kept.compiled.type, "reward": row.reward}
        if row.outcome.failures or row.sample_flags:
            call.facts["flags"] = list(row.flags)
        return kept.presenter()(row)

    async def validate(self, call: Exchange) -> bytes:
        """Check a grader without running anything.

        Raises:
            InvalidGrader: with every mistake.
        """
        body = validate_body(call.body)
        kept = await self.graders.get(bytes(body.grader), check_sources=True)
        call.facts["grader_type"] = kept.compiled.type
        response = await self._engine.validate(kept.compiled)
        return strict_json.encode(response.model_dump())

    async def run_batch(self, call: Exchange) -> bytes | None:
        """Grade many rows with one grader; a row that cannot be graded has an error for a result.

        Raises:
            InvalidRequest: the grader cannot be used.
            Refused: the body cannot be read, or the server cannot take it on.
        """
        body = batch_body(call.body)
        kept = await self.graders.get(bytes(body.grader), check_sources=True)
        type_ = kept.compiled.type
        counted = GradedRows()
        batch = Batch(kept, body.rows, self._grading, counted, self._settings.max_row_bytes)
        call.facts |= {"grader_type": type_, "rows": len(body.rows)}
        try:
            with self._grading.queue.place():
                if NDJSON in call.headers.get(b"accept", b""):
                    await while_wanted(_streamed(call, batch), call.receive)
                    return None
                return await while_wanted(_whole(batch), call.receive)
        finally:
            self._figures.graded(type_).merge(counted)
            call.facts |= counted.statuses


async def _whole(batch: Batch) -> bytes:
    results: list[bytes] = []

    async def emit(more: list[bytes]) -> None:
        results.extend(more)

    await batch.grade(emit)
    return b'{"results":[' + b",".join(results) + b"]}"


async def _streamed(call: Exchange, batch: Batch) -> None:
    await call.begin(NDJSON)

    async def emit(more: list[bytes]) -> None:
        if more:
            await call.piece(b"\n".join(more) + b"\n")

    await batch.grade(emit)
    await call.piece(b"", last=True)
