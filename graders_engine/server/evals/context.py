"""What the handlers of the Evals API have in common: the store, and how its errors are answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from graders_engine.engine import AsyncEngine
from graders_engine.errors import Mistake
from graders_engine.evals.creating import QueueFull
from graders_engine.evals.requests.fields import InvalidBody
from graders_engine.evals.wire import encoded
from graders_engine.graders import mistakes
from graders_engine.language import strict_json
from graders_engine.server.evals.repeats import Creations
from graders_engine.server.exchange import Exchange
from graders_engine.server.responses import NO_RETRY, Refused
from graders_engine.server.routes import Handler
from graders_engine.storage.errors import StoreError, UnknownCursor
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store

QUOTED_CHARS = 80
"""So much of an id that does not exist is quoted."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """What handlers need.

    Attributes:
        store: files, evals and runs.
        project_of: whose request it is.
        engine: says whether graders can run here.
        wake: called when runs wait, or are to stop.
        creations: finds what a repeated request has made before.
    """

    store: Store
    project_of: Callable[[Exchange], str]
    engine: AsyncEngine
    wake: Callable[[], None]
    creations: Creations = field(default_factory=Creations)

    async def eval_of(self, exchange: Exchange) -> StoredEval:
        """The eval in a request's path.

        Raises:
            Refused: there is none in the caller's project.
        """
        eval_id = exchange.path_parameters["eval_id"]
        exchange.log_fields["eval_id"] = eval_id[:QUOTED_CHARS]
        project = self.project_of(exchange)
        return found("eval", eval_id, await in_thread(self.store.evals.get, project, eval_id))

    async def run_of(self, exchange: Exchange) -> StoredRun:
        """The run in a request's path.

        Raises:
            Refused: there is none in the caller's project, or its eval is another one.
        """
        eval_id, run_id = (exchange.path_parameters[key] for key in ("eval_id", "run_id"))
        exchange.log_fields |= {
            "eval_id": eval_id[:QUOTED_CHARS],
            "run_id": run_id[:QUOTED_CHARS],
        }
        project = self.project_of(exchange)
        stored = await in_thread(self.store.runs.get, project, eval_id, run_id)
        return found("run", run_id, stored)


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """What a function of the store gives; it waits for the disk, which the event loop must not."""
    return await asyncio.to_thread(function, *args)


def found(what: str, object_id: str, stored: T | None) -> T:
    """An object that was looked up.

    Raises:
        Refused: there is none.
    """
    if stored is None:
        raise Refused(
            404, Mistake(f"There is no {what} '{object_id[:QUOTED_CHARS]}'.", code="not_found")
        )
    return stored


def seconds() -> int:
    """The time, in whole seconds since 1970."""
    return int(time.time())


def decoded(body: bytes) -> Any:
    """The JSON values of a body.

    Raises:
        Refused: it is not JSON.
    """
    try:
        return strict_json.decode(body)
    except ValueError as error:
        raise Refused(400, mistakes.unreadable_json(body, error)) from None


async def answer(exchange: Exchange, value: Mapping[str, Any]) -> None:
    """Answer with an object."""
    await exchange.respond(200, encoded(value))


def refusing(handler: Handler) -> Handler:
    """A handler whose exceptions are answered with the API's error objects."""

    async def handled(exchange: Exchange) -> None:
        try:
            await handler(exchange)
        except InvalidBody as error:
            raise Refused(400, error.mistakes[0]) from None
        except UnknownCursor as error:
            raise Refused(400, Mistake(str(error), "after", "invalid_value")) from None
        except QueueFull as error:
            raise Refused(429, Mistake(str(error), code="queue_full"), NO_RETRY) from None
        except StoreError as error:
            raise Refused(500, Mistake(str(error), code="storage_error"), NO_RETRY) from None

    return handled
