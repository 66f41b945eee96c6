"""The models that graders name, some of which are answered on this machine."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

import msgspec

from graders_engine.errors import BackendFailure, GradersError, RunStopped, UnavailableGrader
from graders_engine.models.base import ModelBackend, ModelReply, ModelRequest
from graders_engine.models.local.source import LocalModel, LocalSource, is_made_here
from graders_engine.models.policies import Policy
from graders_engine.models.rate_limiter import RateLimiter
from graders_engine.models.retry import RetryPolicy

if TYPE_CHECKING:
    from graders_engine.models.judges import JudgeRegistry

_log = logging.getLogger("graders_engine")

CONCURRENCY = 4
"""Requests in flight at once: one process answers them all."""
BUSY_S = 1_800.0
"""How long a request waits while the process is busy: with another model, or with a job."""
_ATTEMPTS, _WAIT_MAX_S = 10_000, 5.0
_NOT_TAKEN = {
    "reasoning_effort": "`reasoning_effort`",
    "image": "images",
    "audio": "audio",
}
"""What requests to other judges may have, and how it is called."""


def patient(retry: RetryPolicy) -> RetryPolicy:
    """How a busy model of this machine is asked again: it is busy until another request has ended."""
    return dataclasses.replace(
        retry,
        attempts=max(retry.attempts, _ATTEMPTS),
        total_s=max(retry.total_s, BUSY_S),
        wait_max_s=min(retry.wait_max_s, _WAIT_MAX_S),
    )


class LocalJudges:
    """A registry's judges, and the models of this machine as one project may use them.

    Args:
        registry: has the endpoints, and the policies.
        source: the models of this machine.

    Attributes:
        repeats: how often a judge is asked for each row.
    """

    def __init__(self, registry: JudgeRegistry, source: LocalSource) -> None:
        self.repeats = registry.repeats
        self._registry, self._source = registry, source
        self._asked: ModelBackend | None = None
        self._found: dict[str, ModelBackend] = {}

    def find(self, model: str, needs: Collection[str] = ()) -> ModelBackend:
        """What answers for a model that a grader names. Args and Raises: as `JudgeRegistry.find`."""
        if self._registry.settings.replay or not self._source.is_local(model):
            return self._registry.find_elsewhere(model)
        found = self._source.find(model)
        if found is None:
            raise UnavailableGrader(is_not_here(model))
        if refused := [text for key, text in _NOT_TAKEN.items() if key in needs]:
            raise UnavailableGrader(_takes_none(model, refused))
        if model not in self._found:
            if self._source.is_base(model) and self._registry.has_other(model):
                _log.warning("%s", _not_the_endpoint(model))
            self._found[model] = self._registry.watched(_Current(self._chain(), model, self, found))
        return self._found[model]

    async def now(self, model: str) -> LocalModel:
        """A model as it is now.

        Raises:
            RunStopped: it is not here any more, or may not be used any more.
            BackendFailure: nobody can say it now.
        """
        try:
            found = await asyncio.to_thread(self._source.find, model)
        except UnavailableGrader as error:
            raise RunStopped(str(error)) from None
        except GradersError as error:  # of the store
            raise BackendFailure(f"{model}: {error}", cause="busy") from error
        if found is None:
            raise RunStopped(f"{is_not_here(model)} Before, it could.")
        return found

    def _chain(self) -> ModelBackend:
        """The policies around what answers, made once."""
        if self._asked is None:
            settings = self._registry.settings
            self._asked = self._registry.with_policies(
                self._source.open(),
                retry=patient(settings.retry),
                concurrency=min(CONCURRENCY, settings.concurrency),
                limiter=RateLimiter(adaptive=False),
                target="a model of this machine",
            )
        return self._asked

    async def close(self) -> None:
        """Release what was opened."""
        if self._asked is not None:
            await self._asked.close()


class _Current(Policy):
    """Asks for a model with the weights that it has now, if it may still be used.

    The weights' identity is part of the request, and so of a kept reply's key.
    """

    def __init__(
        self, backend: ModelBackend, model: str, judges: LocalJudges, found: LocalModel
    ) -> None:
        super().__init__(backend, f"{model}, on this machine, weights {found.identity}")
        self._model, self._judges = model, judges

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask with the weights of now.

        Raises:
            RunStopped: the model is gone, or may not be used any more.
        """
        found = await self._judges.now(self._model)
        return await self.backend.complete(msgspec.structs.replace(request, weights=found.identity))

    async def close(self) -> None:
        """Does nothing: what it wraps is shared."""


def is_not_here(model: str) -> str:
    """That there is no such model, or that it may not be used: which of the two is nobody else's business."""
    if is_made_here(model):
        return f"The model '{model}' does not exist, or this project may not use it."
    return f"The model '{model}' of [base_models] in graders.toml is not there."


def _takes_none(model: str, refused: Collection[str]) -> str:
    return (
        f"The model '{model}' is answered on this machine, where none takes {' or '.join(refused)}: "
        "leave it out of the grader, or name another model."
    )


def _not_the_endpoint(model: str) -> str:
    return (
        f"'{model}' is answered on this machine, by the model of this name in [base_models] of graders.toml, "
        f'not by an endpoint; to ask one, name it there: [models] "{model}" = "MODEL@ENDPOINT"'
    )
