"""An endpoint: an HTTP API that is asked for chat completions, responses, embeddings or scores."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from graders_engine.errors import InvalidRequest
from graders_engine.language import strict_json
from graders_engine.models.http import JsonClient, without_secrets
from graders_engine.models.openai_wire import BINDINGS, WIRES
from graders_engine.models.rate_limiter import RateLimiter

T = TypeVar("T")

DEFAULT_BASE_URL = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """An OpenAI-compatible endpoint, as a table `[endpoints.NAME]` of graders.toml describes it.

    Attributes:
        base_url: its address, up to and without `/chat/completions`.
        api: the request form: "chat" or "responses".
        api_key_env: the environment variable that holds the key; the key itself is never written down.
        auth: how the key is sent: "bearer" (Authorization), or "api-key" (Azure's header).
        headers: more headers.
        query: parameters of the address, such as Azure's {"api-version": ...}.
        structured: how the form of the answer is requested; "auto" tries the strictest way first.
        extra_body: more keys of every request.
        concurrency: requests in flight at once; the engine's number when left out.
        requests_per_minute: as the endpoint's owner grants them; no limit when left out.
        tokens_per_minute: likewise.

    Raises:
        ValueError: a value is not allowed; the message repeats no password.
    """

    base_url: str = DEFAULT_BASE_URL
    api: str = "chat"
    api_key_env: str = "OPENAI_API_KEY"
    auth: str = "bearer"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    structured: str = "auto"
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def __post_init__(self) -> None:
        allowed = {
            "api": tuple(WIRES),
            "auth": ("bearer", "api-key"),
            "structured": ("auto", *BINDINGS),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ValueError(
                    f"{name} is one of {', '.join(values)}, not {getattr(self, name)!r}"
                )
        for name in ("concurrency", "requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, but it is {value!r}")
        address = without_secrets(self.base_url)
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url must start with http:// or https://, not {address!r}")
        try:
            parts = urlsplit(self.base_url)
        except ValueError:  # its text may repeat a password
            raise ValueError(f"base_url is not an address: {address!r}") from None
        if not parts.hostname:
            raise ValueError(f"base_url names no host: {address!r}")
        if "@" in parts.netloc:
            raise ValueError("base_url must not hold a password: put the key into api_key_env")

    @property
    def address(self) -> str:
        """The base URL without its query and without a slash at its end."""
        scheme, host, path, _, _ = urlsplit(self.base_url)
        return urlunsplit((scheme, host, path.rstrip("/"), "", ""))

    @property
    def full_query(self) -> dict[str, str]:
        """The query of the base URL, and `query`."""
        given = parse_qsl(urlsplit(self.base_url).query, keep_blank_values=True)
        return {**dict(given), **self.query}

    def options(self) -> str:
        """A hash of what may change answers besides the address, for signatures; empty where nothing does.

        It is a hash because a query may hold a key.
        """
        parts = [dict(part) for part in (self.full_query, self.extra_body) if part]
        if not parts:
            return ""
        return hashlib.blake2b(strict_json.encode(parts), digest_size=4).hexdigest()


class Endpoint:
    """Sends requests to one address, with what belongs to each: headers, query, pace and retries.

    `post` and `get` wait for the endpoint's limits and try again by the client's retry policy.
    `post_once` does neither: the policies of `models.policies` do it for the judges' backends.

    Args:
        base_url: where requests go; its query goes with each of them.
        client: what sends them; the endpoint closes it.
        headers: sent with each request.
        query: parameters of the address for each request.
        limiter: when the next request may go.
        concurrency: requests in flight at once; no limit when left out.

    Attributes:
        address: the base URL as messages show it: without a query, a user name or a password.
    """

    def __init__(
        self,
        base_url: str,
        client: JsonClient,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        limiter: RateLimiter | None = None,
        concurrency: int | None = None,
    ) -> None:
        base, _, base_query = base_url.partition("#")[0].partition("?")
        self.address = without_secrets(base)
        self._base = base
        self._query = "&".join(filter(None, (base_query, urlencode(query or {}))))
        self._headers = dict(headers or {})
        self._client = client
        self._limiter = limiter or RateLimiter()
        self._free = asyncio.Semaphore(concurrency) if concurrency else None

    @classmethod
    def from_settings(
        cls,
        settings: EndpointSettings,
        client: JsonClient,
        *,
        api_key: str | None = None,
        limiter: RateLimiter | None = None,
        concurrency: int | None = None,
    ) -> Self:
        """The endpoint that settings describe; the key is taken from the environment when left out.

        Raises:
            InvalidRequest: the key cannot be sent.
        """
        return cls(
            settings.address,
            client,
            headers={**settings.headers, **_authorisation(settings, api_key)},
            query=settings.full_query,
            limiter=limiter,
            concurrency=concurrency,
        )

    async def post_once(self, path: str, body: bytes) -> Any:
        """Send a body, already JSON, once and at once; gives the JSON of the answer.

        Raises:
            BackendFailure: there is no usable answer; `BackendBusy` where another attempt may succeed.
        """
        return await self._client.post(self._url(path), body, self._headers)

    async def post(
        self, path: str, body: bytes, tokens_of: Callable[[Any], int] = lambda answer: 0
    ) -> Any:
        """Send a body, already JSON, when the limits allow it, and again where that may help.

        Args:
            path: behind the base URL.
            body: what to send.
            tokens_of: how many tokens an answer says it took, for the limit on tokens.

        Raises:
            BackendFailure: there is no usable answer.
        """
        return await self._call(lambda: self.post_once(path, body), tokens_of)

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        """What an address below the base URL holds; as `post` otherwise."""
        url = self._url(path, urlencode(query))
        return await self._call(lambda: self._client.get(url, self._headers), lambda answer: 0)

    def _url(self, path: str, query: str = "") -> str:
        if not (query or self._query):
            return self._base + path
        return f"{self._base}{path}?" + "&".join(filter(None, (self._query, query)))

    async def _call(self, once: Callable[[], Awaitable[T]], tokens_of: Callable[[T], int]) -> T:
        async def attempt() -> T:
            if self._free is None:
                return await self._limiter.call(once, tokens_of)
            async with self._free:
                return await self._limiter.call(once, tokens_of)

        client = self._client
        return await client.retry.call(attempt, target=self.address, on_retry=client.on_retry)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _authorisation(settings: EndpointSettings, api_key: str | None) -> dict[str, str]:
    key = (api_key or os.environ.get(settings.api_key_env, "")).strip()
    if not key:
        return {}
    if not (key.isascii() and key.isprintable()):
        raise InvalidRequest(
            f"The endpoint's key, in {settings.api_key_env} or given as api_key, cannot be sent: "
            "it has characters that a header cannot hold."
        )
    if settings.auth == "api-key":
        return {"api-key": key}
    return {"Authorization": f"Bearer {key}"}
