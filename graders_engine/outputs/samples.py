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


def checked_sample(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A sample object whose known keys have the forms that templates and graders expect.

    Args:
        sample: an object with a known key.

    Raises:
        UnknownForm: the value of a known key is of a form that cannot be read.
    """
    given: dict[str, Any] = sample if type(sample) is dict else dict(sample)
    text = given.get(_TEXT)
    if type(text) is str and text and len(given) == 1:
        return given  # most of them
    changes: dict[str, Any] = {}
    message = _first_message(given.get("choices"))
    if text is not None and type(text) is not str:
        changes[_TEXT] = text_of(text, f"sample.{_TEXT}")
    if "output_tools" in given:
        if not isinstance(given["output_tools"], list):
            changes["output_tools"] = tool_list(given["output_tools"], "sample.output_tools")
    elif message is not None and (calls := tool_calls_in(message)) != message.get("tool_calls"):
        changes["output_tools"] = calls
    if not changes.get(_TEXT, text):
        derived = "" if message is None else message_text(message, "choices[0].message.content")
        if not derived and (value := given.get("output_json")) is not None:
            derived = json.dumps(value, ensure_ascii=False, default=repr)
        if derived or "choices" in given:
            changes[_TEXT] = derived
    return {**given, **changes} if changes else given


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
