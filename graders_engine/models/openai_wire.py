"""The two request forms of OpenAI-compatible endpoints: chat completions, and responses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graders_engine.errors import BackendFailure
from graders_engine.models.base import (
    AudioPart,
    ImagePart,
    ModelMessage,
    ModelReply,
    ModelRequest,
    Role,
    TextPart,
)
from graders_engine.models.dialects.dialect import Dialect
from graders_engine.models.replies.forms import chat_reply, responses_reply


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


_BETWEEN = TextPart("\n\n")
"""Between messages that are sent as one."""


def _instruction(schema: dict[str, Any]) -> str:
    """The instruction for a model whose endpoint takes no schema."""
    return (
        "Answer with one JSON object and nothing else. It must match this JSON Schema:\n"
        + json.dumps(schema)
    )


def _messages(request: ModelRequest, dialect: Dialect) -> list[ModelMessage]:
    """The conversation; without schema support, the schema is prepended as an instruction."""
    messages, left_out = list(request.messages), dialect.left_out
    system: Role = "user" if "system" in left_out else "system"
    if not left_out.isdisjoint(("developer", "system")):
        # An endpoint without the role `system` does not know `developer` either.
        instructing = ("system", "developer")
        messages = [
            ModelMessage(system, message.parts) if message.role in instructing else message
            for message in messages
        ]
    if dialect.binding != "json_schema":
        instruction = TextPart(_instruction(request.schema))
        if messages[0].role == system:  # many chat templates allow one system message, the first
            messages[0] = ModelMessage(system, (instruction, _BETWEEN, *messages[0].parts))
        else:
            messages.insert(0, ModelMessage(system, (instruction,)))
    return messages if left_out.isdisjoint(("system", "turns")) else _in_turns(messages)


def _in_turns(messages: list[ModelMessage]) -> list[ModelMessage]:
    """The messages, with those of one role in a row as one."""
    turns = messages[:1]
    for message in messages[1:]:
        last = turns[-1]
        if message.role == last.role:
            turns[-1] = ModelMessage(last.role, (*last.parts, _BETWEEN, *message.parts))
        else:
            turns.append(message)
    return turns


def _content(parts: Sequence[Any], block: Callable[[Any], dict[str, Any]]) -> Any:
    """Text alone is sent as a string, which every endpoint accepts; anything else as blocks."""
    if all(isinstance(part, TextPart) for part in parts):
        return "".join(part.text for part in parts)
    return [block(part) for part in parts]


def chat_content(parts: Sequence[TextPart | ImagePart | AudioPart]) -> Any:
    """The content of a chat completion's message."""
    return _content(parts, _chat_block)


def _chat_block(part: TextPart | ImagePart | AudioPart) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        image = {"url": part.url} | ({"detail": part.detail} if part.detail else {})
        return {"type": "image_url", "image_url": image}
    return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}


def _chat_body(request: ModelRequest, dialect: Dialect) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [
            {"role": message.role, "content": chat_content(message.parts)}
            for message in _messages(request, dialect)
        ],
    }
    if dialect.binding == "json_schema":
        named = {"name": "verdict", "strict": True, "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    elif dialect.binding == "json_object":
        body["response_format"] = {"type": "json_object"}
    options = dialect.options(request.sampling)
    if "max_tokens" in options:
        options[dialect.limit_name] = options.pop("max_tokens")
    return body | options


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
    body: dict[str, Any] = {
        "model": request.model,
        "input": [
            {
                "role": message.role,
                "content": _content(message.parts, _response_block(message.role)),
            }
            for message in _messages(request, dialect)
        ],
    }
    # Some endpoints stream when it is left out.
    body |= {name: False for name in ("store", "stream") if name not in dialect.left_out}
    if dialect.binding == "json_schema":
        form = {"type": "json_schema", "name": "verdict", "strict": True, "schema": request.schema}
        body["text"] = {"format": form}
    elif dialect.binding == "json_object":
        body["text"] = {"format": {"type": "json_object"}}
    options = dialect.options(request.sampling)
    options.pop("seed", None)  # this form has none
    if "max_tokens" in options:
        options["max_output_tokens"] = options.pop("max_tokens")
    if "reasoning_effort" in options:
        options["reasoning"] = {"effort": options.pop("reasoning_effort")}
    return body | options


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
