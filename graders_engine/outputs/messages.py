"""Messages of a model, and its tool calls, as a sample."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graders_engine.errors import UnknownForm
from graders_engine.language import strict_json
from graders_engine.language.content import CUT_OFF, text_of
from graders_engine.language.kinds import kind_of
from graders_engine.outputs.known_keys import unknown_keys
from graders_engine.outputs.no_answer import require_answer, require_ended

_MODEL_ROLES = ("assistant", "model", "ai", "chatbot", None)
"""The roles of messages that a model wrote; a message without a role is its, too."""
_PROMPT_ROLES = ("user", "human", "system", "developer")
_ROLES = (*_MODEL_ROLES, *_PROMPT_ROLES, "tool", "function")
_FINISH_KEYS = (
    "finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason", "stop_type",
    "completionReason",
)  # fmt: skip
_ABOUT_FINISH = ("details", "meta_info", "response_metadata", "generation_info")
"""Keys of objects beside a text that may say why it ends."""
_OF_NUMBERS = {1: "stop", 2: "length", 5: "other", 6: "language", 10: "malformed_function_call"}
"""Gemini's numbers of reasons; the others say that a text was not allowed."""
_CUT = ("stopped_limit", "is_truncated")
"""Keys that are true where a text is cut off."""
_CALLS = ("tool_calls", "toolCalls", "function_call")


def is_message(value: Any) -> bool:
    """Whether a value is a chat message."""
    return isinstance(value, Mapping) and "role" in value and "choices" not in value


def role_of(message: Mapping[str, Any]) -> Any:
    """The role of a message in lower case; None where it has none."""
    role = message.get("role")
    return role.lower() if isinstance(role, str) else role


def is_models(message: Mapping[str, Any]) -> bool:
    """Whether the model wrote a message."""
    return role_of(message) in _MODEL_ROLES


def finish_of(holder: Mapping[str, Any], without: str = "stop") -> str:
    """Why the model's text ends, in the words of chat completions; `without` where nothing says it."""
    held = (holder, *(holder.get(key) for key in _ABOUT_FINISH))
    reasons = (_finish_in(one) for one in held if isinstance(one, Mapping))
    return next(filter(None, reasons), without)


def _finish_in(holder: Mapping[str, Any]) -> str:
    if any(holder.get(key) is True for key in _CUT):
        return "length"
    for key in (*_FINISH_KEYS, "incomplete_details"):
        reason = holder.get(key)
        if isinstance(reason, Mapping):  # of SGLang, AI21 and the Responses API
            reason = reason.get("type") or reason.get("reason")
        if isinstance(reason, str) and reason:
            return "length" if reason.lower() in CUT_OFF else reason
        if type(reason) is int and reason:
            return _OF_NUMBERS.get(reason, "content_filter")
    return ""


def content_of(message: Mapping[str, Any]) -> Any:
    """The content of a message, which the forms of Gemini and of the AI SDK have under `parts`."""
    content, parts = message.get("content"), message.get("parts")
    return parts if not content and isinstance(parts, list) else content


def message_text(message: Mapping[str, Any], where: str = "content") -> str:
    """The text of a message; empty where the model wrote none.

    Raises:
        UnknownForm: its content has no known form, or is elsewhere.
    """
    text = text_of(content_of(message), where) or text_of(message.get("refusal"), "refusal")
    if text or any(message.get(key) for key in (*_CALLS, "audio")):
        return text
    if not message.get("content") and (
        others := [key for key in unknown_keys(message) if key not in ("content", "refusal")]
    ):
        raise UnknownForm(
            f"The message has no text under `content`, but it has {', '.join(map(str, others))}."
        )
    return text


def tool_calls_in(message: Mapping[str, Any], where: str = "tool_calls") -> list[Any]:
    """The tool calls of a message, in the form of chat completions."""
    calls = [
        _in_chat_form(call)
        for call in tool_list(message.get("tool_calls") or message.get("toolCalls"), where)
    ]
    if not calls and isinstance(message.get("function_call"), Mapping):
        calls = [{"type": "function", "function": message["function_call"]}]
    return calls or list(_uses_in(content_of(message)))


def _in_chat_form(call: Any) -> Any:
    """A tool call of LangChain or of the AI SDK in the form of chat completions; any other as it is."""
    if not isinstance(call, Mapping) or "function" in call or "custom" in call:
        return call
    name = call.get("name") or call.get("toolName")
    given = next((call[key] for key in ("args", "input", "arguments") if key in call), None)
    if name is None or given is None:
        return call
    return {
        "id": call.get("id") or call.get("toolCallId"),
        "type": "function",
        "function": {
            "name": name,
            "arguments": given if isinstance(given, str) else json.dumps(given, ensure_ascii=False),
        },
    }


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
    """The tool calls among the parts of a content, as in messages of Anthropic, Bedrock and Gemini."""
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, Mapping):
            continue
        use = (
            part
            if part.get("type") == "tool_use"
            else part.get("toolUse") or part.get("functionCall")
        )
        if isinstance(use, Mapping):
            given = use["args"] if "args" in use else use.get("input")
            yield {
                "id": use.get("id") or use.get("toolUseId"),
                "type": "function",
                "function": {
                    "name": use.get("name"),
                    "arguments": json.dumps(given, ensure_ascii=False),
                },
            }


def require_no_conversation(values: Sequence[Any]) -> None:
    """Check that a list with some messages holds samples, and not a conversation with a slip in it.

    Raises:
        UnknownForm: it is one.
    """
    for one in values:
        if isinstance(one, Mapping) and "content" in one and not is_message(one):
            keys = ", ".join(map(str, one))
            raise UnknownForm(f"A message among others has no `role` (its keys: {keys}).")
    if any(is_message(one) and not is_models(one) for one in values):
        other = next(one for one in values if not is_message(one))
        raise UnknownForm(
            f"Among the messages of a conversation is {kind_of(other)} without a `role`."
        )


def one_choice(message: dict[str, Any], finish: str) -> dict[str, Any]:
    """A sample object of one message."""
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def require_content(replies: Sequence[Mapping[str, Any]], finish: str, where: str) -> None:
    """Check that messages of the model without a text, a tool call and audio are an answer.

    Raises:
        NoOutput, UnknownForm: they are none; as `require_answer`.
    """
    stated = any(key in one for one in replies for key in ("content", "parts"))
    require_answer(finish, stated=stated, lacking=f"{where} has no `content`")


def from_messages(messages: Sequence[Mapping[str, Any]], finish: str = "") -> dict[str, Any]:
    """A sample from a conversation: the model's last text, and all its tool calls, after the last prompt.

    Args:
        messages: the conversation.
        finish: why it ends; empty where nothing beside it says so.

    Raises:
        UnknownForm: no message after the last one of the user is the model's, or the text of one has no known
            form, or nothing says that the model answered.
        NoOutput: the endpoint withheld the answer, or failed.
    """
    prompts = (place for place, one in enumerate(messages, 1) if role_of(one) in _PROMPT_ROLES)
    replies = [one for one in messages[max(prompts, default=0) :] if is_models(one)]
    unknown = [one for one in messages if role_of(one) not in _ROLES]
    if unknown or not replies:
        roles = ", ".join(
            dict.fromkeys(str(message.get("role")) for message in unknown or messages)
        )
        what = (
            "Messages have unknown roles"
            if unknown
            else "No message after the last one of the user is the assistant's; the roles are"
            if any(map(is_models, messages))
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
    if finish in ("", "stop"):
        finish = finish_of(replies[-1], finish)
    require_ended(finish)
    if not (texts or message["tool_calls"] or audio):
        require_content(replies, finish, "The output's message")
    return one_choice(message, finish or "stop")
