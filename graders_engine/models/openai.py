"""Models behind any OpenAI-compatible endpoint: OpenAI, Azure, vLLM, Ollama, llama.cpp, LiteLLM, ..."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from graders_engine.errors import BackendFailure, BackendRejected, InvalidRequest
from graders_engine.language import strict_json
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.models.http import HttpClient, RetryPolicy
from graders_engine.models.openai_wire import BINDINGS, FILTERED, WIRES, Dialect, read

DEFAULT_BASE_URL = "https://api.openai.com/v1"
MAX_ANSWER_BYTES = 4 << 20
"""A verdict is a few kilobytes; what is longer than this is none."""
_WRONG_REQUEST = frozenset({400, 404, 415, 422, 501})
"""Answers by which endpoints say that they do not know a parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """An endpoint, as a table `[endpoints.NAME]` in graders.toml has it.

    Attributes:
        base_url: its address, up to and without `/chat/completions`.
        api: the request form: "chat" or "responses".
        api_key_env: the environment variable that holds the key; the key itself is never written down.
        auth: how the key is sent: "bearer" (Authorization), or "api-key" (Azure's header).
        headers: more headers.
        query: parameters of the address, such as Azure's {"api-version": ...}.
        structured: how it is told the form of the answer; "auto" tries the strictest first.
        extra_body: more keys of every request.
        concurrency: requests in flight at once; the engine's own number when left out.
        requests_per_minute: as the endpoint's owner grants them; no limit when left out.
        tokens_per_minute: likewise.

    Raises:
        ValueError: a value is none of those that it can be.
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
        known = {
            "api": tuple(WIRES),
            "auth": ("bearer", "api-key"),
            "structured": ("auto", *BINDINGS),
        }
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise ValueError(
                    f"{name} is one of {', '.join(values)}, not {getattr(self, name)!r}"
                )
        for name in ("concurrency", "requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, but it is {value!r}")
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url must start with http:// or https://, not {self.base_url!r}")
        if not urlsplit(self.base_url).hostname:
            raise ValueError(f"base_url is the address of no host: {self.base_url!r}")
        if "@" in urlsplit(self.base_url).netloc:
            raise ValueError("base_url must not hold a password: put the key into api_key_env")


class OpenAIBackend:
    """Asks an endpoint over HTTP; what it does not know is found out and remembered, by model.

    Args:
        settings: the endpoint, or its address.
        api_key: the key; from the environment when left out, and none where there is none.
        retry: only its `attempt_s` counts here; `policies.Retrying` tries again.
    """

    def __init__(
        self,
        settings: EndpointSettings | str,
        *,
        api_key: str | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        try:
            self.settings = (
                EndpointSettings(base_url=settings) if isinstance(settings, str) else settings
            )
        except ValueError as error:
            raise InvalidRequest(f"The endpoint: {error}.") from None
        self._wire = WIRES[self.settings.api]
        scheme, place, path, _, _ = urlsplit(self.settings.base_url)
        address = urlunsplit((scheme, place, path.rstrip("/"), "", ""))
        self.signature = f"openai-compatible {self.settings.api} at {address}"
        if self.settings.structured != "auto":
            self.signature += f", {self.settings.structured}"
        if more := [dict(part) for part in (self.settings.query, self.settings.extra_body) if part]:
            # They may change the answers; as a hash, since an address may hold a key.
            hashed = hashlib.blake2b(strict_json.encode(more), digest_size=4)
            self.signature += f", options {hashed.hexdigest()}"
        query = urlencode(self.settings.query)
        self._url = address + self._wire.path + (f"?{query}" if query else "")
        self._headers = dict(self.settings.headers) | self._authorisation(api_key)
        self._client = HttpClient(retry, MAX_ANSWER_BYTES)
        self._dialects: dict[str, Dialect] = {}

    def _authorisation(self, api_key: str | None) -> dict[str, str]:
        key = (api_key or os.environ.get(self.settings.api_key_env, "")).strip()
        if not key:
            return {}
        if not (key.isascii() and key.isprintable()):
            raise InvalidRequest(
                f"The endpoint's key, in {self.settings.api_key_env} or given as api_key, cannot be sent: "
                "it has characters that no header may have."
            )
        if self.settings.auth == "api-key":
            return {"api-key": key}
        return {"Authorization": f"Bearer {key}"}

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask the endpoint once, or once more for each thing that it turns out not to know.

        Raises:
            BackendBusy: another try may help.
            BackendFailure: the endpoint cannot answer.
        """
        dialect = self._dialects.get(request.model) or self._first()
        while True:
            body = self._wire.body(request, dialect) | dict(self.settings.extra_body)
            try:
                answer = await self._client.send(self._url, strict_json.encode(body), self._headers)
            except BackendRejected as error:
                if '"content_filter"' in str(error):  # so Azure refuses a prompt
                    return ModelReply("", request.model, refusal=FILTERED)
                simpler = self._simpler(dialect, error)
                if simpler is None:
                    raise
                dialect = simpler
                continue
            self._dialects[request.model] = dialect
            try:
                reply = read(self._wire, answer)
            except BackendFailure as error:
                raise BackendFailure(f"{self._url.partition('?')[0]}: {error}") from None
            return msgspec.structs.replace(
                reply, model=reply.model or request.model, bound=dialect.binding != "text"
            )

    def _first(self) -> Dialect:
        structured = self.settings.structured
        return Dialect() if structured == "auto" else Dialect(binding=structured)  # type: ignore[arg-type] # checked when made

    def _simpler(self, dialect: Dialect, error: BackendRejected) -> Dialect | None:
        """The dialect without what the endpoint complains of; None when it is something else."""
        complaint = str(error).lower()
        if error.status not in _WRONG_REQUEST:
            return None
        if "max_completion_tokens" in complaint and dialect.max_tokens == "max_completion_tokens":
            return replace(dialect, max_tokens="max_tokens")
        if dialect.developer and "role" in complaint and "developer" in complaint:
            return replace(dialect, developer=False)
        names = ("response_format", "json_schema", "json_object", "text.format", "structured")
        at = BINDINGS.index(dialect.binding) + 1
        free = self.settings.structured == "auto" and at < len(BINDINGS)
        if free and any(name in complaint for name in names):
            return replace(dialect, binding=BINDINGS[at])
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
