"""What answers for a model: the port, and the request and the reply that cross it.

A backend is an object with one method. Policies (`models.policies`, `models.cache`) are backends that wrap
one, so retries, limits, caches and budgets stack in any order.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from graders_engine.language import strict_json
from graders_engine.outcome import Usage

T = TypeVar("T")

Role = Literal["user", "assistant", "system", "developer"]


class Text(msgspec.Struct, frozen=True, gc=False, tag="text"):
    """Text to the model."""

    text: str


class Image(msgspec.Struct, frozen=True, gc=False, tag="image", omit_defaults=True):
    """An image by its address, or as a data URL."""

    url: str
    detail: str | None = None


class Audio(msgspec.Struct, frozen=True, gc=False, tag="audio"):
    """Base64-encoded sound, as mp3 or wav."""

    data: str
    format: str


class ModelMessage(msgspec.Struct, frozen=True, gc=False):
    """One message: a role and its parts, in order."""

    role: Role
    parts: tuple[Text | Image | Audio, ...]


class Sampling(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How the model samples; what is None is left to the endpoint."""

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
        repeat: which of several askings of the same this is; it sets their cached replies apart.
    """

    model: str
    messages: tuple[ModelMessage, ...]
    schema: dict[str, Any]
    sampling: Sampling = Sampling()
    repeat: int = 0


class ModelReply(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a model answered.

    Attributes:
        text: the answer; empty for a refusal.
        model: the name that the endpoint gives the model.
        usage: the tokens that it took.
        finish: "stop" when the model came to its end, "length" when the answer was cut off.
        refusal: the model's words when it refused (may be empty); None when it did not.
        bound: whether the endpoint took the schema; where not, the answer may have prose around it.
    """

    text: str
    model: str
    usage: Usage = Usage()
    finish: Literal["stop", "length"] = "stop"
    refusal: str | None = None
    bound: bool = True


class ModelBackend(Protocol):
    """Answers for models.

    Attributes:
        signature: what decides the answers besides the request, such as the endpoint's address; part of
            a cached reply's key and of reports. No secrets.
    """

    signature: str

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask the model.

        Raises:
            BackendFailure: there is no answer to be had; `BackendBusy` where another try may help.
        """
        ...

    async def close(self) -> None:
        """Give back what the backend holds; closing twice is allowed."""
        ...


_encode = msgspec.json.Encoder(order="deterministic").encode


def fingerprint(request: ModelRequest, signature: str = "") -> str:
    """BLAKE2b of everything that can change the answer, the first 128 bits in hexadecimal."""
    hashed = hashlib.blake2b(signature.encode(), digest_size=16)
    hashed.update(b"\0")
    hashed.update(encoded(request))
    return hashed.hexdigest()


def encoded(record: msgspec.Struct) -> bytes:
    """A record as JSON, always the same for the same one; lone surrogates are escaped."""
    try:
        return _encode(record)
    except UnicodeEncodeError:
        import json

        return json.dumps(msgspec.to_builtins(record), sort_keys=True).encode()


def decoded(text: bytes, kind: type[T]) -> T:
    """The record that `encoded` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except ValueError:  # a lone surrogate, or a mistake, which the second try finds again
        return msgspec.convert(strict_json.decode(text), kind)
