"""What the handlers of the Evals API have in common: the store, and how its errors are answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from graders_engine.body_fields import InvalidBody
from graders_engine.engine import AsyncEngine
from graders_engine.errors import Mistake
from graders_engine.evals.creating import QueueFull
from graders_engine.evals.requests.item_check import ChecksBusy
from graders_engine.evals.wire import encoded
from graders_engine.graders import mistakes
from graders_engine.language import strict_json
from graders_engine.models.local.source import LocalSource
from graders_engine.server.evals.repeats import Creations
from graders_engine.server.exchange import Exchange
from graders_engine.server.responses import NO_RETRY, Refused
from graders_engine.server.routes import Handler
from graders_engine.server.store.served import ServedStore
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.runs import StoredRun

QUOTED_CHARS = 80
"""So much of an id that does not exist is quoted."""
MAX_EVAL_BYTES = 4 << 20
"""Longest body of a request that makes or changes an eval."""
MAX_EVAL_VALUES = 1 << 18
"""Most commas in it: decoding it holds up the server."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """What handlers need.

    Attributes:
        served: files, evals and runs.
        engine: says whether graders can run here.
        wake: called when runs wait, or are to stop.
        local: the models of this machine, as a project may use them.
        creations: finds what a repeated request has made before.
    """

    served: ServedStore
    engine: AsyncEngine
    wake: Callable[[], None]
    local: Callable[[str], LocalSource]
    creations: Creations = field(default_factory=Creations)

    async def eval_of(self, exchange: Exchange) -> StoredEval:
        """The eval in a request's path.

        Raises:
            Refused: there is none in the caller's project.
        """
        eval_id = exchange.path_parameters["eval_id"]
        exchange.log_fields["eval_id"] = eval_id[:QUOTED_CHARS]
        get = self.served.store.evals.get
        return found("eval", eval_id, await self.served.call(get, exchange.project, eval_id))

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
        get = self.served.store.runs.get
        stored = await self.served.call(get, exchange.project, eval_id, run_id)
        return found("run", run_id, stored)


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


def decoded(body: bytes, what: str = "an eval", advice: str = "Rows belong into its runs.") -> Any:
    """The JSON values of the body of a request that makes or changes an eval, or a job.

    Args:
        body: of the request.
        what: it makes.
        advice: for a longer one.

    Raises:
        Refused: it is not JSON, or holds too much.
    """
    if len(body) > MAX_EVAL_BYTES or body.count(b",") > MAX_EVAL_VALUES:
        message = (
            f"The body has {len(body)} bytes and {body.count(b',')} commas; {what} may have at most "
            f"{MAX_EVAL_BYTES} bytes and {MAX_EVAL_VALUES} commas. {advice}"
        )
        raise Refused(413, Mistake(message, code="body_too_large"))
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
        except (QueueFull, ChecksBusy) as error:
            raise Refused(429, Mistake(str(error), code="queue_full"), NO_RETRY) from None

    return handled
