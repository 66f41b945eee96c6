"""The parts of a sample that attacks and corruptions work on: its text, its JSON, its tool calls."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from graders_engine.preflight.data_file import normalized
from graders_engine.preflight.references import Sample

_WORD = re.compile(r"\w+")
_DEEPEST = 100
"""Levels of a JSON value whose parts are looked at; a deeper one is a text like any other."""


class Call(NamedTuple):
    """A tool call.

    Attributes:
        name: of the tool.
        arguments: as a JSON value, or the text if it is not JSON.
    """

    name: str
    arguments: Any


def json_of(text: str) -> Any:
    """The object or list that a text is as JSON; None for anything else, and for what nests too deeply."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, (dict, list)) and _can_be_followed(value) else None


def _can_be_followed(value: Any) -> bool:
    """Whether a JSON value has at most `_DEEPEST` levels."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            part
            for one in level
            if isinstance(one, (dict, list))
            for part in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return True
    return False


def to_text(value: Any) -> str:
    """A JSON value as a model would write it."""
    return json.dumps(value, ensure_ascii=False)


def text_of(sample: Sample) -> str:
    """The text of a sample."""
    if isinstance(sample, str):
        return sample
    if isinstance(text := sample.get("output_text"), str):
        return text
    content = _message(sample).get("content")
    return content if isinstance(content, str) else ""


def calls_of(sample: Sample) -> list[Call]:
    """The tool calls of a sample."""
    if isinstance(sample, str):
        return []
    calls = sample.get("output_tools") or _message(sample).get("tool_calls") or []
    found = []
    for call in calls if isinstance(calls, list) else []:
        body = call.get("function", call) if isinstance(call, Mapping) else None
        if isinstance(body, Mapping):
            found.append(Call(str(body.get("name", "")), _arguments(body.get("arguments"))))
    return found


def _message(sample: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = sample.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    return message if isinstance(message, Mapping) else {}


def _arguments(value: Any) -> Any:
    if not isinstance(value, str):
        return value if _can_be_followed(value) else to_text(value)
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found if _can_be_followed(found) else value


def with_calls(calls: Sequence[Call], text: str = "") -> dict[str, Any]:
    """A sample that makes these calls."""
    made = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {
                "name": call.name,
                "arguments": call.arguments
                if isinstance(call.arguments, str)
                else to_text(call.arguments),
            },
        }
        for number, call in enumerate(calls, 1)
    ]
    message = {"role": "assistant", "content": text, "tool_calls": made}
    ended = "tool_calls" if made else "stop"
    return {
        "choices": [{"index": 0, "message": message, "finish_reason": ended}],
        "output_text": text,
        "output_tools": made,
    }


def each_text(value: Any, change: Callable[[str], Any]) -> Any:
    """A JSON value with each of its texts changed; keys stay as they are."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: each_text(part, change) for key, part in value.items()}
    if isinstance(value, list):
        return [each_text(part, change) for part in value]
    return value


Path = tuple[str | int, ...]


def parts_of(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Each part of a JSON value with its path, the value itself first."""
    yield path, value
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from parts_of(part, (*path, str(key)))
    elif isinstance(value, list):
        for position, part in enumerate(value):
            yield from parts_of(part, (*path, position))


def put(value: Any, path: Path, part: Any) -> Any:
    """A JSON value with another part at a path."""
    if not path:
        return part
    first, *rest = path
    if isinstance(value, list) and isinstance(first, int):
        return [put(one, tuple(rest), part) if at == first else one for at, one in enumerate(value)]
    return {key: put(one, tuple(rest), part) if key == first else one for key, one in value.items()}


def without(value: Any, path: Path) -> Any:
    """A JSON value without the part at a path."""
    first, *rest = path
    if rest:
        return put(value, (first,), without(value[first], tuple(rest)))
    if isinstance(value, list):
        return [one for at, one in enumerate(value) if at != first]
    return {key: one for key, one in value.items() if key != first}


def spelled(path: Path) -> str:
    """A path as people write it, any element of a list as `[]`: `items[].price`."""
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case."""
    return _WORD.findall(normalized(text))


def same_answer(one: Sample, other: Sample) -> bool:
    """Whether two samples say the same: equal JSON, equal words, or equal calls."""
    return answer_key(one) == answer_key(other)


def answer_key(sample: Sample) -> str:
    """Equal for samples that say the same: equal JSON, equal words, or equal calls."""
    if calls := calls_of(sample):
        return f"calls {_canonical([list(call) for call in calls])}"
    text = text_of(sample)
    if (value := json_of(text)) is not None:
        return f"json {_canonical(value)}"
    words = words_of(text)
    return f"words {' '.join(words)}" if words else f"text {normalized(text)}"


def _canonical(value: Any) -> str:
    """Equal for values that differ only in the order of keys, in case, and in numbers as texts."""
    if isinstance(value, Mapping):
        parts = sorted(f"{str(key)!r}:{_canonical(part)}" for key, part in value.items())
        return f"{{{','.join(parts)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_canonical, value))}]"
    return repr(normalized(value if isinstance(value, str) else to_text(value)))
