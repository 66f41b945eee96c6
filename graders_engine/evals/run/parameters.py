"""The sampling parameters of a run as the keys of a chat completion's body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graders_engine.errors import InvalidRequest

_PLAIN = ("temperature", "top_p", "seed", "reasoning_effort", "tool_choice", "parallel_tool_calls")
_LIMITS = ("max_completion_tokens", "max_completions_tokens", "max_tokens", "max_output_tokens")
"""Spellings of the limit on an answer's tokens; the first that is given counts."""


def body_of(source: Mapping[str, Any]) -> dict[str, Any]:
    """What a data source says of how its model is asked, without the messages and the model's name.

    Args:
        source: the data source, `completions` or `responses`.

    Raises:
        InvalidRequest: it names a tool that only the hosted service has.
    """
    params = {
        key: value
        for key, value in (source.get("sampling_params") or {}).items()
        if value is not None
    }
    body = {key: params[key] for key in _PLAIN if key in params}
    if limits := [params[key] for key in _LIMITS if key in params]:
        body["max_completion_tokens"] = limits[0]
    if tools := params.get("tools"):
        body["tools"] = [_tool(tool, place) for place, tool in enumerate(tools)]
    wanted = params.get("response_format") or (params.get("text") or {}).get("format")
    if wanted and wanted.get("type") != "text":
        body["response_format"] = _format(wanted)
    return body


def _tool(tool: Mapping[str, Any], place: int) -> dict[str, Any]:
    """A function in the form of chat completions; those of responses have its keys beside the type."""
    if tool.get("type") != "function":
        raise InvalidRequest(
            f"Invalid 'sampling_params.tools[{place}]': tools of the type '{tool.get('type')}' run at the "
            "hosted service only. Supported values are: 'function'."
        )
    if "function" in tool:
        return dict(tool)
    function = {key: value for key, value in tool.items() if key != "type" and value is not None}
    # Left out, `strict` is true in the form of responses and false in this one.
    return {"type": "function", "function": {"strict": True, **function}}


def _format(wanted: Mapping[str, Any]) -> dict[str, Any]:
    if wanted.get("type") != "json_schema" or "json_schema" in wanted:
        return dict(wanted)
    schema = {key: value for key, value in wanted.items() if key != "type" and value is not None}
    return {"type": "json_schema", "json_schema": schema}
