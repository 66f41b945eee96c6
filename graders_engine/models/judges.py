"""From a grader's model name to what answers for it: endpoints, the model map, the policies round them."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from graders_engine.errors import InvalidRequest, UnavailableGrader
from graders_engine.models.base import ModelBackend, ModelReply, ModelRequest
from graders_engine.models.http import RetryPolicy

if TYPE_CHECKING:
    from graders_engine.models.cache import ReplyStore
    from graders_engine.models.config import Config
    from graders_engine.models.openai import EndpointSettings
    from graders_engine.models.policies import Budget, Observer, Price
    from graders_engine.models.recorded import Recorded, Transcript

DEFAULT = "default"
"""The endpoint for models that are not mapped to another one."""
DEFAULT_CONCURRENCY = 64
"""Requests in flight at once to one endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    """How judges are asked.

    Attributes:
        endpoints: by name, an address or a backend; `default` is for models that are not mapped.
        models: from a grader's model name to "MODEL@ENDPOINT"; the key "*" stands for every other name.
        prices: by the model's name at its endpoint, per million tokens.
        config: a graders.toml with the same three; what is given here comes first.
        concurrency: requests in flight at once to one endpoint.
        requests_per_minute: to one endpoint, at most.
        tokens_per_minute: likewise.
        adaptive: whether an endpoint's refusals (429, 503) set the pace.
        retry: how long and how often one request is tried.
        cache: a file that keeps replies; None keeps none.
        record: a folder to write each request and its reply to.
        replay: a folder that `record` wrote: replies come from there, and from nowhere else.
        max_cost: money that may be spent, in the prices' unit.
        max_tokens: tokens that may be spent.
        repeats: how often a judge is asked for each row: the reward is the median, or the majority's.
    """

    endpoints: Mapping[str, str | ModelBackend] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)
    config: Path | str | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    adaptive: bool = True
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    cache: Path | str | None = None
    record: Path | str | None = None
    replay: Path | str | None = None
    max_cost: float | None = None
    max_tokens: int | None = None
    repeats: int = 1


class Judge:
    """Answers for one model name of a grader.

    Attributes:
        signature: the model that is asked, and where.
    """

    def __init__(self, backend: ModelBackend, signature: str) -> None:
        self._backend = backend
        self.signature = signature

    async def ask(self, request: ModelRequest) -> ModelReply:
        """The judge's reply.

        Raises:
            BackendFailure: there is none.
            BudgetSpent: the budget is used up.
        """
        return await self._backend.complete(request)


class JudgeRegistry:
    """Finds and keeps what answers. Nothing is opened or imported before the first grader needs it.

    Args:
        judging: how they are asked.
        observer: told of each request to a judge and its reply.

    Raises:
        InvalidRequest: graders.toml cannot be used, or a setting contradicts another.
    """

    def __init__(self, judging: JudgeSettings, observer: Observer | None = None) -> None:
        if judging.repeats < 1:
            raise InvalidRequest(f"A judge is asked at least once, not {judging.repeats} times.")
        if judging.record and judging.replay:
            raise InvalidRequest("Replies are either recorded or replayed, not both at once.")
        self.judging = judging
        self.repeats = judging.repeats
        self._observer = observer
        self._config: Config | None = None
        self._endpoints: dict[str, ModelBackend] = {}
        self._judges: dict[str, Judge] = {}
        self._store: ReplyStore | None = None
        self._budget: Budget | None = None
        self._replayed: Recorded | None = None
        self._transcript: Transcript | None = None

    def find(self, model: str) -> Judge:
        """What answers for a model that a grader names.

        Raises:
            UnavailableGrader: nothing does; it says how to map the name.
            InvalidRequest: graders.toml or another setting cannot be used.
        """
        if model not in self._judges:
            self._judges[model] = self._found(model)
        return self._judges[model]

    def _found(self, model: str) -> Judge:
        from graders_engine.models.policies import Observed

        if self.judging.replay:
            backend: ModelBackend = self._recorded()
            signature = f"{model}, replayed"
        else:
            name, endpoint = self._mapped(model)
            inner = self._endpoint(endpoint, model)
            self._check_price(name)
            signature = f"{name}, {inner.signature}"
            backend = self._recording(_Named(inner, name))
        if self._observer is not None:
            backend = Observed(backend, self._observer)
        return Judge(backend, signature)

    def _mapped(self, model: str) -> tuple[str, str]:
        """The model's name at an endpoint, and the endpoint's name."""
        maps = (self.judging.models, self._read_config().models)
        targets = (of.get(model) or of.get("*") for of in maps)
        target = next(filter(None, targets), model)
        name, at, endpoint = target.rpartition("@")
        # A name may hold an @ itself: what follows is an endpoint only if the map put it there.
        if not at or target == model:
            return target, DEFAULT
        return name, endpoint

    def _read_config(self) -> Config:
        if self._config is None:
            from graders_engine.models.config import Config, read_config

            path = self.judging.config
            self._config = Config() if path is None else read_config(Path(path))
        return self._config

    def _endpoint(self, name: str, model: str) -> ModelBackend:
        if name not in self._endpoints:
            self._endpoints[name] = self._wrapped(self._opened(name, model))
        return self._endpoints[name]

    def _opened(self, name: str, model: str) -> tuple[ModelBackend, EndpointSettings | None]:
        given = self.judging.endpoints.get(name)
        if given is not None and not isinstance(given, str):
            return given, None
        from graders_engine.models.openai import EndpointSettings, OpenAIBackend

        settings = self._read_config().endpoints.get(name)
        try:
            if given is not None:
                settings = dataclasses.replace(settings or EndpointSettings(), base_url=given)
            elif settings is None and name == DEFAULT and os.environ.get("OPENAI_BASE_URL"):
                settings = EndpointSettings(base_url=os.environ["OPENAI_BASE_URL"])
            elif settings is None and name == DEFAULT and os.environ.get("OPENAI_API_KEY"):
                settings = EndpointSettings()
        except ValueError as error:
            raise InvalidRequest(f"The judges' endpoint: {error}.") from None
        if settings is None:
            raise UnavailableGrader(self._how_to_map(name, model))
        return OpenAIBackend(settings, retry=self.judging.retry), settings

    def _how_to_map(self, endpoint: str, model: str) -> str:
        known = sorted({*self.judging.endpoints, *self._read_config().endpoints})
        if endpoint != DEFAULT:
            there = ", ".join(known) or "none"
            return (
                f"The model '{model}' is mapped to the endpoint '{endpoint}', which is not there "
                f"(there are: {there}). Define it in graders.toml: [endpoints.{endpoint}] base_url = ..."
            )
        return (
            f"The judge '{model}' has no endpoint. Name one that has this model with OPENAI_BASE_URL (and "
            "OPENAI_API_KEY), --base-url or JudgeSettings(endpoints=...), or map the name to a model that is "
            f'there: --map {model}=MODEL, or in graders.toml [models] "{model}" = "MODEL@ENDPOINT".'
        )

    def _wrapped(self, opened: tuple[ModelBackend, EndpointSettings | None]) -> ModelBackend:
        """The endpoint with the policies round it; the cache is the outermost."""
        from graders_engine.models.policies import Budgeted, Coalesced, Limited, Retrying
        from graders_engine.models.rate_limiter import RateLimiter

        backend, own = opened
        judging = self.judging
        pace = RateLimiter(
            (own and own.requests_per_minute) or judging.requests_per_minute,
            (own and own.tokens_per_minute) or judging.tokens_per_minute,
            adaptive=judging.adaptive,
        )
        limited = Limited(backend, (own and own.concurrency) or judging.concurrency, pace)
        wrapped: ModelBackend = Retrying(limited, judging.retry)
        wrapped = Coalesced(Budgeted(wrapped, self._shared_budget()))
        if judging.cache is None:
            return wrapped
        from graders_engine.models.cache import Cached, ReplyStore

        if self._store is None:
            self._store = ReplyStore(Path(judging.cache))
        return Cached(wrapped, self._store)

    def _shared_budget(self) -> Budget:
        from graders_engine.models.policies import Budget

        if self._budget is None:
            judging = self.judging
            self._budget = Budget(judging.max_cost, judging.max_tokens, self.prices())
        return self._budget

    def prices(self) -> dict[str, Price]:
        """What models cost, by their names at their endpoints."""
        return {**self._read_config().prices, **self.judging.prices}

    def _check_price(self, name: str) -> None:
        if self.judging.max_cost is not None and name not in self.prices():
            raise UnavailableGrader(
                f"A budget in money needs the price of '{name}': [prices.\"{name}\"] input = ..., "
                "output = ... in graders.toml, per million tokens; or limit the tokens instead."
            )

    def _recorded(self) -> Recorded:
        from graders_engine.models.recorded import Recorded

        if self._replayed is None:
            self._replayed = Recorded(Path(self.judging.replay or ""))
        return self._replayed

    def _recording(self, backend: ModelBackend) -> ModelBackend:
        from graders_engine.models.recorded import Recording, Transcript

        if not self.judging.record:
            return backend
        if self._transcript is None:
            self._transcript = Transcript(Path(self.judging.record))
        return Recording(backend, self._transcript)

    def spent(self) -> dict[str, Any]:
        """What was spent so far, cached replies apart: `tokens`, and `cost` where prices are known."""
        if self._budget is None:
            return {"tokens": 0, "cost": 0.0}
        return {"tokens": self._budget.tokens, "cost": self._budget.cost}

    async def close(self) -> None:
        """Give back what was opened."""
        await asyncio.gather(*(backend.close() for backend in self._endpoints.values()))
        if self._transcript is not None:
            self._transcript.close()
        if self._store is not None:
            self._store.close()


class _Named:
    """Asks under the name that the endpoint knows the model by."""

    def __init__(self, backend: ModelBackend, name: str) -> None:
        self._backend, self._name = backend, name
        self.signature = backend.signature

    async def complete(self, request: ModelRequest) -> ModelReply:
        return await self._backend.complete(msgspec.structs.replace(request, model=self._name))

    async def close(self) -> None:
        await self._backend.close()
