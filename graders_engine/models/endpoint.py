"""An endpoint: an HTTP API that is asked for chat completions, responses, embeddings or scores."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from graders_engine.errors import BackendRejected, InvalidRequest
from graders_engine.language import strict_json
from graders_engine.models.http import JsonClient
from graders_engine.models.openai_wire import BINDINGS, WIRES
from graders_engine.models.rate_limiter import RateLimiter
from graders_engine.models.redaction import Secrets, read_address, without_secrets

T = TypeVar("T")

DEFAULT_BASE_URL = "https://api.openai.com/v1"
_VARIABLE = re.compile(r"\w+")
_USUAL_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_KEY_REFUSED = frozenset({401, 403})
_NOT_THERE = frozenset({404, 405})
_VERSION = re.compile(r"/(v\d|openai\b)")
"""In the path of a base URL: the API's version, or Azure's way to name it."""
_REQUEST_PATH = re.compile(r"/(chat/completions|completions|responses|embeddings)/?$")


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

    What may hold a key is not in the `repr`.

    Raises:
        ValueError: a value is not allowed; the message repeats no key.
    """

    base_url: str = field(default=DEFAULT_BASE_URL, repr=False)
    api: str = "chat"
    api_key_env: str = field(default="OPENAI_API_KEY", repr=False)
    auth: str = "bearer"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    structured: str = "auto"
    extra_body: Mapping[str, Any] = field(default_factory=dict, repr=False)
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
                given = getattr(self, name)
                # What is not a word may be a key that was put into the wrong place.
                quoted = f", not {given!r}" if isinstance(given, str) and given.isalpha() else ""
                raise ValueError(f"{name} is one of {', '.join(values)}{quoted}")
        for name in ("concurrency", "requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, but it is {value!r}")
        if not _VARIABLE.fullmatch(self.api_key_env):
            raise ValueError("api_key_env must be the name of a variable, not the key itself")
        if "@" in self.base_url:  # a path or a query writes it %40
            raise ValueError("base_url must not hold a password: put the key into api_key_env")
        try:
            read_address(self.base_url)
        except ValueError as error:
            raise ValueError(f"base_url {error}") from None

    @property
    def address(self) -> str:
        """The base URL as messages show it: without its query and without a slash at its end."""
        return without_secrets(self.base_url).rstrip("/")

    @property
    def full_query(self) -> dict[str, str]:
        """The query of the base URL, and `query`."""
        given = parse_qsl(urlsplit(self.base_url.strip()).query, keep_blank_values=True)
        return {**dict(given), **self.query}

    def options(self) -> str:
        """A hash of what may change answers besides the address, for signatures; empty where nothing does.

        It is a hash because a query may hold a key.
        """
        parts: list[Any] = [dict(part) for part in (self.full_query, self.extra_body) if part]
        if hidden := urlsplit(self.base_url.strip()).path.partition(";")[2]:
            parts.append(hidden)
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
        key_origin: a sentence that says where the key came from, for those who are refused.

    Attributes:
        address: the base URL as messages show it: without a query, a user name or a password.

    Raises:
        ValueError: the base URL cannot be used; the message repeats nothing of it.
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
        key_origin: str = "",
    ) -> None:
        parts = read_address(base_url)
        user, _, host = parts.netloc.rpartition("@")
        self._base = f"{parts.scheme}://{host}{parts.path}"
        self._query = "&".join(filter(None, (parts.query, urlencode(query or {}))))
        self._headers = {**_basic(user), **(headers or {})}
        self._client = client
        self._key_origin = key_origin
        self._limiter = limiter or RateLimiter()
        self._free = asyncio.Semaphore(concurrency) if concurrency else None
        secrets = Secrets()
        secrets.add_values(self._headers)
        self.address = secrets.mask_text(without_secrets(base_url))

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
        parts = read_address(settings.base_url)
        return cls(
            f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}",
            client,
            headers={**settings.headers, **_authorisation(settings, api_key)},
            query=settings.full_query,
            limiter=limiter,
            concurrency=concurrency,
            key_origin=_key_origin(settings, api_key),
        )

    async def post_once(self, path: str, body: bytes) -> Any:
        """Send a body, already JSON, once and at once; gives the JSON of the answer.

        Raises:
            BackendFailure: there is no usable answer; `BackendBusy` where another attempt may succeed.
        """
        try:
            return await self._client.post(self._url(path), body, self._headers)
        except BackendRejected as error:
            if advice := self._advice(path, error.status):
                raise BackendRejected(f"{error}. {advice}", **error.answer()) from None
            raise

    def _advice(self, path: str, status: int | None) -> str:
        """What to do where the key or the address is refused; empty for another answer."""
        if status in _KEY_REFUSED:
            return self._key_origin
        if status not in _NOT_THERE or not path:
            return ""
        place = urlsplit(self._base).path
        if found := _REQUEST_PATH.search(place):
            return f"The base URL must end before {found[0]}: {path} is added to it."
        return "" if _VERSION.search(place) else "Is /v1 missing at the end of the base URL?"

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


def keep_secret(settings: EndpointSettings, secrets: Secrets, api_key: str | None = None) -> None:
    """Add the keys of an endpoint to those that are masked.

    Args:
        settings: the endpoint.
        secrets: gets the keys.
        api_key: its key; taken from the environment when left out.
    """
    secrets.add_address(settings.base_url)
    secrets.add_body(settings.extra_body)
    for values in (settings.headers, settings.query, _authorisation(settings, api_key)):
        secrets.add_values(values)


def _key_origin(settings: EndpointSettings, api_key: str | None) -> str:
    """Where the key came from, as a sentence that repeats none."""
    if api_key:
        return "The key was given as api_key."
    variable = settings.api_key_env
    # Someone may have put the key itself in the place of the variable's name.
    if variable not in os.environ and not _USUAL_VARIABLE.fullmatch(variable):
        variable = "the variable that api_key_env names"
    if os.environ.get(settings.api_key_env, "").strip():
        return f"The key came from {variable}."
    if any(name.lower() in ("authorization", "api-key", "x-api-key") for name in settings.headers):
        return "The key came from `headers` in graders.toml."
    missing = "is empty" if variable in os.environ else "is not set"
    return f"No key was sent: {variable} {missing}."


def _basic(user: str) -> dict[str, str]:
    """The header for a user name and a password, as they stand in an address."""
    if not user:
        return {}
    text = unquote(user if ":" in user else f"{user}:")
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


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
