"""The handlers of output items: what each criterion said of each item of a run."""

from __future__ import annotations

from graders_engine.evals.run.items import FILTERS, OutputItems
from graders_engine.evals.wire import list_page
from graders_engine.server.evals.context import QUOTED_CHARS, Context, answer, found
from graders_engine.server.exchange import Exchange
from graders_engine.server.store.query import choice_of, page_of, read_query

LISTED_BY = ("after", "limit", "order", "status")
"""What a list of items takes."""


class ItemHandlers:
    """Handles the requests for output items.

    Args:
        context: what handlers need.
    """

    def __init__(self, context: Context) -> None:
        self._context, self._served = context, context.served
        self._items = OutputItems(context.served.store)

    async def list(self, exchange: Exchange) -> None:
        """Answer a page of a run's items, as far as it has come."""
        query = read_query(exchange, LISTED_BY)
        page, status = page_of(query), choice_of(query, "status", tuple(FILTERS))
        run = await self._context.run_of(exchange)
        got = await self._served.call(self._items.page, run, page, status)
        exchange.log_fields["items"] = len(got.data)
        await answer(exchange, list_page(got.data, has_more=got.has_more))

    async def retrieve(self, exchange: Exchange) -> None:
        """Answer one item of a run."""
        read_query(exchange)
        run = await self._context.run_of(exchange)
        item_id = exchange.path_parameters["item_id"]
        exchange.log_fields["item_id"] = item_id[:QUOTED_CHARS]
        item = await self._served.call(self._items.get, run, item_id)
        await answer(exchange, found("output item", item_id, item))
