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
    seconds,
)
from graders_engine.server.evals.repeats import REPEATED_WITHIN_S, digest_of, is_repeated
from graders_engine.server.exchange import Exchange
from graders_engine.server.store.query import choice_of, page_of, read_query
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store

ORDERED_BY = ("created_at", "updated_at")
LISTED_BY = ("after", "limit", "order", "order_by")
"""What a list of evals takes."""


class EvalHandlers:
    """Handles the requests for evals.

    Args:
        context: what handlers need.
    """

    def __init__(self, context: Context) -> None:
        self._context, self._served = context, context.served

    async def create(self, exchange: Exchange) -> None:
        """Make an eval.

        Raises:
            InvalidBody: with all mistakes.
        """
        read_query(exchange)
        store, project = self._served.store, exchange.project
        digest, repeated = digest_of(exchange, project), is_repeated(exchange)

        def make() -> StoredEval:
            new = new_eval(decoded(exchange.body))
            return create_eval(store, project, new, now=seconds(), digest=digest)

        def find() -> StoredEval | None:
            return _made_by(store, project, digest) if repeated else None

        stored = await self._served.call(self._context.creations.make, digest, find, make)
        exchange.log_fields |= {
            "eval_id": stored.id,
            "criteria": [one.get("type") for one in stored.body["testing_criteria"]],
        }
        await answer(exchange, eval_object(stored))

    async def list(self, exchange: Exchange) -> None:
        """Answer a page of evals."""
        query = read_query(exchange, LISTED_BY)
        order_by: Any = choice_of(query, "order_by", ORDERED_BY) or ORDERED_BY[0]
        list_them = self._served.store.evals.page
        got = await self._served.call(list_them, exchange.project, page_of(query), order_by)
        await answer(exchange, list_page([*map(eval_object, got.data)], has_more=got.has_more))

    async def retrieve(self, exchange: Exchange) -> None:
        """Answer an eval."""
        read_query(exchange)
        await answer(exchange, eval_object(await self._context.eval_of(exchange)))

    async def update(self, exchange: Exchange) -> None:
        """Change an eval's name or metadata.

        Raises:
            InvalidBody: with all mistakes.
        """
        read_query(exchange)
        stored = await self._context.eval_of(exchange)
        update = eval_update(decoded(exchange.body))
        changed: dict[str, Any] = {} if update.name is None else {"name": update.name}
        if update.has_metadata:
            changed["metadata"] = update.metadata

        def change() -> StoredEval | None:
            evals = self._served.store.evals
            return evals.update(stored.project, stored.id, now=seconds(), **changed)

        if changed:
            stored = found("eval", stored.id, await self._served.call(change))
        await answer(exchange, eval_object(stored))

    async def delete(self, exchange: Exchange) -> None:
        """Delete an eval with its runs; those in progress stop."""
        read_query(exchange)
        stored = await self._context.eval_of(exchange)

        store = self._served.store

        def remove() -> StoredEval | None:
            for status in ACTIVE:
                for run in store.runs.with_status(status):
                    if run.eval_id == stored.id:
                        store.runs.move(run.id, "canceled", ACTIVE, wanted="canceled")
            return stored if store.evals.delete(stored.project, stored.id) else None

        found("eval", stored.id, await self._served.call(remove))
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
