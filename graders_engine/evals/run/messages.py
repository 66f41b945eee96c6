"""The messages that a run sends to its model: from a template, or from a conversation in the item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from graders_engine.errors import InvalidRequest, InvalidRow, UndefinedVariable
from graders_engine.graders.fields import ParseOptions
from graders_engine.graders.messages import Message, renderer
from graders_engine.language.as_served import compile_as_served
from graders_engine.language.kinds import kind_of
from graders_engine.language.scope import Scope
from graders_engine.models.openai_wire import chat_content

ChatMessages = list[dict[str, Any]]
Render = Callable[[Any], ChatMessages]
"""The messages for an item, in the form of chat completions; raises GradingError or InvalidRow."""

_KEPT = ("content", "name", "tool_calls", "tool_call_id", "refusal")
_ROLES = ("user", "assistant", "system", "developer", "tool")
_SERVED = ParseOptions(templates="as_served")


def message_renderer(input_messages: Mapping[str, Any]) -> Render:
    """What renders the messages of a data source.

    Args:
        input_messages: `template` with messages, or `item_reference`.

    Raises:
        InvalidRequest: they cannot be read.
    """
    if input_messages.get("type") == "item_reference":
        return _referenced(str(input_messages.get("item_reference")))
    try:
        messages = TypeAdapter(list[Message]).validate_python(
            input_messages.get("template"), context=_SERVED
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(
            f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]
        )
        raise InvalidRequest(f"Invalid 'input_messages.template{place}': {first['msg']}.") from None
    render = renderer(messages)

    def chat(item: Any) -> ChatMessages:
        return [
            {"role": message.role, "content": chat_content(message.parts)}
            for message in render(Scope(item, "", absent=True))
        ]

    return chat


def _referenced(reference: str) -> Render:
    """The conversation that an item has at a path, such as `item.input_trajectory`."""
    variables = compile_as_served(f"{{{{{reference}}}}}").variables
    if len(variables) != 1 or variables[0].namespace != "item" or not variables[0].steps:
        raise InvalidRequest(
            f"Invalid 'input_messages.item_reference': '{reference}' is no path in the item, such as "
            "'item.input_trajectory'."
        )
    variable = variables[0]

    def chat(item: Any) -> ChatMessages:
        found = variable.value(Scope(item, "", absent=True))
        if not isinstance(found, list) or not found:
            raise UndefinedVariable(
                f"`{reference}` must be an array of messages, but it is "
                f"{'empty' if found == [] else kind_of(found)}",
                "row",
            )
        return chat_messages(found, reference)

    return chat


def chat_messages(items: list[Any], path: str) -> ChatMessages:
    """Messages, or the items of a response, in the form of chat completions.

    Args:
        items: chat messages, and messages, calls and outputs of functions as responses have them.
        path: where they are, for errors.

    Raises:
        InvalidRow: one of them is of another kind.
    """
    messages: ChatMessages = []
    for position, item in enumerate(items):
        if not isinstance(item, Mapping):
            raise InvalidRow(f"`{path}[{position}]` must be an object, but it is {kind_of(item)}.")
        kind = item.get("type", "message")
        if kind == "function_call":
            _add_call(messages, item)
        elif kind == "function_call_output":
            output = item.get("output")
            text = output if isinstance(output, str) else list(_blocks(output or []))
            messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": text})
        elif kind == "message" and item.get("role") in _ROLES:
            messages.append(_message(item))
        else:
            what = f"role '{item.get('role')}'" if kind == "message" else f"type '{kind}'"
            raise InvalidRow(
                f"`{path}[{position}]` has the {what}, which a chat completion cannot have: it has messages "
                f"with the roles {', '.join(_ROLES)}, and calls of functions with their outputs."
            )
    return messages


def _message(item: Mapping[str, Any]) -> dict[str, Any]:
    message = {key: item[key] for key in _KEPT if item.get(key) is not None}
    content = item.get("content")
    if isinstance(content, Mapping):
        content = [content]
    if isinstance(content, list):
        message["content"] = list(_blocks(content))
    elif item["role"] == "assistant":
        message["content"] = content
    return {"role": item["role"], **message}


def _add_call(messages: ChatMessages, item: Mapping[str, Any]) -> None:
    """Add a call to the message of the model that it belongs to."""
    function = {"name": item.get("name"), "arguments": item.get("arguments")}
    call = {
        "id": item.get("call_id") or item.get("id"),
        "type": "function",
        "function": function,
    }
    if messages and messages[-1]["role"] == "assistant":
        messages[-1] = {
            **messages[-1],
            "tool_calls": [*messages[-1].get("tool_calls", ()), call],
        }
    else:
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})


def _blocks(content: list[Any]) -> Iterator[Any]:
    """The parts of a message as chat completions have them."""
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if isinstance(part, str):
            yield {"type": "text", "text": part}
        elif kind in ("input_text", "output_text"):
            yield {"type": "text", "text": part.get("text")}
        elif kind == "input_image":
            detail = {"detail": part["detail"]} if part.get("detail") else {}
            yield {"type": "image_url", "image_url": {"url": part.get("image_url"), **detail}}
        else:
            yield part
