"""Models behind any OpenAI-compatible endpoint: OpenAI, Azure, vLLM, Ollama, llama.cpp, LiteLLM, ..."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from graders_engine.errors import BackendBusy, BackendFailure, BackendRejected, InvalidRequest
from graders_engine.language import strict_json
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.models.dialects.complaint import Asked
from graders_engine.models.dialects.found import Attempt, Dialects
from graders_engine.models.endpoint import Endpoint, EndpointSettings, keep_secret
from graders_engine.models.error_body import failure_within
from graders_engine.models.http import HttpClient
from graders_engine.models.openai_wire import WIRES, parse_reply
from graders_engine.models.redaction import Secrets
from graders_engine.models.replies.filters import CONTENT_FILTER, FILTERED
from graders_engine.models.replies.forms import usage_of
from graders_engine.models.retry import RetryPolicy
from graders_engine.models.sampling.answer import sampled_reply
from graders_engine.models.sampling.body import sampling_body

MAX_ANSWER_BYTES = 4 << 20
"""A verdict is a few kilobytes; an answer longer than this is not one."""
_NAMES = (
    b'"choices"', b'"message"', b'"content"', b'"refusal"', b'"finish_reason"', b'"output"', b'"text"',
    b'"error"', b'"status"', b'"incomplete_details"',
)  # fmt: skip
"""Keys of an answer, in both request forms, that decide about its verdict."""


def decode_answer(text: bytes) -> Any:
    """The JSON of an answer in which no key that counts is there twice in one object.

    Raises:
        ValueError: one is, or it is not JSON.
    """
    # A name that is there once, and in no escape, is not repeated: that is ten times as fast.
    if b"\\u00" in text:
        return strict_json.decode_unique(text)
    for name in _NAMES:
        if text.count(name) > 1:
            return strict_json.decode_unique(text)
    return strict_json.decode(text)


class OpenAIBackend:
    """Asks an endpoint over HTTP; what it does not support is discovered and remembered, by model.

    Each call is one attempt: `policies.Retrying` and `policies.Limited` add retries and limits.

    Args:
        settings: the endpoint, or its address.
        api_key: the key; taken from the environment when left out; without one none is sent.
        retry: only its `attempt_s` counts here.
        secrets: keys that are masked in the answers; this endpoint's is added to them.
        name: the endpoint's name in graders.toml, for messages that say where to change a setting.

    Attributes:
        address: the endpoint's, as messages show it.
    """

    def __init__(
        self,
        settings: EndpointSettings | str,
        *,
        api_key: str | None = None,
        retry: RetryPolicy | None = None,
        secrets: Secrets | None = None,
        name: str = "default",
    ) -> None:
        try:
            if isinstance(settings, str):
                settings = EndpointSettings(base_url=settings)
        except ValueError as error:
            raise InvalidRequest(f"The endpoint: {error}.") from None
        self._api = settings.form
        self._wire = WIRES[self._api]
        self._extra_body, self._drop = dict(settings.extra_body), settings.drop
        secrets = Secrets() if secrets is None else secrets
        keep_secret(settings, secrets, api_key)
        client = HttpClient(
            retry, MAX_ANSWER_BYTES, secrets=secrets, decode=decode_answer, filters=True
        )
        self._endpoint = Endpoint.from_settings(settings, client, api_key=api_key)
        self.address = self._endpoint.address
        self._url = self.address + self._wire.path
        self._dialects = Dialects(
            self.address,
            name=name,
            api=self._api,
            structured=settings.structured,
            drop=settings.drop,
            fixed=self._extra_body,
        )
        self.signature = f"openai-compatible {self._api} at {self.address}"
        if settings.structured != "auto":
            self.signature += f", {settings.structured}"
        if settings.drop:
            self.signature += f", without {', '.join(settings.drop)}"
        if options := settings.options():
            self.signature += f", options {options}"

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask the endpoint once, and once more for each thing that it turns out not to support.

        Raises:
            BackendBusy: another attempt may succeed.
            BackendFailure: the endpoint cannot answer.
        """
        if request.body:
            return await self._sample(request)
        attempt = await self._dialects.begin(request)
        try:
            return await self._ask(attempt)
        finally:
            self._dialects.end(attempt)

    async def _sample(self, request: ModelRequest) -> ModelReply:
        """Ask once for an answer that is no verdict: nothing of the request is left out if it is refused."""
        body = sampling_body(self._api, request, self._drop) | self._extra_body
        answer = await self._endpoint.post_once(self._wire.path, strict_json.encode(body))
        if failure := failure_within(self._url, answer):
            raise failure
        return sampled_reply(self._api, answer, request.model, self._url)

    async def _ask(self, attempt: Attempt) -> ModelReply:
        request = attempt.request
        dialect = self._dialects.of(request.model)
        clock = asyncio.get_running_loop().time
        while True:
            body = self._wire.body(request, dialect) | self._extra_body
            answer, sent_at = None, clock()
            try:
                answer = await self._endpoint.post_once(self._wire.path, strict_json.encode(body))
                if failure := failure_within(self._url, answer):
                    raise failure
            except (BackendRejected, BackendBusy) as error:
                if error.status == 200:  # it cannot be read, so it says nothing about the request
                    raise
                if error.code == CONTENT_FILTER:
                    attempt.ended = "rejected"
                    reason = f"{FILTERED}: {error.message}" if error.message else FILTERED
                    return ModelReply("", request.model, usage_of(answer), refusal=reason)
                asked = Asked(request, body, self._url, dialect.parts(request, self._api))
                took_s = clock() - sent_at
                simpler = await self._dialects.simpler(dialect, asked, error, attempt, took_s)
                if simpler is None:
                    attempt.ended = "rejected" if isinstance(error, BackendRejected) else ""
                    if advice := self._dialects.advice(asked, error):
                        raise type(error)(f"{error}. {advice}", **error.answer()) from None
                    raise
                dialect = simpler
                continue
            self._dialects.worked(attempt, dialect)
            try:
                reply = parse_reply(self._wire, answer)
            except BackendFailure as error:
                # Some gateways answer so while a model is not there: "choices": null.
                empty = isinstance(answer, dict) and not answer.get("choices", True)
                kind = BackendBusy if empty else BackendFailure
                raise kind(f"{self._url}: {error}", status=200) from None
            return msgspec.structs.replace(
                reply,
                model=reply.model or request.model,
                bound=dialect.binding != "text",
                left_out=self._dialects.left_out(request, dialect),
            )

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()
