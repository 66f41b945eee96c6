"""The routes of models."""

from __future__ import annotations

from graders_engine.server.models import description
from graders_engine.server.models.chat import ChatHandler
from graders_engine.server.models.context import NAME, Context, refusing
from graders_engine.server.models.handlers import ModelHandlers
from graders_engine.server.models.permissions import PERMISSION_ID, PermissionHandlers
from graders_engine.server.routes import Body, Handler, Operation, Route

CHAT = "/chat/completions"
DEPLOYED_CHAT = f"/openai/deployments/{{{NAME}}}{CHAT}"
"""Where Azure's clients ask a model."""
MODEL = f"/models/{{{NAME}}}"
PERMISSIONS = f"/fine_tuning/checkpoints/{{{NAME}}}/permissions"


def model_routes(context: Context, chat: ChatHandler) -> list[Route]:
    """The entries of the table of routes.

    Args:
        context: what their handlers need.
        chat: handles chat completions.
    """
    models, permissions = ModelHandlers(context), PermissionHandlers(context)

    def entry(
        method: str, pattern: str, handler: Handler, operation: Operation | None = None
    ) -> Route:
        return Route(
            method,
            pattern,
            refusing(handler),
            body=Body.JSON if method == "POST" else Body.NONE,
            versioned=pattern != DEPLOYED_CHAT,
            operation=operation,
            with_slashes=(NAME,),
        )

    permission = f"{PERMISSIONS}/{{{PERMISSION_ID}}}"
    return [
        entry("GET", "/models", models.list, description.LIST_MODELS),
        entry("GET", MODEL, models.retrieve, description.RETRIEVE_MODEL),
        entry("DELETE", MODEL, models.delete, description.DELETE_MODEL),
        entry("POST", CHAT, chat.create, description.CREATE_CHAT),
        entry("POST", DEPLOYED_CHAT, chat.create),
        entry("GET", PERMISSIONS, permissions.list, description.LIST_PERMISSIONS),
        entry("POST", PERMISSIONS, permissions.create, description.CREATE_PERMISSIONS),
        entry("DELETE", permission, permissions.delete, description.DELETE_PERMISSION),
    ]
