"""What answers for a model: the protocol of a backend, its request and its reply.

Policies (`models.policies`, `models.cache`) are backends that wrap a backend, so retries, limits, caches and
budgets can be combined in any order.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from graders_engine.language import strict_json
from graders_engine.outcome import Usage

T = TypeVar("T")

Role = Literal["user", "assistant", "system", "developer"]


class TextPart(msgspec.Struct, frozen=True, gc=False, tag="text"):
    """Text to the model."""

    text: str


class ImagePart(msgspec.Struct, frozen=True, gc=False, tag="image", omit_defaults=True):
    """An image by its address, or as a data URL."""

    url: str
    detail: str | None = None


class AudioPart(msgspec.Struct, frozen=True, gc=False, tag="audio"):
    """Base64-encoded sound, as mp3 or wav."""

    data: str
    format: str


class ModelMessage(msgspec.Struct, frozen=True, gc=False):
    """One message to the model."""

    role: Role
    parts: tuple[TextPart | ImagePart | AudioPart, ...]


class Sampling(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How the model samples; None leaves the choice to the endpoint."""

    max_tokens: int | None = None
    reasoning_effort: str | None = None
    seed: int | None = None
    temperature: float | None = None
    top_p: float | None = None


class ModelRequest(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a model is asked.

    Attributes:
        model: the model's name, as the backend knows it.
        messages: the conversation.
        schema: JSON Schema of the answer.
        sampling: how to sample.
        repeat: tells several requests for the same question apart, in the cache too.
        body: of a sampling, whose answer is no verdict: the body of a chat completion without the model's
            name, sent as it is. `messages`, `schema` and `sampling` do not count then.
        origin: of a sampling, what it is for: equal ones of two origins are asked apart.
        weights: of a model of this machine, what identifies its weights: others answer otherwise.
    """

    model: str
    messages: tuple[ModelMessage, ...]
    schema: dict[str, Any]
    sampling: Sampling = Sampling()
    repeat: int = 0
    body: dict[str, Any] = {}
    origin: str = ""
    weights: str = ""


class ModelReply(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a model answered.

    Attributes:
        text: the answer; empty for a refusal.
        model: the name that the endpoint gives the model.
        usage: the tokens that it took.
        finish: "stop" when the answer is complete, "length" when it was cut off.
        refusal: the model's reason for refusing (may be empty); None when it did not refuse.
        bound: whether the endpoint took the schema; if not, the answer may have prose around it.
        reasoning: the beginning of what the model wrote as its reasoning; only where `text` is empty.
        left_out: options and other parts of the request that were not sent, since the model refuses them.
        kept: whether it was kept from an earlier request, so that it cost nothing this time; never stored.
        checked: whether it was found to answer its request when it was stored; in the store alone.
        answer: of a sampling, the whole answer: a chat completion or a response; `text` is empty then.
    """

    text: str
    model: str
    usage: Usage = Usage()
    finish: Literal["stop", "length"] = "stop"
    refusal: str | None = None
    bound: bool = True
    reasoning: str = ""
    left_out: tuple[str, ...] = ()
    kept: bool = False
    checked: bool = False
    answer: dict[str, Any] = {}


class ModelBackend(Protocol):
    """Answers for models.

    Example::

        class Echo:
            signature = "echo"

            async def complete(self, request: ModelRequest) -> ModelReply:
                return ModelReply('{"steps": [], "result": 1}', request.model)

            async def close(self) -> None: ...

        engine = Engine(judges=Echo())

    Attributes:
        signature: what decides the answers besides the request, such as the endpoint's address. It is part of
            a cached reply's key and of reports, so it holds no secrets.
    """

    signature: str

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask the model.

        Raises:
            BackendFailure: there is no answer; `BackendBusy` where another attempt may succeed.
        """
        ...

    async def close(self) -> None:
        """Release what the backend holds; closing twice is allowed."""
        ...


_encode = msgspec.json.Encoder(order="deterministic").encode


def fingerprint(request: ModelRequest, signature: str = "") -> str:
    """BLAKE2b of everything that can change the answer, the first 128 bits in hexadecimal."""
    hashed = hashlib.blake2b(signature.encode(), digest_size=16)
    hashed.update(b"\0")
    hashed.update(encoded(request))
    return hashed.hexdigest()


def encoded(record: msgspec.Struct) -> bytes:
    """A record as JSON, always the same for equal records; lone surrogates are escaped."""
    try:
        return _encode(record)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(record), sort_keys=True).encode()


def decoded(text: bytes, kind: type[T]) -> T:
    """The record that `encoded` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except ValueError:  # a lone surrogate, or a mistake, which the second attempt finds again
        return msgspec.convert(strict_json.decode(text), kind)
