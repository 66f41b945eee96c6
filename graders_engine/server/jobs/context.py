"""What the handlers of fine-tuning jobs have in common: the store, and what can be trained here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from graders_engine.body_fields import InvalidBody
from graders_engine.engine import AsyncEngine
from graders_engine.errors import InvalidGrader, Mistake, UnavailableGrader
from graders_engine.evals.requests.criteria import moved
from graders_engine.jobs.creating import JobQueueFull
from graders_engine.jobs.models.base_models import ModelRefused, find_model, trainable
from graders_engine.jobs.models.machine import memory
from graders_engine.jobs.requests.request import GRADER, NewJob
from graders_engine.jobs.training_python import has_package
from graders_engine.models.config import Config
from graders_engine.models.local.source import LocalSource
from graders_engine.server.evals.context import QUOTED_CHARS, found
from graders_engine.server.evals.repeats import Creations
from graders_engine.server.exchange import Exchange
from graders_engine.server.responses import NO_RETRY, Refused
from graders_engine.server.routes import Handler
from graders_engine.server.store.served import ServedStore
from graders_engine.storage.jobs import StoredJob
from graders_engine.version import how_to_install


@dataclass(frozen=True, slots=True)
class Context:
    """What handlers need.

    Attributes:
        served: files and jobs.
        engine: says whether a grader can run here.
        config: what graders.toml says.
        wake: called when a job is new, or was paused, resumed or cancelled.
        local: the models of this machine, as a project may use them.
        creations: finds what a repeated request has made before.
    """

    served: ServedStore
    engine: AsyncEngine
    config: Config
    wake: Callable[[], None]
    local: Callable[[str], LocalSource]
    creations: Creations = field(default_factory=Creations)

    async def job_of(self, exchange: Exchange) -> StoredJob:
        """The job in a request's path.

        Raises:
            Refused: there is none in the caller's project.
        """
        job_id = exchange.path_parameters["job_id"]
        exchange.log_fields["job_id"] = job_id[:QUOTED_CHARS]
        get = self.served.store.jobs.get
        return found("job", job_id, await self.served.call(get, exchange.project, job_id))

    def require_trainable(self, new: NewJob, project: str) -> None:
        """Refuse a job of a project that could not be trained here; to be called in a thread.

        Raises:
            InvalidBody: its grader has a mistake.
            Refused: its model is not in graders.toml, or too large; its grader cannot run; or it sends its
                metrics to a service whose package is not installed.
        """
        base = find_model(self.config.base_models, new.model, new.method)
        if base.path:  # what is downloaded first is looked at when it is here
            trainable(new.model, base, Path(base.path), new.method, memory())
        if new.grader is not None:
            try:
                local = self.local(project)
                self.engine.compile(new.grader, local=local).require_runnable()
            except InvalidGrader as error:  # such as a template: the engine says how they are read
                raise InvalidBody([moved(one, GRADER) for one in error.mistakes]) from None
            except UnavailableGrader as error:
                raise Refused(400, Mistake(str(error), GRADER, "grader_not_available")) from None
        if new.wandb is not None and not has_package(self.config.training.python, "wandb"):
            message = (
                f"Weights & Biases is not installed here: {how_to_install('wandb')}, or leave "
                "`integrations` out."
            )
            raise Refused(400, Mistake(message, "integrations", "integration_not_available"))


def refusing(handler: Handler) -> Handler:
    """A handler whose exceptions are answered with the API's error objects."""

    async def handled(exchange: Exchange) -> None:
        try:
            await handler(exchange)
        except InvalidBody as error:
            raise Refused(400, error.mistakes[0]) from None
        except ModelRefused as error:
            raise Refused(400, error.mistake) from None
        except JobQueueFull as error:
            raise Refused(429, Mistake(str(error), code="queue_full"), NO_RETRY) from None

    return handled
