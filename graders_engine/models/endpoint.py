"""An endpoint: an HTTP API that is asked for chat completions, responses, embeddings or scores."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from graders_engine.errors import BackendRejected
from graders_engine.language import strict_json
from graders_engine.models.credentials import (
    AZURE_HOST,
    DEFAULT_BASE_URL,
    USUAL_KEY,
    authorisation,
    basic,
    key_origin,
)
from graders_engine.models.dialects.dialect import BINDINGS, OPTIONS
from graders_engine.models.http import JsonClient
from graders_engine.models.rate_limiter import RateLimiter
from graders_engine.models.redaction import Secrets, read_address, without_secrets

T = TypeVar("T")

_VARIABLE = re.compile(r"\w+")
_KEY_REFUSED = frozenset({401, 403})
_KEY_INVALID = re.compile(r"(?i)api key not valid|api_key_invalid")
_OTHER_PATH = re.compile(r"(?<=/v1)(/chat)/*$|/api/(?:chat|generate)/*$")
"""At the end of a base URL: a part of a request's path, or a path of Ollama's own API."""
_NOT_THERE = frozenset({404, 405})
_VERSION = re.compile(r"/(v\d|openai\b)")
"""In the path of a base URL: the API's version, or Azure's way to name it."""
_REQUEST_PATH = re.compile(
    r"(?<!/deployments)/+(chat/completions|completions|responses|embeddings|(?<=/v1/)models)$"
)
"""At the end of an address that was pasted. A deployment of Azure may have such a name, and other endpoints
than `/v1` have a part named `models`."""
_WITH_PARAMETERS = re.compile(r"/(chat/completions|completions|responses|embeddings);[^/]*$")
_FORMS = {"chat/completions": "chat", "responses": "responses"}
_DROPPED = {
    "max_completion_tokens": "max_tokens",
    "max_completions_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "reasoning": "reasoning_effort",
}
"""Other names of options, as requests have them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """An OpenAI-compatible endpoint, as a table `[endpoints.NAME]` of graders.toml describes it.

    Attributes:
        base_url: its address; `/chat/completions` or another request's path at its end does not count.
        api: the request form: "chat" or "responses"; as `base_url` ends when left out, else "chat".
        api_key_env: the environment variable that holds the key; the key itself is never written down. Empty
            sends no key: so does an endpoint of graders.toml that names none, but at OpenAI's host and the
            one in OPENAI_BASE_URL, which get OPENAI_API_KEY.
        auth: how the key is sent: "bearer" (Authorization), or "api-key" (Azure's header); when left out
            "api-key" at Azure's hosts and paths (/openai/deployments/), unless the key is a token of Entra,
            else "bearer".
        headers: more headers.
        query: parameters of the address, such as Azure's {"api-version": ...}.
        structured: how the form of the answer is requested; "auto" tries the strictest way first.
        drop: options of graders that are left out: "temperature", "top_p", "seed", "reasoning_effort", ...
        extra_body: more keys of every request; they are sent in place of what graders set, `drop` or not.
        concurrency: requests in flight at once; the engine's number when left out.
        requests_per_minute: as the endpoint's owner grants them; no limit when left out.
        tokens_per_minute: likewise.

    Requests go through the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names (http:// or https://, and
    it may hold a password), but not to this machine, nor to hosts, networks and name endings in NO_PROXY.

    What may hold a key is not in the `repr`.

    Raises:
        ValueError: a value is not allowed; the message repeats no key.
    """

    base_url: str = field(default=DEFAULT_BASE_URL, repr=False)
    api: str | None = None
    api_key_env: str = field(default=USUAL_KEY, repr=False)
    auth: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    structured: str = "auto"
    drop: Sequence[str] = ()
    extra_body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    concurrency: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def __post_init__(self) -> None:
        allowed = {
            "api": ("chat", "responses"),
            "auth": ("bearer", "api-key"),
            "structured": ("auto", *BINDINGS),
        }
        for name, values in allowed.items():
            given = getattr(self, name)
            if given not in values and not (given is None and name in ("api", "auth")):
                # What is not a word may be a key that was put into the wrong place.
                quoted = f", not {given!r}" if isinstance(given, str) and given.isalpha() else ""
                raise ValueError(f"{name} is one of {', '.join(values)}{quoted}")
        for name in ("concurrency", "requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, but it is {value!r}")
        if self.api_key_env and not _VARIABLE.fullmatch(self.api_key_env):
            raise ValueError("api_key_env must be the name of a variable, not the key itself")
        if "@" in self.base_url:  # a path or a query writes it %40
            raise ValueError("base_url must not hold a password: put the key into api_key_env")
        self._check_drop()
        try:
            read_address(self.base_url)
        except ValueError as error:
            raise ValueError(f"base_url {error}") from None
        if _WITH_PARAMETERS.search(urlsplit(self.base_url.strip()).path):
            raise ValueError(
                "base_url has a ; behind the path of a request, where nothing can be added: end it before "
                "that path, and put what is sent behind ? into query"
            )
        if self.api and _form_in(self.base_url) not in (None, self.api):
            raise ValueError(
                f'base_url ends with the path of the form "{_form_in(self.base_url)}", but api is '
                f'"{self.api}": correct one of them, or leave api out'
            )

    def _check_drop(self) -> None:
        given = [self.drop] if isinstance(self.drop, str) else list(self.drop)
        dropped = [_DROPPED.get(name, name) for name in given]
        if unknown := [name for name in dropped if name not in OPTIONS]:
            # What is not a word may be a key that was put into the wrong place.
            words = (str(name) for name in unknown)
            quoted = ", ".join(
                repr(word) if word.replace("_", "").isalpha() else "another" for word in words
            )
            raise ValueError(f"drop is a list of {', '.join(OPTIONS)}; {quoted} is none of them")
        object.__setattr__(self, "drop", tuple(sorted(set(dropped))))

    @property
    def form(self) -> str:
        """The request form: "chat" or "responses"."""
        return self.api or _form_in(self.base_url) or "chat"

    @property
    def root(self) -> str:
        """The base URL without its query, and without a request's path or a slash at its end."""
        parts = read_address(self.base_url)
        path = _REQUEST_PATH.sub("", parts.path.rstrip("/")).rstrip("/")
        return f"{parts.scheme}://{parts.netloc}{path}"

    @property
    def address(self) -> str:
        """The root as messages show it: without what may be a secret."""
        return without_secrets(self.root)

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
        self._headers = {**basic(user), **(headers or {})}
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
        return cls(
            settings.root,
            client,
            headers={**settings.headers, **authorisation(settings, api_key)},
            query=settings.full_query,
            limiter=limiter,
            concurrency=concurrency,
            key_origin=key_origin(settings, api_key),
        )

    async def post_once(self, path: str, body: bytes) -> Any:
        """Send a body, already JSON, once and at once; gives the JSON of the answer.

        Raises:
            BackendFailure: there is no usable answer; `BackendBusy` where another attempt may succeed.
        """
        try:
            return await self._client.post(self._url(path), body, self._headers)
        except BackendRejected as error:
            if advice := self._advice(path, error):
                raise BackendRejected(f"{error}. {advice}", **error.answer()) from None
            raise

    def _advice(self, path: str, error: BackendRejected) -> str:
        """What to do where the key or the address is refused; empty for another answer."""
        if error.status in _KEY_REFUSED or _KEY_INVALID.search(error.details):
            return self._key_origin
        if error.status not in _NOT_THERE or not path:
            return ""
        if "only supported in v1/responses" in error.details:
            return 'In graders.toml, under [endpoints.NAME], set api = "responses".'
        parts = urlsplit(self._base)
        if other := _OTHER_PATH.search(parts.path):
            end = "Leave out /chat" if other[1] else f"Write /v1 in place of {other[0]}"
            return f"{end} at the end of the base URL."
        if _VERSION.search(parts.path):
            return ""
        version = "/openai/v1" if AZURE_HOST.search(parts.hostname or "") else "/v1"
        return f"Is {version} missing at the end of the base URL?"

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
    for values in (settings.headers, settings.query, authorisation(settings, api_key)):
        secrets.add_values(values)


def _form_in(url: str) -> str | None:
    """The request form whose path an address ends with."""
    found = _REQUEST_PATH.search(urlsplit(url.strip()).path.rstrip("/"))
    return _FORMS.get(found[1]) if found else None
