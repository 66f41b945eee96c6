"""What a server does beside requests for models: it keeps what asks them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from graders_engine.inference.client import LocalModels
from graders_engine.inference.options import options_of
from graders_engine.inference.place import FOLDER
from graders_engine.models.config import Config
from graders_engine.server.models.chat import ChatHandler
from graders_engine.server.models.context import Context
from graders_engine.server.models.routes import model_routes
from graders_engine.server.routes import Route
from graders_engine.server.settings import ServerSettings
from graders_engine.server.store.keys import Keys
from graders_engine.server.store.served import ServedStore
from graders_engine.server.telemetry import ServerMetrics


def models_of(
    served: ServedStore, metrics: ServerMetrics, config: Config, settings: ServerSettings
) -> tuple[list[Route], Sequence[AbstractAsyncContextManager[object]]]:
    """The routes of models, and what is open while the application lives.

    Args:
        served: jobs, their models, and permissions.
        metrics: counts.
        config: what graders.toml says.
        settings: of the server.
    """
    models = LocalModels(served.store.folder / FOLDER, options_of(config))
    keys = Keys(settings.api_key, settings.projects, settings.admin_key)
    context = Context(served, config.base_models, models, settings, keys)
    tokens = metrics.add_counter(
        "graders_model_tokens", "Tokens of chats that models of this server answered.", "kind"
    )
    return model_routes(context, ChatHandler(context, tokens)), [_open(models)]


@contextlib.asynccontextmanager
async def _open(models: LocalModels) -> AsyncIterator[None]:
    """While the block runs, models can be asked; the process that answers outlives it."""
    try:
        yield
    finally:
        await models.aclose()
