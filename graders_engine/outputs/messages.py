"""Messages of a model, and its tool calls, as a sample."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graders_engine.errors import UnknownForm
from graders_engine.language import strict_json
from graders_engine.language.content import text_of
from graders_engine.language.kinds import kind_of

MODEL_ROLES = ("assistant", "model", None)
"""The roles of messages that a model wrote; a message without a role is its, too."""
_ROLES = (*MODEL_ROLES, "user", "system", "developer", "tool", "function", "human")
_FINISHES = {"max_tokens": "length", "max_output_tokens": "length", "MAX_TOKENS": "length"}
"""Other words for the reason why a text ends."""
_KNOWN_KEYS = frozenset(
    {
        "annotations", "audio", "citations", "content", "function_call", "id", "index", "logprobs",
        "metadata",
        "model", "name", "object", "parsed", "phase", "provider_specific_fields", "reasoning",
        "reasoning_content", "reasoning_details", "refusal", "role", "status", "stop_reason", "stop_sequence",
        "thinking", "thinking_blocks", "tool_call_id", "tool_calls", "type", "usage", "weight",
    }
)  # fmt: skip
"""The keys of a message under which there is no text, apart from `content` and `refusal`."""


def is_message(value: Any) -> bool:
    """Whether a value is a chat message."""
    return isinstance(value, Mapping) and "role" in value and "choices" not in value


def finish_of(holder: Mapping[str, Any]) -> str:
    """Why the model's text ends, in the words of chat completions."""
    for key in ("finish_reason", "stop_reason", "done_reason"):
        if isinstance(reason := holder.get(key), str) and reason:
            return _FINISHES.get(reason, reason)
    return "stop"


def message_text(message: Mapping[str, Any], where: str = "content") -> str:
    """The text of a message; empty where the model wrote none.

    Raises:
        UnknownForm: its content has no known form, or is elsewhere.
    """
    text = text_of(message.get("content"), where) or text_of(message.get("refusal"), "refusal")
    if text or message.get("tool_calls") or message.get("function_call") or message.get("audio"):
        return text
    if not message.get("content") and (
        others := [key for key, value in message.items() if value and key not in _KNOWN_KEYS]
    ):
        raise UnknownForm(
            f"The message has no text under `content`, but it has {', '.join(map(str, others))}."
        )
    return text


def tool_calls_in(message: Mapping[str, Any], where: str = "tool_calls") -> list[Any]:
    """The tool calls of a message, in the form of chat completions."""
    calls = tool_list(message.get("tool_calls"), where)
    if not calls and isinstance(message.get("function_call"), Mapping):
        calls = [{"type": "function", "function": message["function_call"]}]
    return calls or list(_uses_in(message.get("content")))


def tool_list(calls: Any, where: str) -> list[Any]:
    """Tool calls: a list, or its JSON text.

    Raises:
        UnknownForm: they are something else.
    """
    found = calls
    if isinstance(calls, str) and calls:
        try:
            found = strict_json.decode(calls)
        except ValueError:
            raise UnknownForm(
                f"`{where}` must be an array of tool calls, but it is a string."
            ) from None
    if not found and (found is None or isinstance(found, (str, list, tuple, dict))):
        return []
    if not isinstance(found, (list, tuple)):
        raise UnknownForm(f"`{where}` must be an array of tool calls, but it is {kind_of(found)}.")
    return list(found)


def _uses_in(content: Any) -> Iterator[dict[str, Any]]:
    """The tool calls among the parts of a content, as in Anthropic's messages."""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, Mapping) and part.get("type") == "tool_use":
            arguments = json.dumps(part.get("input"), ensure_ascii=False)
            yield {
                "id": part.get("id"),
                "type": "function",
                "function": {"name": part.get("name"), "arguments": arguments},
            }


def one_choice(message: dict[str, Any], finish: str) -> dict[str, Any]:
    """A sample object of one message."""
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def from_messages(messages: Sequence[Mapping[str, Any]], finish: str = "stop") -> dict[str, Any]:
    """A sample from a conversation: the model's last text, and all its tool calls.

    Raises:
        UnknownForm: no message is the model's, or the text of one has no known form.
    """
    replies = [message for message in messages if message.get("role") in MODEL_ROLES]
    unknown = [message for message in messages if message.get("role") not in _ROLES]
    if unknown or not replies:
        roles = ", ".join(
            dict.fromkeys(str(message.get("role")) for message in unknown or messages)
        )
        what = (
            "Messages have unknown roles"
            if unknown
            else "No message is the assistant's; the roles are"
        )
        raise UnknownForm(f"{what}: {roles or 'none'}.")
    texts = [text for message in replies if (text := message_text(message))]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": texts[-1] if texts else None,
        "tool_calls": [call for message in replies for call in tool_calls_in(message)],
    }
    audio = [message["audio"] for message in replies if message.get("audio")]
    if audio:
        message["audio"] = audio[-1]
    if finish == "stop" and len(messages) == 1:
        finish = finish_of(messages[0])
    return one_choice(message, finish)
