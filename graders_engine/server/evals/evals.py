"""The handlers of evals."""

from __future__ import annotations

from typing import Any

from graders_engine.evals.creating import DIGEST, create_eval
from graders_engine.evals.requests.eval_body import eval_update, new_eval
from graders_engine.evals.wire import ACTIVE, eval_deleted, eval_object, list_page
from graders_engine.server.evals.context import (
    Context,
    answer,
    decoded,
    found,
    in_thread,
    seconds,
)
from graders_engine.server.evals.query import page_of, query_of, word
from graders_engine.server.evals.repeats import REPEATED_WITHIN_S, digest_of, is_repeated
from graders_engine.server.exchange import Exchange
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store

ORDERED_BY = ("created_at", "updated_at")


class EvalHandlers:
    """Handles the requests for evals.

    Args:
        context: what handlers need.
    """

    def __init__(self, context: Context) -> None:
        self._context, self._store = context, context.store

    async def create(self, exchange: Exchange) -> None:
        """Make an eval.

        Raises:
            InvalidBody: with all mistakes.
        """
        query_of(exchange)
        project = self._context.project_of(exchange)
        digest = digest_of(exchange, project)
        repeated = is_repeated(exchange)

        def make() -> StoredEval:
            new = new_eval(decoded(exchange.body))
            return create_eval(self._store, project, new, now=seconds(), digest=digest)

        def find() -> StoredEval | None:
            return _made_by(self._store, project, digest) if repeated else None

        stored = await in_thread(self._context.creations.make, digest, find, make)
        exchange.log_fields |= {
            "eval_id": stored.id,
            "criteria": [one.get("type") for one in stored.body["testing_criteria"]],
        }
        await answer(exchange, eval_object(stored))

    async def list(self, exchange: Exchange) -> None:
        """Answer a page of evals."""
        page, query = page_of(exchange, "order_by")
        order_by = word(query, "order_by", ORDERED_BY, ORDERED_BY[0])
        project = self._context.project_of(exchange)
        got: Any = await in_thread(self._store.evals.page, project, page, order_by)
        await answer(exchange, list_page([*map(eval_object, got.data)], has_more=got.has_more))

    async def retrieve(self, exchange: Exchange) -> None:
        """Answer an eval."""
        query_of(exchange)
        await answer(exchange, eval_object(await self._context.eval_of(exchange)))

    async def update(self, exchange: Exchange) -> None:
        """Change an eval's name or metadata.

        Raises:
            InvalidBody: with all mistakes.
        """
        query_of(exchange)
        stored = await self._context.eval_of(exchange)
        update = eval_update(decoded(exchange.body))
        changed: dict[str, Any] = {} if update.name is None else {"name": update.name}
        if update.has_metadata:
            changed["metadata"] = update.metadata

        def change() -> StoredEval | None:
            evals = self._store.evals
            return evals.update(stored.project, stored.id, now=seconds(), **changed)

        if changed:
            stored = found("eval", stored.id, await in_thread(change))
        await answer(exchange, eval_object(stored))

    async def delete(self, exchange: Exchange) -> None:
        """Delete an eval with its runs; those in progress stop."""
        query_of(exchange)
        stored = await self._context.eval_of(exchange)

        def remove() -> StoredEval | None:
            for status in ACTIVE:
                for run in self._store.runs.with_status(status):
                    if run.eval_id == stored.id:
                        self._store.runs.move(run.id, "canceled", ACTIVE, wanted="canceled")
            return stored if self._store.evals.delete(stored.project, stored.id) else None

        found("eval", stored.id, await in_thread(remove))
        self._context.wake()
        await answer(exchange, eval_deleted(stored.id))


def _made_by(store: Store, project: str, digest: str) -> StoredEval | None:
    """The eval that the same request has made not long ago."""
    page, since = Page(limit=100, order="desc"), seconds() - REPEATED_WITHIN_S
    while True:
        some = store.evals.page(project, page)
        for stored in some.data:
            if stored.created_at < since:
                return None
            if stored.body.get(DIGEST) == digest:
                return stored
        if not some.has_more:
            return None
        page = Page(some.data[-1].id, page.limit, page.order)
