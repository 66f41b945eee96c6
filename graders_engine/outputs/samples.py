"""Sample objects: those with a known key, checked, and made whole where a key is in an unusual form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from graders_engine.errors import UnknownForm
from graders_engine.language.content import text_of
from graders_engine.language.kinds import kind_of
from graders_engine.language.scope import SAMPLE_KEYS
from graders_engine.outputs.messages import message_text, tool_calls_in, tool_list

_SAMPLE_KEYS = frozenset(SAMPLE_KEYS)
_TEXT = "output_text"


def is_sample(value: Mapping[str, Any]) -> bool:
    """Whether an object has a key of a sample object."""
    return not _SAMPLE_KEYS.isdisjoint(value)


def plain_text(sample: dict[str, Any]) -> str | None:
    """The text of a sample object in the commonest forms, which need no check; None for any other."""
    text = sample.get(_TEXT)
    if text is not None:
        return text if len(sample) == 1 and type(text) is str and text else None
    choices = sample.get("choices")
    if type(choices) is not list or not choices or "output_tools" in sample or "output" in sample:
        return None
    message = choices[0].get("message") if type(choices[0]) is dict else None
    if type(message) is not dict or "function_call" in message:
        return None
    text, calls = message.get("content"), message.get("tool_calls")
    return text if type(text) is str and text and (calls is None or type(calls) is list) else None


def checked_sample(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A sample object whose known keys have the forms that templates and graders expect.

    Args:
        sample: an object with a known key.

    Raises:
        UnknownForm: the value of a known key is of a form that cannot be read.
    """
    given: dict[str, Any] = sample if type(sample) is dict else dict(sample)
    text = given.get(_TEXT)
    changes: dict[str, Any] = {}
    message = _first_message(given.get("choices"))
    if text is not None and type(text) is not str:
        changes[_TEXT] = text_of(text, f"sample.{_TEXT}")
    if "output_tools" in given:
        if not isinstance(given["output_tools"], list):
            changes["output_tools"] = tool_list(given["output_tools"], "sample.output_tools")
    elif message is not None:
        calls = tool_calls_in(message)
        if calls != (message.get("tool_calls") or []):
            changes["output_tools"] = calls
    if not changes.get(_TEXT, text):
        derived = "" if message is None else message_text(message, "choices[0].message.content")
        if not derived and (value := given.get("output_json")) is not None:
            derived = json.dumps(value, ensure_ascii=False, default=repr)
        # Of a plain message, the text is derived where it is read.
        if derived and (text is not None or not _has_content(given, derived)):
            changes[_TEXT] = derived
    return {**given, **changes} if changes else given


def _has_content(given: Mapping[str, Any], text: str) -> bool:
    """Whether the message of the first choice is an object with this very text as its content."""
    found = given["choices"][0].get("message") if given.get("choices") else None
    return isinstance(found, Mapping) and found.get("content") == text


def text_in(sample: Mapping[str, Any]) -> str:
    """The text of a checked sample object; empty if it has none."""
    message = None if sample.get(_TEXT) else _first_message(sample.get("choices"))
    return str(sample.get(_TEXT) or ("" if message is None else message_text(message)))


def _first_message(choices: Any) -> Mapping[str, Any] | None:
    """The message of the first choice; None where there is no choice."""
    if not choices and (choices is None or isinstance(choices, list)):
        return None
    if not isinstance(choices, list):
        raise UnknownForm(f"`choices` must be an array, but it is {kind_of(choices)}.")
    first = choices[0]
    if not isinstance(first, Mapping):
        raise UnknownForm(f"`choices[0]` must be an object, but it is {kind_of(first)}.")
    message = first.get("message")
    if isinstance(message, Mapping):
        return message
    if message is None and "text" in first:  # of the first completions API
        message = first["text"]
    if isinstance(message, str):
        return {"content": message}
    keys = ", ".join(map(str, first)) or "none"
    hint = ": it is a part of a stream; join all of them first" if "delta" in first else ""
    raise UnknownForm(f"`choices[0]` has no `message` (its keys: {keys}){hint}.")
