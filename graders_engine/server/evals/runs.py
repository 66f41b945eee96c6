"""The handlers of runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from graders_engine.body_fields import InvalidBody
from graders_engine.errors import Mistake, UnavailableGrader
from graders_engine.evals.creating import DIGEST, content_of, create_run
from graders_engine.evals.requests.local_model import local_mistakes
from graders_engine.evals.requests.rows import CONTENT
from graders_engine.evals.requests.run_body import NewRun, new_run, split_run
from graders_engine.evals.runnable import probes
from graders_engine.evals.wire import (
    ACTIVE,
    STATES,
    encoded,
    json_array,
    run_deleted,
    run_object,
)
from graders_engine.files import without_paths
from graders_engine.graders import mistakes
from graders_engine.server.bodies import MAX_VALUES
from graders_engine.server.evals.context import Context, answer, found, seconds
from graders_engine.server.evals.repeats import REPEATED_WITHIN_S, digest_of, is_repeated
from graders_engine.server.exchange import JSON, Exchange
from graders_engine.server.responses import Refused
from graders_engine.server.store.query import choice_of, page_of, read_query
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.pages import Page, list_page
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store

LISTED_BY = ("after", "limit", "order", "status")
"""What a list of runs takes."""
HELD_BYTES = 4 << 20
"""A longer page is sent in pieces: the items of its runs are never in memory all at once."""


class RunHandlers:
    """Handles the requests for runs.

    Args:
        context: what handlers need.
    """

    def __init__(self, context: Context) -> None:
        self._context, self._served = context, context.served

    async def create(self, exchange: Exchange) -> None:
        """Make a run, which waits for its turn.

        Raises:
            InvalidBody: with all mistakes.
            QueueFull: too many runs wait.
            Refused: the body is not JSON, or the model or a criterion cannot be asked here.
        """
        read_query(exchange)
        owner = await self._context.eval_of(exchange)
        digest = digest_of(exchange, owner.project, owner.id)
        new = await self._served.call(_read, exchange.body)
        await self._served.call(self._require_runnable, owner, new)
        store, repeated = self._served.store, is_repeated(exchange)

        def make() -> StoredRun:
            made = create_run(store, owner, new, now=seconds(), digest=digest)
            return found("eval", owner.id, made)

        def find() -> StoredRun | None:
            return _made_by(store, owner, digest) if repeated else None

        stored = await self._served.call(self._context.creations.make, digest, find, make)
        self._context.wake()
        exchange.log_fields |= {"run_id": stored.id, "data_source": stored.request.get("type")}
        await answer(exchange, await self._object(exchange, stored))

    def _require_runnable(self, owner: StoredEval, new: NewRun) -> None:
        """Refuse a run of which no row could be graded, or no answer sampled; to be called in a thread.

        Raises:
            Refused: the engine has no means for it.
            InvalidBody: the model cannot honour what it is asked.
        """
        local = self._context.local(owner.project)
        criteria = owner.body.get("testing_criteria") or []
        for param, what, grader in probes(criteria, new.data_source):
            try:
                self._context.engine.compile(grader, local=local).require_runnable()
            except UnavailableGrader as error:
                code = "model_not_available" if "model" in grader else "grader_not_available"
                reason = str(error)
                if param:  # what engines know of models they know of judges
                    reason = reason.replace(f"The judge '{new.model}'", f"The model '{new.model}'")
                raise Refused(400, Mistake(f"{what}{reason}", param, code)) from None
        if found := local_mistakes(new.data_source, local):
            raise InvalidBody(found)

    async def list(self, exchange: Exchange) -> None:
        """Answer a page of an eval's runs."""
        query = read_query(exchange, LISTED_BY)
        page, status = page_of(query), choice_of(query, "status", STATES)
        owner = await self._context.eval_of(exchange)
        list_them = self._served.store.runs.page
        got = await self._served.call(list_them, owner.project, owner.id, page, status)
        whole = list_page([{"id": run.id} for run in got.data], has_more=got.has_more)
        del whole["data"]
        begin, held = b'{"data":[', b""
        for position, run in enumerate(got.data):
            separator = b"," if position else begin
            held += separator + encoded(await self._object(exchange, run))
            if len(held) > HELD_BYTES:
                if not exchange.started:
                    await exchange.start_response(JSON)
                await exchange.send_chunk(held)
                held = b""
        held += (b"" if got.data else begin) + b"]," + encoded(whole)[1:]
        if exchange.started:
            await exchange.send_chunk(held, last=True)
        else:
            await exchange.respond(200, held)

    async def retrieve(self, exchange: Exchange) -> None:
        """Answer a run."""
        read_query(exchange)
        stored = await self._context.run_of(exchange)
        await answer(exchange, await self._object(exchange, stored))

    async def cancel(self, exchange: Exchange) -> None:
        """Stop a run that is queued or in progress.

        Raises:
            Refused: it has ended.
        """
        read_query(exchange)
        stored = await self._context.run_of(exchange)
        move = self._served.store.runs.move
        moved = await self._served.call(
            lambda: move(stored.id, "canceled", ACTIVE, wanted="canceled")
        )
        if not moved:
            stored = await self._context.run_of(exchange)
            message = f"The run is {stored.status}: only a queued or running run can be canceled."
            raise Refused(400, Mistake(message, code="invalid_state"))
        self._context.wake()
        stored = await self._context.run_of(exchange)
        await answer(exchange, await self._object(exchange, stored))

    async def delete(self, exchange: Exchange) -> None:
        """Delete a run; one in progress stops."""
        read_query(exchange)
        stored = await self._context.run_of(exchange)

        def remove() -> StoredRun | None:
            runs = self._served.store.runs
            runs.move(stored.id, "canceled", ACTIVE, wanted="canceled")
            return stored if runs.delete(stored.project, stored.eval_id, stored.id) else None

        found("run", stored.id, await self._served.call(remove))
        self._context.wake()
        await answer(exchange, run_deleted(stored.id))

    async def _object(self, exchange: Exchange, stored: StoredRun) -> dict[str, Any]:
        lines = await self._served.call(content_of, self._served.store, stored)
        content = None if lines is None else json_array(lines)
        if stored.error is not None:
            error = {key: _for_clients(value) for key, value in stored.error.items()}
            stored = dataclasses.replace(stored, error=error)
        return run_object(stored, report_url(exchange, stored.id), content)


def _for_clients(value: Any) -> Any:
    return without_paths(value) if isinstance(value, str) else value


def report_url(exchange: Exchange, run_id: str) -> str:
    """Where a browser finds the report of a run: at the address under which the request came."""
    host = exchange.headers.get(b"host", b"").decode("latin-1")
    if not host:
        address, port = exchange.scope["server"]
        host = f"{address}:{port}"
    return f"{exchange.scope['scheme']}://{host}/reports/{run_id}"


def _read(body: bytes) -> NewRun:
    if len(body) > MAX_VALUES and body.count(b",") > MAX_VALUES:
        text = f"Invalid body: it has more than {MAX_VALUES} commas; upload the rows as a file."
        raise Refused(413, Mistake(text, CONTENT, "too_many_rows"))
    try:
        values = split_run(body)
    except ValueError as error:
        raise Refused(400, mistakes.unreadable_json(body, error)) from None
    return new_run(values)


def _recent(store: Store, owner: StoredEval) -> Iterator[StoredRun]:
    page = Page(limit=100, order="desc")
    while True:
        some = store.runs.page(owner.project, owner.id, page)
        yield from some.data
        if not some.has_more:
            return
        page = Page(some.data[-1].id, page.limit, page.order)


def _made_by(store: Store, owner: StoredEval, digest: str) -> StoredRun | None:
    """The run that the same request has made not long ago."""
    since = seconds() - REPEATED_WITHIN_S
    for stored in _recent(store, owner):
        if stored.created_at < since:
            return None
        if stored.request.get(DIGEST) == digest:
            return stored
    return None
