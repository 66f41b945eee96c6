"""The messages of a chat completion: who says what. Texts alone; what a model cannot read is refused."""

from __future__ import annotations

from typing import Any

from graders_engine.body_fields import Fields
from graders_engine.errors import Mistake
from graders_engine.graders import mistakes
from graders_engine.language import strict_json

ROLES = ("system", "developer", "user", "assistant", "tool")
_TEXT_ALONE = "the models of this server read text alone."
_NO_PLACE = {
    "audio": "The models of this server have no sound: leave out `audio`.",
    "function_call": "`function_call` was retired: give calls as `tool_calls`.",
    "refusal": "The models of this server know no `refusal`: give it as `content`.",
}
"""What answers of the API may have, and no model here can be shown."""


def read_messages(body: Fields) -> list[dict[str, Any]]:
    """The messages, without the nulls and empty lists that answers of the API have.

    Args:
        body: that has `messages`.
    """
    return [_message(message) for message in body.objects("messages", required=True, least=1)]


def _message(message: Fields) -> dict[str, Any]:
    role = message.word("role", ROLES, required=True)
    found: dict[str, Any] = {"role": role}
    calls = _calls(message) if role == "assistant" else []
    content = _content(message, required=not calls)
    found["content"] = content
    if calls:
        found["tool_calls"] = calls
    if (name := message.text("name")) is not None:
        found["name"] = name
    if role == "tool":
        found["tool_call_id"] = message.text("tool_call_id", required=True)
    if role == "assistant" and message.value("annotations"):
        message.add(_refused(message, "annotations", "Only `content` is shown to a model."))
    message.close(_NO_PLACE)
    return found


def _refused(fields: Fields, key: str, message: str) -> Mistake:
    return Mistake(message, fields.path(key), "unknown_parameter")


def _content(message: Fields, *, required: bool) -> str | None:
    """The text of a message; parts are put together."""
    content = message.value("content", required=required)
    if content is None or isinstance(content, str):
        return message.text("content")
    if not isinstance(content, list):
        expected = "a string or an array of parts"
        message.add(mistakes.invalid_type(message.path("content"), expected, content))
        return None
    return "".join(map(_part, message.objects("content", least=1)))


def _part(part: Fields) -> str:
    kind = part.text("type", required=True)
    if kind is None:
        return ""
    if kind != "text":
        path = part.path("type")
        part.add(
            mistakes.invalid(path, f"a part of the type '{kind[:60]}' is no text; {_TEXT_ALONE}")
        )
        return ""
    text = part.text("text", required=True)
    part.close()
    return text or ""


def _calls(message: Fields) -> list[dict[str, Any]]:
    return [_call(call) for call in message.objects("tool_calls")]


def _call(call: Fields) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": call.text("id", required=True),
        "type": call.word("type", ("function",), required=True),
    }
    function = call.fields("function", required=True)
    if function is not None:
        found["function"] = {
            "name": function.text("name", required=True),
            "arguments": _arguments(function),
        }
        function.close()
    call.close()
    return found


def _arguments(function: Fields) -> str | None:
    """The arguments of a call, which are the JSON text of an object."""
    text = function.text("arguments", required=True)
    if text is not None:
        try:
            is_object = isinstance(strict_json.decode(text or "{}"), dict)
        except ValueError:
            is_object = False
        if not is_object:
            reason = "it is not the JSON of an object."
            function.add(mistakes.invalid(function.path("arguments"), reason))
    return text
