"""The fields of a chat completion's body that other bodies have, too: tools, and the form of the answer."""

from __future__ import annotations

import re
from typing import Any

from graders_engine.body_fields import Fields
from graders_engine.errors import Mistake
from graders_engine.graders import mistakes

MAX_TOOLS = 128
"""The API's limit."""
MAX_TOOLNAME_CHARS = 64
FORMATS = ("text", "json_schema", "json_object")
NAME = re.compile(rf"[a-zA-Z0-9_-]{{1,{MAX_TOOLNAME_CHARS}}}")


def is_function(tool: Fields) -> bool:
    """Whether a tool is a function, which the caller runs; all others are refused."""
    kind = tool.text("type", required=True)
    if kind is not None and kind != "function":
        path = tool.path("type")
        message = (
            f"Invalid '{path}': a '{kind[:60]}' tool is run by the hosted service, or in a form of its own; "
            "here a model is offered tools of the type 'function' alone."
        )
        tool.add(Mistake(message, path, "tool_not_available"))
    return kind == "function"


def read_function(function: Fields) -> None:
    """Check what a tool says of its function."""
    name = function.text("name", required=True)
    if name is not None and not NAME.fullmatch(name):
        function.add(mistakes.invalid(function.path("name"), _why_no_name(name)))
    function.text("description")
    function.object("parameters")
    function.flag("strict")


def _why_no_name(name: str) -> str:
    return (
        f"'{name[:MAX_TOOLNAME_CHARS]}' is no name: it has 1 to {MAX_TOOLNAME_CHARS} of the characters "
        "a-z, A-Z, 0-9, _ and -."
    )


def read_chat_tool(tool: Fields) -> None:
    """Check a tool in the form of chat completions."""
    if not is_function(tool):
        return
    function = tool.fields("function", required=True)
    if function is not None:
        read_function(function)
        function.close()
    tool.close()


def read_json_schema(holder: Fields, *, required: bool) -> dict[str, Any] | None:
    """The schema of answers, which has a name; None where it is missing.

    Args:
        holder: the object that has it; it is not closed.
        required: whether it must have a schema.
    """
    name = holder.text("name", required=True)
    if name is not None and not NAME.fullmatch(name):
        holder.add(mistakes.invalid(holder.path("name"), _why_no_name(name)))
    holder.text("description")
    schema = holder.object("schema", required=required)
    holder.flag("strict")
    return schema


def read_response_format(holder: Fields) -> None:
    """Check `response_format`, the form of answers of chat completions."""
    chosen = holder.fields("response_format")
    if chosen is None:
        return
    kind = chosen.word("type", FORMATS, required=True)
    if kind == "json_schema":
        schema = chosen.fields("json_schema", required=True)
        if schema is not None:
            read_json_schema(schema, required=False)
            schema.close()
    if kind is not None:
        chosen.close()
