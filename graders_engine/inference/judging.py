"""The models of a store as judges and as the models of runs, as one project may use them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from graders_engine.errors import (
    BackendBusy,
    BackendFailure,
    BackendRejected,
    Mistake,
    RunStopped,
    UnavailableGrader,
)
from graders_engine.inference.client import LocalModels
from graders_engine.inference.errors import InvalidChat, ModelBusy, ModelLost, ModelUnavailable
from graders_engine.inference.gpu import GPU_IS_TAKEN
from graders_engine.inference.names import NotDownloaded, find_served
from graders_engine.inference.options import options_of
from graders_engine.inference.place import FOLDER
from graders_engine.inference.request import read_chat
from graders_engine.inference.served import ServedModel
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.models.config import Config, read_config
from graders_engine.models.dialects.dialect import Dialect
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.local.judges import is_not_here
from graders_engine.models.local.source import is_made_here
from graders_engine.models.openai_wire import CHAT, parse_reply
from graders_engine.models.sampling.answer import sampled_reply
from graders_engine.models.sampling.body import sampling_body
from graders_engine.storage.store import Store

_HERE = "this machine"
_ATTEMPTS = 3
"""Answers that may be lost one after the other, with the process that was to give them."""
_AGAIN_S = 0.5
_ON_ITS_GPU = (
    "The model '{}' would be answered on the GPU that this job trains on. Set device under [inference] in "
    'graders.toml, to "cpu" or to another GPU, or name another judge.'
)
_ALL = Dialect()


class StoreModels:
    """The models of a store, for one project: a source of `models.local`.

    A name of the form that jobs give to their models, and that of a base model, is asked here or nowhere,
    unless a map of models has the very name: "*" in a map does not count.

    Args:
        store: with the jobs and permissions.
        config: what graders.toml says.
        project: that asks.
        mapped: the names in maps of models.
        trains: whether a job of this store asks while it trains.
    """

    def __init__(
        self,
        store: Store,
        config: Config,
        project: str,
        mapped: Collection[str] = (),
        *,
        trains: bool = False,
    ) -> None:
        self.trains = trains
        self._store, self._config, self._project = store, config, project
        self._mapped = frozenset(mapped)

    def is_local(self, name: str) -> bool:
        """Whether a model of this name is asked here or nowhere."""
        return (is_made_here(name) or self.is_base(name)) and name not in self._mapped

    def is_base(self, name: str) -> bool:
        """Whether it is the name of a base model of graders.toml."""
        return name in self._config.base_models

    def find(self, name: str) -> ServedModel | None:
        """The model of a name, as it is now; None where it is not there, or the project may not use it.

        Raises:
            UnavailableGrader: it was never downloaded.
            StoreError: the store cannot be read.
        """
        try:
            return find_served(self._store, self._config.base_models, self._project, name)
        except NotDownloaded as error:
            raise UnavailableGrader(str(error)) from None

    def open(self) -> StoreBackend:
        """What answers, once for each attempt."""
        folder = self._store.folder.absolute() / FOLDER
        return StoreBackend(self, LocalModels(folder, options_of(self._config)))


class Projects:
    """The models of a store, for each project that asks.

    Args:
        store: with the jobs and permissions.
        settings: how judges are asked.
        trains: whether a job of this store asks while it trains.

    Raises:
        InvalidRequest: graders.toml cannot be read.
    """

    def __init__(self, store: Store, settings: JudgeSettings, *, trains: bool = False) -> None:
        self._trains = trains
        path = settings.config
        self._config = Config() if path is None else read_config(Path(path))
        self._store, self._mapped = store, {*self._config.models, *settings.models}
        self._made: dict[str, StoreModels] = {}

    def of(self, project: str) -> StoreModels:
        """The models of one project; always the same object."""
        if project not in self._made:
            self._made[project] = StoreModels(
                self._store, self._config, project, self._mapped, trains=self._trains
            )
        return self._made[project]


class StoreBackend:
    """Asks the models of a store; each call is one attempt.

    Args:
        source: finds them.
        models: asks them.
    """

    signature = _HERE

    def __init__(self, source: StoreModels, models: LocalModels) -> None:
        self._source, self._models = source, models

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask a model, with the weights that the request names.

        Raises:
            RunStopped: it is not here any more, or may not be used any more.
            BackendBusy: another attempt may succeed.
            BackendRejected: it takes no such request.
            BackendFailure: it cannot answer.
        """
        served = await asyncio.to_thread(self._source.find, request.model)
        if served is None:
            raise RunStopped(is_not_here(request.model))
        if served.identity != request.weights:
            raise BackendFailure(
                f"{request.model}: its weights were replaced while the request waited"
            )
        body = sampling_body("chat", request) if request.body else CHAT.body(request, _ALL)
        answer = await self._answer(served, body)
        if request.body:
            return sampled_reply("chat", answer, request.model, _HERE)
        reply = parse_reply(CHAT, answer)
        return msgspec.structs.replace(reply, model=reply.model or request.model)

    async def _answer(self, served: ServedModel, body: Mapping[str, Any]) -> dict[str, Any]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._models.complete(served, body)
            except InvalidChat as error:
                raise _rejected(served.name, error) from None
            except ModelBusy as error:
                if self._source.trains and str(error) == GPU_IS_TAKEN:
                    raise RunStopped(_ON_ITS_GPU.format(served.name)) from None
                text = f"{served.name}: {error}"
                raise BackendBusy(text, status=429, cause="busy") from None
            except ModelLost as error:
                if attempt == _ATTEMPTS:
                    text = f"{served.name}: {error} ({_ATTEMPTS} tries)"
                    raise BackendFailure(text, status=503, cause="unavailable") from None
            except ModelUnavailable as error:
                raise BackendFailure(
                    f"{served.name}: {error}", status=503, cause="refused"
                ) from None
            await asyncio.sleep(_AGAIN_S * attempt)
        raise AssertionError("the last attempt raises")

    async def close(self) -> None:
        """Release what asks; the process that answers ends when it is idle."""
        await self._models.aclose()


def _rejected(model: str, error: InvalidChat) -> BackendRejected:
    first = error.mistakes[0]
    return BackendRejected(
        f"{model}: {first.message}", status=400, code=first.code, param=first.param,
        message=first.message,
    )  # fmt: skip


def chat_mistakes(body: Mapping[str, Any]) -> list[Mistake]:
    """What of a sampling's body the models of this machine cannot honour, whatever the messages are.

    Args:
        body: of a chat completion, without its messages.
    """
    try:
        read_chat({**body, "messages": [{"role": "user", "content": "-"}]})
    except InvalidChat as error:
        return list(error.mistakes)
    return []
