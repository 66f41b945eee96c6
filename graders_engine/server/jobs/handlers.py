"""The handlers of fine-tuning jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

from graders_engine.errors import Mistake
from graders_engine.jobs import states
from graders_engine.jobs.creating import create_job, made_by
from graders_engine.jobs.requests.request import NewJob, new_job
from graders_engine.jobs.wire import checkpoint_object, event_object, job_object
from graders_engine.server.evals.context import answer, decoded, seconds
from graders_engine.server.evals.repeats import REPEATED_WITHIN_S, digest_of, is_repeated
from graders_engine.server.exchange import Exchange
from graders_engine.server.jobs.context import Context
from graders_engine.server.jobs.query import job_filter
from graders_engine.server.responses import Refused
from graders_engine.server.store.query import page_of, read_query
from graders_engine.storage.jobs import Jobs, StoredJob
from graders_engine.storage.pages import list_page

LISTED_BY = ("after", "limit")
"""What a list takes."""
JOBS_LISTED, EVENTS_LISTED, CHECKPOINTS_LISTED = 20, 20, 10
"""Objects of a page that names no limit."""
PAUSED_WITHIN_S = 5.0
"""A pause is answered when the step that is trained has ended, or so long after."""
_POLL_S = 0.1


class JobHandlers:
    """Handles the requests for jobs.

    Args:
        context: what handlers need.
    """

    def __init__(self, context: Context) -> None:
        self._context, self._served = context, context.served

    async def create(self, exchange: Exchange) -> None:
        """Make a job, whose files are checked before it waits for its turn.

        Raises:
            InvalidBody: with all mistakes.
            JobQueueFull: too many jobs wait.
            ModelRefused: its model cannot be trained here.
            Refused: the body is not JSON, or its grader cannot run here.
        """
        read_query(exchange)
        store, project = self._served.store, exchange.project
        digest, repeated = digest_of(exchange, project, "job"), is_repeated(exchange)

        def make() -> StoredJob:
            new: NewJob = new_job(decoded(exchange.body, "a job", "Rows belong into its files."))
            self._context.require_trainable(new, project)
            return create_job(store, project, new, now=seconds(), digest=digest)

        def find() -> StoredJob | None:
            since = seconds() - REPEATED_WITHIN_S
            return made_by(store, project, digest, since) if repeated else None

        stored = await self._served.call(self._context.creations.make, digest, find, make)
        self._context.wake()
        method = stored.request["method"]["type"]
        exchange.log_fields |= {"job_id": stored.id, "training_method": method}
        await answer(exchange, job_object(stored))

    async def list(self, exchange: Exchange) -> None:
        """Answer a page of jobs, the newest first."""
        query, wanted = job_filter(exchange, LISTED_BY)
        page = page_of(query, limit=JOBS_LISTED, order="desc")
        list_them = self._served.store.jobs.page
        got = await self._served.call(
            lambda: list_them(
                exchange.project, page, wanted.metadata, without_metadata=wanted.without
            )
        )
        await answer(exchange, list_page([*map(job_object, got.data)], has_more=got.has_more))

    async def retrieve(self, exchange: Exchange) -> None:
        """Answer a job."""
        read_query(exchange)
        await answer(exchange, job_object(await self._context.job_of(exchange)))

    async def cancel(self, exchange: Exchange) -> None:
        """Stop a job that has not ended.

        Raises:
            Refused: it has.
        """
        stored = await self._change(exchange, states.cancel, _CANCEL)
        await answer(exchange, job_object(stored))

    async def pause(self, exchange: Exchange) -> None:
        """Stop a job that is to be resumed; the step that is trained just now is ended first.

        Raises:
            Refused: it is neither queued nor running.
        """
        stored = await self._change(exchange, states.pause, _PAUSE)
        end = monotonic() + PAUSED_WITHIN_S
        while stored.status == "pausing" and monotonic() < end:
            await asyncio.sleep(_POLL_S)
            stored = await self._context.job_of(exchange)
        await answer(exchange, job_object(stored))

    async def resume(self, exchange: Exchange) -> None:
        """Let a paused job wait for its turn again.

        Raises:
            Refused: it is not paused.
        """
        stored = await self._change(exchange, states.resume, _RESUME)
        await answer(exchange, job_object(stored))

    async def _change(
        self, exchange: Exchange, change: Callable[[Jobs, str], bool], only: str
    ) -> StoredJob:
        """Change a job's state, and give the job as it is then."""
        read_query(exchange)
        stored = await self._context.job_of(exchange)
        changed = await self._served.call(change, self._served.store.jobs, stored.id)
        stored = await self._context.job_of(exchange)
        if not changed:
            message = f"The job is {stored.status}: {only}"
            raise Refused(400, Mistake(message, code="invalid_state"))
        self._context.wake()
        return stored

    async def events(self, exchange: Exchange) -> None:
        """Answer a page of a job's events, the newest first."""
        page = page_of(read_query(exchange, LISTED_BY), limit=EVENTS_LISTED, order="desc")
        stored = await self._context.job_of(exchange)

        def objects() -> dict[str, Any]:
            got = self._served.store.jobs.events(stored.id, page)
            return list_page([*map(event_object, got.data)], has_more=got.has_more)

        await answer(exchange, await self._served.call(objects))

    async def checkpoints(self, exchange: Exchange) -> None:
        """Answer a page of a job's checkpoints, the newest first."""
        page = page_of(read_query(exchange, LISTED_BY), limit=CHECKPOINTS_LISTED, order="desc")
        stored = await self._context.job_of(exchange)
        list_them = self._served.store.jobs.checkpoints
        got = await self._served.call(list_them, stored.id, page)
        objects = [*map(checkpoint_object, got.data)]
        await answer(exchange, list_page(objects, has_more=got.has_more))


_CANCEL = "it has ended, and cannot be cancelled."
_PAUSE = "only a running or queued job can be paused."
_RESUME = "only a paused job can be resumed."
