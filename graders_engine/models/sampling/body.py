"""The body of a sampling, in both request forms; a chat completion's is the one that requests hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from graders_engine.models.base import ModelRequest

_LIMIT = "max_completion_tokens"
_AS_THEY_ARE = ("temperature", "top_p", "tool_choice", "parallel_tool_calls")
"""Keys that both forms have with the same meaning."""


def sampling_body(api: str, request: ModelRequest, drop: Collection[str] = ()) -> dict[str, Any]:
    """The body to send.

    Args:
        api: the request form, "chat" or "responses".
        request: the sampling.
        drop: the options that graders.toml leaves out for this endpoint.
    """
    dropped = {_LIMIT if name == "max_tokens" else name for name in drop}
    chat = {key: value for key, value in request.body.items() if key not in dropped}
    body = chat if api == "chat" else responses_body(chat, dropped)
    return {"model": request.model, **body}


def responses_body(chat: Mapping[str, Any], dropped: Collection[str] = ()) -> dict[str, Any]:
    """The body of a response that asks the same as a chat completion; it has no `seed`."""
    body: dict[str, Any] = {"input": list(_items(chat.get("messages", ())))}
    body |= {name: False for name in ("store", "stream") if name not in dropped}
    body |= {key: chat[key] for key in _AS_THEY_ARE if key in chat}
    if _LIMIT in chat:
        body["max_output_tokens"] = chat[_LIMIT]
    if "reasoning_effort" in chat:
        body["reasoning"] = {"effort": chat["reasoning_effort"]}
    if "tools" in chat:
        body["tools"] = [_tool(tool) for tool in chat["tools"]]
    if wanted := chat.get("response_format"):
        body["text"] = {"format": {"type": wanted["type"], **wanted.get("json_schema", {})}}
    return body


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    # Left out, `strict` is true in this form and false in chat completions.
    return {"type": "function", "strict": False, **tool["function"]}


def _items(messages: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The messages of a chat as the items of a response's input."""
    for message in messages:
        role, content = message["role"], message.get("content")
        if role == "tool":
            call_id = message.get("tool_call_id")
            yield {"type": "function_call_output", "call_id": call_id, "output": _output(content)}
            continue
        if content not in (None, "", []):
            yield {"role": role, "content": _content(content, role)}
        for call in message.get("tool_calls") or ():
            function = call["function"]
            yield {
                "type": "function_call",
                "call_id": call["id"],
                "name": function["name"],
                "arguments": function["arguments"],
            }


def _output(content: Any) -> Any:
    """What a tool's message says: its text, or its parts where some are no texts."""
    parts = content if isinstance(content, list) else []
    if any(part.get("type") != "text" for part in parts):
        return [_block(part, "tool") for part in parts]
    return "".join(part["text"] for part in parts) if parts else content or ""


def _content(content: Any, role: str) -> Any:
    if isinstance(content, str):
        return content
    return [_block(part, role) for part in content]


def _block(part: Mapping[str, Any], role: str) -> dict[str, Any]:
    kind = part.get("type")
    if kind == "text":
        return {
            "type": "output_text" if role == "assistant" else "input_text",
            "text": part["text"],
        }
    if kind == "image_url":
        image = part["image_url"]
        return {
            "type": "input_image",
            "image_url": image["url"],
            "detail": image.get("detail", "auto"),
        }
    return dict(part)
