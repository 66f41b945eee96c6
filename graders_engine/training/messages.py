"""The messages of a row as chat templates take them; what a template cannot show a model is refused."""

from __future__ import annotations

import json
from typing import Any

from graders_engine.language import strict_json

ROLES = ("system", "developer", "user", "assistant", "tool")
_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id", "weight", "reasoning_content")
_EMPTY_OK = ("refusal", "audio", "function_call", "annotations")
"""Keys that answers of the API have, without a value."""


class BadRow(Exception):
    """A row that cannot be trained with; its text says why."""


def messages_of(value: Any, what: str = "messages", *, developer: bool = True) -> list[Any]:
    """A list of messages in the form of chat templates.

    Args:
        value: what the row has.
        what: its key.
        developer: whether the template knows this role; it is "system" where it does not.

    Raises:
        BadRow: it is no such list, or holds more than text.
    """
    if not isinstance(value, list) or not value:
        raise BadRow(f"`{what}` must be a list of messages that is not empty.")
    found = [
        _message(message, f"{what}[{number}]", developer=developer)
        for number, message in enumerate(value)
    ]
    _require_characters(found, what)
    return found


def _require_characters(value: Any, what: str) -> None:
    """Refuse half of a character, in any text of a JSON value: no tokenizer takes it."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadRow(f"`{what}` has half of a character, a lone surrogate.") from None


def _message(message: Any, what: str, *, developer: bool) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise BadRow(f"`{what}` must be an object.")
    role = message.get("role")
    if role not in ROLES:
        raise BadRow(f"`{what}.role` must be one of {', '.join(ROLES)}.")
    for key, given in message.items():
        if key not in _KEYS and (given or key not in _EMPTY_OK):
            raise BadRow(f"`{what}.{key}` cannot be trained with.")
    found: dict[str, Any] = {
        "role": "system" if role == "developer" and not developer else role,
        "content": _text(message.get("content"), f"{what}.content"),
    }
    found |= {
        key: message[key]
        for key in ("name", "tool_call_id", "reasoning_content")
        if message.get(key) is not None
    }
    if calls := message.get("tool_calls"):
        found["tool_calls"] = _calls(calls, f"{what}.tool_calls")
    elif message.get("content") is None:
        raise BadRow(f"`{what}` has neither `content` nor `tool_calls`.")
    return found


def _text(content: Any, what: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise BadRow(f"`{what}` must be text or a list of parts.")
    texts = []
    for number, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text":
            raise BadRow(
                f"`{what}[{number}]` is no part of type text, and only text can be trained with."
            )
        if not isinstance(part.get("text"), str):
            raise BadRow(f"`{what}[{number}].text` must be text.")
        texts.append(part["text"])
    return "".join(texts)


def _calls(calls: Any, what: str) -> list[Any]:
    """Tool calls with their arguments as objects, which is what templates take."""
    if not isinstance(calls, list):
        raise BadRow(f"`{what}` must be a list.")
    found = []
    for number, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise BadRow(f"`{what}[{number}].function` must have a `name`.")
        arguments = function.get("arguments", "{}")
        if isinstance(arguments, str):
            try:
                arguments = strict_json.decode(arguments or "{}")
            except ValueError as error:
                raise BadRow(f"`{what}[{number}].function.arguments` is not JSON.") from error
        if not isinstance(arguments, dict):
            raise BadRow(f"`{what}[{number}].function.arguments` must be the JSON of an object.")
        found.append({**call, "function": {**function, "arguments": arguments}})
    return found


def tools_of(row: dict[str, Any]) -> list[Any] | None:
    """The tools of a row; None if it has none.

    Raises:
        BadRow: they are no list of objects, or in a form that was retired.
    """
    if row.get("functions"):
        raise BadRow("`functions` cannot be trained with: give them as `tools`.")
    tools = row.get("tools")
    if not tools:
        return None
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise BadRow("`tools` must be a list of objects.")
    _require_characters(tools, "tools")
    return tools


def weights_of(messages: list[Any]) -> list[int]:
    """For each message of a row, whether it is trained: 1 or 0; only those of the assistant can be.

    Raises:
        BadRow: a weight is something else, or none is 1.
    """
    found = []
    for number, message in enumerate(messages):
        of_assistant = isinstance(message, dict) and message.get("role") == "assistant"
        weight = message.get("weight") if isinstance(message, dict) else None
        if weight is None:
            weight = int(of_assistant)
        elif not of_assistant:
            raise BadRow(f"`messages[{number}].weight`: only messages of the assistant have one.")
        elif isinstance(weight, bool) or weight not in (0, 1):
            raise BadRow(f"`messages[{number}].weight` must be 0 or 1.")
        found.append(int(weight))
    if not any(found):
        raise BadRow(
            "No message of the row is trained: it needs one of the assistant with weight 1."
        )
    return found
