"""Values of rows as texts to read: as they are, or as JSON with one value a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from graders_engine.dataset.rows.identity import item_of
from graders_engine.errors import GradingError
from graders_engine.language.scope import Scope

MAX_CHARS = 20_000
"""Characters of one text in an answer; all of it is a file of its own."""
MAX_PRETTY_CHARS = 200_000
"""A longer JSON text stays as it is."""
MAX_FIELDS = 500
"""Keys of an item that are listed."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
_TOO_DEEP = "(It nests too deep to be written.)"


def cut(text: str) -> dict[str, Any]:
    """A text for an answer, and how long all of it is."""
    return {"text": text[:MAX_CHARS], "chars": len(text)}


def as_text(value: Any) -> str:
    """A JSON value as text: a string as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
        if len(text) > MAX_PRETTY_CHARS:
            return text
        return json.dumps(value, ensure_ascii=False, default=repr, indent=2)
    except RecursionError:
        return _TOO_DEEP


def fields_of(item: Any) -> Iterator[tuple[str, Any]]:
    """The parts of an item: its keys and their values; an item that is no object is one part."""
    if isinstance(item, Mapping):
        yield from ((str(key), item[key]) for key in islice(item, MAX_FIELDS))
    elif item is not None:
        yield "item", item


def item_json(row: Any) -> list[dict[str, Any]]:
    """The item of a row, part by part."""
    return [
        {"name": name, "kind": "text" if isinstance(value, str) else "json", **cut(as_text(value))}
        for name, value in fields_of(item_of(row))
    ]


def sample_json(row: Any, scope: Scope | None) -> dict[str, Any] | None:
    """The model's output: text, JSON, or messages; None where there is none to be read.

    Args:
        row: as it is graded.
        scope: of the row; None if it has none.
    """
    if scope is None:
        given = row.get("sample", row.get("model_sample")) if isinstance(row, Mapping) else None
        return (
            None
            if given is None
            else {"kind": "text", **cut(as_text(given)), "messages": [], "raw": None}
        )
    sample = row.get("sample") if isinstance(row, Mapping) else None
    messages = [*_messages(sample, scope)] if isinstance(sample, Mapping) else []
    text = scope.output_text
    if messages:
        return {
            "kind": "chat",
            **cut(text),
            "messages": messages,
            "raw": as_text(sample)[:MAX_CHARS],
        }
    pretty = reindented(text)
    if pretty is not None:
        return {"kind": "json", **cut(pretty), "messages": [], "raw": text[:MAX_CHARS]}
    return {"kind": "text", **cut(text), "messages": [], "raw": None}


def reindented(text: str) -> str | None:
    """A JSON object or array with one value a line; None for any other text, and for a very long one.

    Numbers, strings and repeated keys stay as they are spelled.
    """
    if text[:1] not in ("{", "[") or len(text) > MAX_PRETTY_CHARS:
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    pieces: list[str] = []
    depth = 0
    before = ""
    for word in _TOKEN.findall(text):
        if word in ("}", "]"):
            depth -= 1
            if before not in ("{", "["):
                pieces.append("\n" + "  " * depth)
        elif before in ("{", "[", ","):
            pieces.append("\n" + "  " * depth)
        pieces.append(": " if word == ":" else word)
        depth += word in ("{", "[")
        before = word
    return "".join(pieces)


def _messages(sample: Mapping[str, Any], scope: Scope) -> Iterator[dict[str, Any]]:
    """The messages of a sample that is more than a text."""
    calls = _calls(_value(scope, "output_tools"))
    reasoning = _reasoning(sample, _value(scope, "output_reasoning_summary"))
    if calls or reasoning or "choices" in sample:
        yield {
            "role": _role(sample),
            "text": scope.output_text[:MAX_CHARS],
            "tool_calls": calls,
            "reasoning": reasoning[:MAX_CHARS],
        }


def _value(scope: Scope, key: str) -> Any:
    try:
        return scope.sample_value(key)
    except GradingError:
        return None


def _first_message(sample: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = sample.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    return message if isinstance(message, Mapping) else {}


def _role(sample: Mapping[str, Any]) -> str:
    return str(_first_message(sample).get("role") or "assistant")[:40]


def _reasoning(sample: Mapping[str, Any], summary: Any) -> str:
    message = _first_message(sample)
    for given in (message.get("reasoning_content"), message.get("reasoning"), summary):
        if given:
            return as_text(given)
    return ""


def _calls(tools: Any) -> list[dict[str, str]]:
    """Tool calls as names and arguments."""
    found = []
    for call in tools if isinstance(tools, list) else ():
        inner = (
            next(
                (call[key] for key in ("function", "custom") if isinstance(call.get(key), Mapping)),
                call,
            )
            if isinstance(call, Mapping)
            else {"arguments": call}
        )
        given = next((inner[key] for key in ("arguments", "input") if key in inner), "")
        text = as_text(given)
        found.append(
            {
                "name": str(inner.get("name") or ""),
                "arguments": (reindented(text) or text)[:MAX_CHARS],
            }
        )
    return found
