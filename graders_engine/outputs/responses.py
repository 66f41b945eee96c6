"""Responses of the Responses API as samples: one sample each, with its tool calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graders_engine.errors import NoOutput, UnknownForm
from graders_engine.language.content import THOUGHTS, text_of
from graders_engine.outputs.messages import finish_of, is_models, message_text, one_choice
from graders_engine.outputs.no_answer import require_answer, require_ended

_ITEMS = THOUGHTS | {
    "compaction", "function_call", "function_call_output", "item_reference", "mcp_approval_request",
    "mcp_list_tools", "message", "custom_tool_call_output", "tool_search_output", "additional_tools",
}  # fmt: skip
ANSWERS = ("message", "function_call", "custom_tool_call", "mcp_call")
"""Items of a response that are an output by themselves."""
_CALLS = "_call"
"""How the types of all calls of tools end."""
_UNFINISHED = ("queued", "in_progress", "cancelled", "failed")
_FINISHES = {"max_output_tokens": "length", "max_tokens": "length"}


def is_item(value: Any) -> bool:
    """Whether a value is an item of a response's output."""
    kind = value.get("type") if isinstance(value, Mapping) else None
    return isinstance(kind, str) and (kind in _ITEMS or kind.endswith(_CALLS))


def is_response(value: Mapping[str, Any]) -> bool:
    """Whether an object is a response: by its `object`, or by the items in its `output`."""
    if value.get("object") == "response":
        return True
    output = value.get("output")
    return isinstance(output, list) and bool(output) and any(map(is_item, output))


def from_response(response: Mapping[str, Any]) -> dict[str, Any]:
    """The sample of a response.

    Raises:
        NoOutput: the response failed, or is not complete.
        UnknownForm: its output has no known form.
    """
    status, error = response.get("status"), response.get("error")
    if error or status in _UNFINISHED:
        reason = error_in(error) or f"its status is {status}"
        raise NoOutput(f"The response has no output, but an error: {reason}.")
    output = response.get("output")
    if isinstance(output, str):
        return {"output_text": output}
    if not isinstance(output, list):
        keys = ", ".join(map(str, response))
        raise UnknownForm(f"The response has no array `output` (its keys: {keys}).")
    finish = finish_of(response, "stop" if status == "completed" else "")
    if status == "incomplete":
        details = response.get("incomplete_details")
        cut_off = details.get("reason") if isinstance(details, Mapping) else None
        finish = _FINISHES.get(str(cut_off), str(cut_off or "length"))
    return from_items(output, finish, stated=response.get("output_text") == "")


def error_in(error: Any) -> str:
    """What an error says: its text, or its message or code; empty where there is none."""
    if isinstance(error, Mapping):
        within = error.get("error")  # of Anthropic's batches
        error = (
            (error_in(within) if isinstance(within, Mapping) else "")
            or error.get("message")
            or error.get("errorMessage")
            or error.get("code")
            or error.get("type")
            or ""
        )
    return str(error or "").strip().rstrip(".")


def from_items(items: Sequence[Any], finish: str = "", *, stated: bool = False) -> dict[str, Any]:
    """The sample of a response's items: the texts of the messages, joined, and the calls of tools.

    Of a whole conversation, only what comes after the last message of a user counts.

    Args:
        items: these items.
        finish: why they end; empty where nothing beside them says so.
        stated: whether something beside them says that the text is empty.

    Raises:
        UnknownForm: an item is no object, or there are none but those of unknown types, or nothing says that
            the model answered.
        NoOutput: the endpoint withheld the answer.
    """
    for item in items:
        if not isinstance(item, Mapping):
            raise UnknownForm("An item in the `output` of a response must be an object.")
    answer = list(items)
    for place, item in enumerate(items, 1):
        if not is_models(item):
            answer = list(items[place:])
    if items and not answer:
        raise UnknownForm("There is no message of the assistant after the last one of the user.")
    messages = [item for item in answer if item.get("type") == "message" or "role" in item]
    final = [item for item in messages if item.get("phase") == "final_answer"]
    texts = [message_text(item) for item in final or messages]
    calls = [call for item in answer if (call := _call(item))]
    unknown = [str(item.get("type")) for item in answer if not is_item(item) and "role" not in item]
    if unknown and not any(texts) and not calls:
        raise UnknownForm(
            f"The output has no message, but items of unknown types: {', '.join(dict.fromkeys(unknown))}."
        )
    require_ended(finish)
    if not any(texts) and not calls:
        if not finish and any(one.get("status") == "completed" for one in messages):
            finish = "stop"
        spoken = stated or any(one not in messages or "content" in one for one in answer)
        lacking = "has no `content`" if messages else "is empty"
        require_answer(finish, stated=spoken, lacking=f"The response's `output` {lacking}")
    sample = one_choice(
        {"role": "assistant", "content": "".join(texts) or None, "tool_calls": calls},
        finish or "stop",
    )
    summary = "\n\n".join(
        text
        for item in answer
        if item.get("type") == "reasoning" and (text := _summary(item.get("summary")))
    )
    return {**sample, "output_reasoning_summary": summary} if summary else sample


def _summary(parts: Any) -> str:
    texts = [
        part.get("text") if isinstance(part, Mapping) else part
        for part in (parts if isinstance(parts, list) else [parts])
    ]
    return text_of([text for text in texts if isinstance(text, str)])


def _call(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """A call of a tool in the form of chat completions; None for another item.

    Tools that the service runs by itself, such as searches, are no calls that the model asks its caller for;
    those of an MCP server have a name and arguments, and are kept.
    """
    kind = item.get("type")
    call_id = item.get("call_id") or item.get("id")
    if kind in ("function_call", "mcp_call"):
        function = {"name": item.get("name"), "arguments": item.get("arguments")}
        return {"id": call_id, "type": "function", "function": function}
    if kind == "custom_tool_call":
        custom = {"name": item.get("name"), "input": item.get("input")}
        return {"id": call_id, "type": "custom", "custom": custom}
    return None
