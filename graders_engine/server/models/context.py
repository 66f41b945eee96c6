"""What the handlers of models have in common: the store, who asks, and how errors are answered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from graders_engine.body_fields import InvalidBody
from graders_engine.errors import Mistake
from graders_engine.files import without_paths
from graders_engine.inference.client import LocalModels
from graders_engine.inference.errors import ModelBusy, ModelLost, ModelUnavailable
from graders_engine.inference.names import NotDownloaded
from graders_engine.models.tables.training import BaseModel
from graders_engine.server.evals.context import QUOTED_CHARS
from graders_engine.server.exchange import Exchange
from graders_engine.server.responses import NO_RETRY, Refused
from graders_engine.server.routes import Handler
from graders_engine.server.settings import ServerSettings
from graders_engine.server.store.keys import Keys
from graders_engine.server.store.served import ServedStore
from graders_engine.storage.ids import DEFAULT_PROJECT

NAME = "model"
"""The name of a model in the patterns of paths."""
BUSY_S = 2
"""How soon a client may ask a busy model again."""
_NO_ADMIN_KEY = (
    "This server has no admin key, and other projects or machines can reach it: start it with --admin-key or "
    "GRADERS_ADMIN_KEY."
)
_OTHER_KEY = (
    "Permissions are the administrator's: send the key that --admin-key or GRADERS_ADMIN_KEY names."
)


@dataclass(frozen=True, slots=True)
class Context:
    """What handlers need.

    Attributes:
        served: jobs, their models, and permissions.
        base_models: of graders.toml.
        models: asks them.
        settings: of the server.
        keys: tell the administrator.
    """

    served: ServedStore
    base_models: Mapping[str, BaseModel]
    models: LocalModels
    settings: ServerSettings
    keys: Keys

    @property
    def projects(self) -> Collection[str]:
        """All that there are."""
        return (DEFAULT_PROJECT, *self.settings.projects)

    def is_admin(self, exchange: Exchange) -> bool:
        """Whether a request is the administrator's."""
        return self.settings.is_admins or self.keys.is_admin(exchange.headers)

    def require_admin(self, exchange: Exchange) -> None:
        """Let the administrator pass alone.

        Raises:
            Refused: the request is somebody else's.
        """
        if not self.is_admin(exchange):
            message = _OTHER_KEY if self.settings.admin_key is not None else _NO_ADMIN_KEY
            raise Refused(403, Mistake(message, code="admin_key_required"))


def named(exchange: Exchange) -> str:
    """The name of the model in a request's path."""
    name = exchange.path_parameters[NAME]
    exchange.log_fields[NAME] = name[:QUOTED_CHARS]
    return name


def unknown_model(name: str) -> Refused:
    """The answer for a name that is no model's, or one that the caller may not ask: the same for both."""
    message = f"The model '{name[:QUOTED_CHARS]}' does not exist or you do not have access to it."
    return Refused(404, Mistake(message, NAME, "model_not_found"))


def refused_of(error: Exception) -> Refused | None:
    """The answer in place of one of a model that did not come; None for other errors."""
    if isinstance(error, InvalidBody):
        return Refused(400, error.mistakes[0])
    if isinstance(error, ModelBusy):
        wait = {"retry-after": str(BUSY_S)}
        return Refused(429, Mistake(str(error), code="model_busy"), wait)
    if isinstance(error, NotDownloaded):
        return Refused(503, Mistake(str(error), NAME, "model_not_downloaded"), NO_RETRY)
    if isinstance(error, ModelLost):
        return Refused(503, Mistake(str(error), code="model_lost"))
    if isinstance(error, ModelUnavailable):
        message = without_paths(str(error))  # that of a Python may be in it
        return Refused(500, Mistake(message, code="model_unavailable"), NO_RETRY)
    return None


def refusing(handler: Handler) -> Handler:
    """A handler whose exceptions are answered with the API's error objects."""

    async def handled(exchange: Exchange) -> None:
        try:
            await handler(exchange)
        except Exception as error:
            refused = refused_of(error)
            if refused is None:
                raise
            raise refused from None

    return handled
