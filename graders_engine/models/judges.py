"""From a grader's model name to what answers for it: endpoints, the model map, the policies around them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graders_engine.errors import InvalidRequest, UnavailableGrader
from graders_engine.files import FilesInUse, sqlite_companions
from graders_engine.language.spelling import names_settings
from graders_engine.models.rate_limiter import RateLimiter
from graders_engine.models.redaction import Secrets
from graders_engine.models.retry import OnRetry, RetryPolicy

if TYPE_CHECKING:
    from graders_engine.models.base import ModelBackend
    from graders_engine.models.cache import ReplyStore
    from graders_engine.models.config import Config
    from graders_engine.models.endpoint import Endpoint, EndpointSettings
    from graders_engine.models.local.judges import LocalJudges
    from graders_engine.models.local.source import LocalSource
    from graders_engine.models.policies import Budget, IsUsable, Observer, Price
    from graders_engine.models.recorded import Recorded, Transcript
# What only engines with judges need is imported on first use, asyncio with it.

DEFAULT = "default"
"""The endpoint for models that are not mapped to another one."""
DEFAULT_CONCURRENCY = 64
"""Requests in flight at once to one endpoint."""


@names_settings
@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    """How judges are asked.

    Example::

        JudgeSettings(
            endpoints={"default": "http://127.0.0.1:8000/v1"},
            models={"gpt-4o": "qwen3:8b"},
            cache="replies.sqlite",
            max_tokens=1_000_000,
        )

    Attributes:
        endpoints: by name, an address or a backend; `default` is for models that are not mapped.
        models: from a grader's model name to "MODEL@ENDPOINT"; the key "*" stands for every other name.
        prices: by the model's name at its endpoint, per million tokens.
        config: a graders.toml with the same three; what is given here takes precedence.
        concurrency: requests in flight at once to one endpoint.
        requests_per_minute: upper limit for one endpoint.
        tokens_per_minute: upper limit for one endpoint.
        adaptive: whether an endpoint's refusals (429, 503) slow requests down.
        retry: how often and how long one request is tried.
        cache: a file that keeps replies; None keeps none.
        record: a folder to write each request and its reply to.
        replay: a folder that `record` wrote: replies are taken from it, and no endpoint is asked.
        max_cost: money that may be spent, in the prices' unit.
        max_tokens: tokens that may be spent.
        repeats: how often a judge is asked for each row: the reward is the median, or the majority's.
        local: the models of this machine; graders that are compiled for another project have others.
    """

    endpoints: Mapping[str, str | ModelBackend] = field(default_factory=dict, repr=False)
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
    local: LocalSource | None = field(default=None, repr=False)

    def inputs(self) -> dict[Path, str]:
        """The files that judges need, and what each is."""
        files = {}
        if self.config is not None:
            files[Path(self.config)] = "the configuration"
        if self.replay is not None:
            files[_transcript_in(self.replay)] = "the transcript to replay"
        return files

    def outputs(self) -> dict[Path, str]:
        """The files that judges write, and what each is."""
        files = {}
        if self.cache is not None:
            path = Path(self.cache)
            files = dict.fromkeys([path, *sqlite_companions(path)], "the cache of replies")
        if self.record is not None:
            files[_transcript_in(self.record)] = "the transcript to record"
        return files


def _transcript_in(folder: Path | str) -> Path:
    from graders_engine.models.recorded import TRANSCRIPT

    return Path(folder) / TRANSCRIPT


class JudgeRegistry:
    """Finds what answers for a model. Nothing is opened before the first grader needs it.

    Args:
        settings: how judges are asked.
        observer: called with each request to a judge and its reply.
        on_retry: called before each further attempt of a request.
        is_usable: tells which replies are kept; by default, all that are whole.

    Attributes:
        secrets: the keys of all endpoints, which are masked in whatever any of them answers.

    Raises:
        InvalidRequest: a setting contradicts another.
        DataSetError: a file is to be read and written.
    """

    def __init__(
        self,
        settings: JudgeSettings,
        observer: Observer | None = None,
        on_retry: OnRetry | None = None,
        is_usable: IsUsable | None = None,
    ) -> None:
        self._is_usable = is_usable
        if settings.repeats < 1:
            raise InvalidRequest(f"A judge is asked at least once, not {settings.repeats} times.")
        if settings.record and settings.replay:
            raise InvalidRequest("Replies are either recorded or replayed, not both at once.")
        if settings.endpoints:
            from graders_engine.models.routes import check_endpoints

            check_endpoints(settings.endpoints)
        FilesInUse(settings.inputs()).write(settings.outputs())
        self.settings, self.repeats = settings, settings.repeats
        self.secrets = Secrets()
        self._observer, self._on_retry = observer, on_retry
        self._config: Config | None = None
        self._limiters: dict[str, RateLimiter] = {}
        self._endpoints: dict[str, ModelBackend] = {}
        self._judges: dict[str, ModelBackend] = {}
        self._store: ReplyStore | None = None
        self._budget: Budget | None = None
        self._replayed: Recorded | None = None
        self._transcript: Transcript | None = None
        self._local: dict[LocalSource, LocalJudges] = {}

    def find(self, model: str, needs: Collection[str] = ()) -> ModelBackend:
        """What answers for a model that a grader names.

        Its signature names the model that is asked, and where.

        Args:
            model: its name.
            needs: what requests will have that not every model takes: `reasoning_effort`, `image`, `audio`.

        Raises:
            UnavailableGrader: nothing does; it says how to map the name.
            InvalidRequest: graders.toml or another setting cannot be used.
        """
        local = self.settings.local
        return self.find_elsewhere(model) if local is None else self.on(local).find(model, needs)

    def on(self, source: LocalSource) -> LocalJudges:
        """The same, with the models of this machine as one project may use them."""
        from graders_engine.models.local.judges import LocalJudges

        return self._local.setdefault(source, LocalJudges(self, source))

    def find_elsewhere(self, model: str) -> ModelBackend:
        """As `find`, but for the models of this machine."""
        if model not in self._judges:
            backend = self._replayer(model) if self.settings.replay else self._asker(model)
            self._judges[model] = self.watched(backend)
        return self._judges[model]

    def has_other(self, model: str) -> bool:
        """Whether an endpoint would be asked for a model that is asked on this machine."""
        try:
            self._asker(model)
        except InvalidRequest:
            return False
        return True

    def _replayer(self, model: str) -> ModelBackend:
        from graders_engine.models.policies import Policy
        from graders_engine.models.recorded import Recorded

        if self._replayed is None:
            self._replayed = Recorded(Path(self.settings.replay or ""))
        return Policy(self._replayed, f"{model}, replayed")

    def _asker(self, model: str) -> ModelBackend:
        from graders_engine.models.routes import Renamed, check_address, route_of

        config = self._read_config()
        route = route_of(model, (self.settings.models, config.models))
        check_address(model, route, self.settings, config)
        backend: ModelBackend = Renamed(self._find_endpoint(route.endpoint, model), route.model)
        if self.settings.max_cost is not None and route.model not in self.prices():
            raise UnavailableGrader(
                f"A budget in money needs the price of '{route.model}': "
                f'[prices."{route.model}"] input = ..., output = ... in graders.toml, per million tokens; '
                "or limit the tokens instead."
            )
        return backend

    def watched(self, backend: ModelBackend) -> ModelBackend:
        """A model whose exchanges are recorded and observed, where that is wanted."""
        if self.settings.record:
            from graders_engine.models.recorded import Recording, Transcript

            if self._transcript is None:
                self._transcript = Transcript(Path(self.settings.record))
            backend = Recording(backend, self._transcript)
        from graders_engine.models.policies import Observed

        return backend if self._observer is None else Observed(backend, self._observer)

    def with_policies(self, backend: ModelBackend, **policies: Any) -> ModelBackend:
        """A backend with the policies of this registry. Args: as `build_backend`."""
        from graders_engine.models.policies import Budget
        from graders_engine.models.stack import build_backend

        if self._budget is None:
            self._budget = Budget(self.settings.max_cost, self.settings.max_tokens, self.prices())
        return build_backend(
            backend, budget=self._budget, store=self._open_store(), is_usable=self._is_usable,
            on_retry=self._on_retry, **policies,
        )  # fmt: skip

    def _find_endpoint(self, name: str, model: str) -> ModelBackend:
        if name not in self._endpoints:
            settings = self.settings
            backend, endpoint, target = self._open_endpoint(name, model)
            self._endpoints[name] = self.with_policies(
                backend,
                retry=settings.retry,
                concurrency=endpoint.concurrency or settings.concurrency,
                limiter=self._limiter(name, endpoint),
                target=target,
            )
        return self._endpoints[name]

    def _open_endpoint(self, name: str, model: str) -> tuple[ModelBackend, EndpointSettings, str]:
        """What makes one attempt, its settings, and what retries call it."""
        from graders_engine.models.endpoint import EndpointSettings
        from graders_engine.models.openai import OpenAIBackend
        from graders_engine.models.routes import endpoint_settings, how_to_map

        given = self.settings.endpoints.get(name)
        if given is not None and not isinstance(given, str):
            return given, EndpointSettings(), name
        config = self._read_config()
        settings = endpoint_settings(name, given, config)
        if settings is None:
            raise UnavailableGrader(
                how_to_map(name, model, {*self.settings.endpoints, *config.endpoints})
            )
        opened = OpenAIBackend(settings, retry=self.settings.retry, secrets=self.secrets, name=name)
        return opened, settings, opened.address

    def endpoint(self, place: str) -> tuple[Endpoint, EndpointSettings]:
        """An endpoint for embeddings, with its key, limits and retries from graders.toml and the settings.

        Args:
            place: its name, its address, or nothing for the default one.

        Raises:
            InvalidRequest: there is no such endpoint, or graders.toml cannot be used.
        """
        from graders_engine.models.endpoint import Endpoint, keep_secret
        from graders_engine.models.http import HttpClient
        from graders_engine.models.routes import embedding_settings

        name, settings = embedding_settings(place, self.settings.endpoints, self._read_config())
        keep_secret(settings, self.secrets)
        client = HttpClient(self.settings.retry, on_retry=self._on_retry, secrets=self.secrets)
        endpoint = Endpoint.from_settings(
            settings,
            client,
            limiter=self._limiter(name, settings),
            concurrency=settings.concurrency or self.settings.concurrency,
        )
        return endpoint, settings

    def _limiter(self, name: str, endpoint: EndpointSettings) -> RateLimiter:
        """One for judges and embeddings at the same endpoint."""
        if name not in self._limiters:
            self._limiters[name] = RateLimiter(
                endpoint.requests_per_minute or self.settings.requests_per_minute,
                endpoint.tokens_per_minute or self.settings.tokens_per_minute,
                adaptive=self.settings.adaptive,
            )
        return self._limiters[name]

    def _read_config(self) -> Config:
        if self._config is None:
            from graders_engine.models.config import Config, read_config
            from graders_engine.models.endpoint import keep_secret

            path = self.settings.config
            self._config = Config() if path is None else read_config(Path(path))
            for endpoint in self._config.endpoints.values():
                keep_secret(endpoint, self.secrets)
        return self._config

    def _open_store(self) -> ReplyStore | None:
        if self._store is None and self.settings.cache is not None:
            from graders_engine.models.cache import ReplyStore  # SQLite takes 5 ms to import

            self._store = ReplyStore(Path(self.settings.cache))
        return self._store

    def prices(self) -> dict[str, Price]:
        """What models cost, by their names at their endpoints."""
        return {**self._read_config().prices, **self.settings.prices}

    def spent(self) -> dict[str, Any]:
        """What was spent so far, without kept replies: `tokens`, and `cost` where prices are known."""
        if self._budget is None:
            return {"tokens": 0, "cost": 0.0}
        return {"tokens": self._budget.tokens, "cost": self._budget.cost}

    @property
    def is_open(self) -> bool:
        """Whether there may be something to release."""
        return bool(self._endpoints or self._judges or self._local)

    async def close(self) -> None:
        """Release what was opened, all of it even if a backend raises."""
        async with AsyncExitStack() as opened:
            if self._store is not None:
                opened.push_async_callback(self._store.close_aside)
            if self._transcript is not None:
                opened.callback(self._transcript.close)
            for local in self._local.values():
                opened.push_async_callback(local.close)
            for backend in self._endpoints.values():
                opened.push_async_callback(backend.close)
