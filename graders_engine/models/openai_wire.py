"""The two request forms of OpenAI-compatible endpoints: chat completions, and responses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from graders_engine.errors import BackendFailure
from graders_engine.models.base import (
    AudioPart,
    ImagePart,
    ModelMessage,
    ModelReply,
    ModelRequest,
    TextPart,
)
from graders_engine.models.replies.forms import chat_reply, responses_reply

Binding = Literal["json_schema", "json_object", "text"]
"""How the form of the answer is requested, from the strictest way to none."""
BINDINGS: tuple[Binding, ...] = ("json_schema", "json_object", "text")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What an endpoint supports.

    Attributes:
        binding: how the form of the answer is requested.
        max_tokens: its name for the limit on an answer's tokens.
        developer: whether it knows the role `developer`; if not, such a message is sent as a system message.
    """

    binding: Binding = "json_schema"
    max_tokens: str = "max_completion_tokens"
    developer: bool = True


@dataclass(frozen=True, slots=True)
class Wire:
    """One request form.

    Attributes:
        path: where requests go, after the base URL.
        body: the body of a request, in a dialect.
        reply: reads an answer's JSON; raises BackendFailure if it has no message.
    """

    path: str
    body: Callable[[ModelRequest, Dialect], dict[str, Any]]
    reply: Callable[[Any], ModelReply]


def _instruction(schema: dict[str, Any]) -> str:
    """The instruction for a model whose endpoint takes no schema."""
    return (
        "Answer with one JSON object and nothing else. It must match this JSON Schema:\n"
        + json.dumps(schema)
    )


def _messages(request: ModelRequest, dialect: Dialect) -> list[ModelMessage]:
    """The conversation; without schema support, the schema is prepended as an instruction."""
    messages = list(request.messages)
    if not dialect.developer:
        messages = [
            ModelMessage("system" if message.role == "developer" else message.role, message.parts)
            for message in messages
        ]
    if dialect.binding == "json_schema":
        return messages
    instruction = TextPart(_instruction(request.schema))
    if messages[0].role == "system":  # many chat templates allow one system message, the first
        parts = (instruction, TextPart("\n\n"), *messages[0].parts)
        return [ModelMessage("system", parts), *messages[1:]]
    return [ModelMessage("system", (instruction,)), *messages]


def _content(parts: Sequence[Any], block: Callable[[Any], dict[str, Any]]) -> Any:
    """Text alone is sent as a string, which every endpoint accepts; anything else as blocks."""
    if all(isinstance(part, TextPart) for part in parts):
        return "".join(part.text for part in parts)
    return [block(part) for part in parts]


def _chat_block(part: TextPart | ImagePart | AudioPart) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        image = {"url": part.url} | ({"detail": part.detail} if part.detail else {})
        return {"type": "image_url", "image_url": image}
    return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}


def _chat_body(request: ModelRequest, dialect: Dialect) -> dict[str, Any]:
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [
            {"role": message.role, "content": _content(message.parts, _chat_block)}
            for message in _messages(request, dialect)
        ],
    }
    if dialect.binding == "json_schema":
        named = {"name": "verdict", "strict": True, "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    elif dialect.binding == "json_object":
        body["response_format"] = {"type": "json_object"}
    options = {
        dialect.max_tokens: sampling.max_tokens,
        "reasoning_effort": sampling.reasoning_effort,
        "seed": sampling.seed,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    return body | {name: value for name, value in options.items() if value is not None}


def _response_block(role: str) -> Callable[[Any], dict[str, Any]]:
    def block(part: TextPart | ImagePart | AudioPart) -> dict[str, Any]:
        if isinstance(part, TextPart):
            kind = "output_text" if role == "assistant" else "input_text"
            return {"type": kind, "text": part.text}
        if isinstance(part, ImagePart):
            return {"type": "input_image", "image_url": part.url, "detail": part.detail or "auto"}
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}

    return block


def _responses_body(request: ModelRequest, dialect: Dialect) -> dict[str, Any]:
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": request.model,
        "input": [
            {
                "role": message.role,
                "content": _content(message.parts, _response_block(message.role)),
            }
            for message in _messages(request, dialect)
        ],
        "store": False,
        "stream": False,  # some endpoints stream when it is left out
    }
    if dialect.binding == "json_schema":
        form = {"type": "json_schema", "name": "verdict", "strict": True, "schema": request.schema}
        body["text"] = {"format": form}
    elif dialect.binding == "json_object":
        body["text"] = {"format": {"type": "json_object"}}
    effort = sampling.reasoning_effort
    options = {  # the responses form has no seed
        "max_output_tokens": sampling.max_tokens,
        "reasoning": None if effort is None else {"effort": effort},
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    return body | {name: value for name, value in options.items() if value is not None}


CHAT = Wire("/chat/completions", _chat_body, chat_reply)
RESPONSES = Wire("/responses", _responses_body, responses_reply)
WIRES = {"chat": CHAT, "responses": RESPONSES}


def parse_reply(wire: Wire, answer: Any) -> ModelReply:
    """The reply in an answer.

    Raises:
        BackendFailure: it does not have the form of an answer.
    """
    try:
        return wire.reply(answer)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        raise BackendFailure(f"the endpoint answered without a message: {_short(answer)}") from None


def _short(answer: Any) -> str:
    try:
        return json.dumps(answer)[:200]
    except RecursionError:
        return "JSON that nests too deep to be shown"
