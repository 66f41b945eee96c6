"""The handlers of models: which there are, and how one is deleted."""

from __future__ import annotations

from typing import Any

from graders_engine.errors import Mistake
from graders_engine.inference.names import ModelRow, listed_models
from graders_engine.jobs.states import ENDS
from graders_engine.server.evals.context import answer
from graders_engine.server.exchange import Exchange
from graders_engine.server.models.context import NAME, Context, named, unknown_model
from graders_engine.server.responses import Refused
from graders_engine.server.store.query import read_query


class ModelHandlers:
    """Handles the requests for models.

    Args:
        context: what handlers need.
    """

    def __init__(self, context: Context) -> None:
        self._context, self._served = context, context.served

    async def retrieve(self, exchange: Exchange) -> None:
        """Answer a model that the caller may ask.

        Raises:
            Refused: there is none of this name.
        """
        read_query(exchange)
        name = named(exchange)
        for row in await self._listed(exchange):
            if row.name == name:
                await answer(exchange, _object(row))
                return
        raise unknown_model(name)

    async def _listed(self, exchange: Exchange) -> list[ModelRow]:
        context = self._context
        return await self._served.call(
            listed_models, self._served.store, context.base_models, exchange.project
        )

    async def list(self, exchange: Exchange) -> None:
        """Answer all models that the caller may ask."""
        read_query(exchange)
        data = [*map(_object, await self._listed(exchange))]
        await answer(exchange, {"object": "list", "data": data})

    async def delete(self, exchange: Exchange) -> None:
        """Delete the weights of a tuned model, and end its permissions.

        Raises:
            Refused: there is no such model; it is not one of the caller's own; or its job has not ended.
        """
        read_query(exchange)
        name = named(exchange)
        if name in self._context.base_models:
            message = "A base model cannot be deleted: graders.toml names it."
            raise Refused(400, Mistake(message, NAME, "invalid_value"))
        project = None if self._context.is_admin(exchange) else exchange.project
        if not await self._served.call(self._delete, name, project, exchange.project):
            raise unknown_model(name)
        await answer(exchange, {"id": name, "object": "model", "deleted": True})

    def _delete(self, name: str, project: str | None, asking: str) -> bool:
        """Delete a model; whether there was one that this project knows of.

        Args:
            name: of the model.
            project: whose it must be; None for any.
            asking: the project that asks.

        Raises:
            Refused: it is another one's, or its job has not ended.
        """
        models = self._served.store.models
        if models.delete(name, project, ENDS) is not None:
            return True
        own = models.owned(name, project)
        if own is not None:
            message = (
                f"The job {own.job_id} of this model is {own.status}: its weights can be deleted when it has "
                "ended."
            )
            raise Refused(400, Mistake(message, NAME, "invalid_state"))
        if models.find(asking, name) is not None:
            message = (
                "The model is shared with this project: only the project of its job can delete it."
            )
            raise Refused(403, Mistake(message, NAME, "model_not_owned"))
        return False


def _object(row: ModelRow) -> dict[str, Any]:
    return {"id": row.name, "object": "model", "created": row.created, "owned_by": row.owned_by}
