"""Chat completions and responses within a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.outputs.known_keys import COMPLETION_KEYS, RESPONSE_KEYS
from graders_engine.outputs.responses import is_response

OBJECTS = {
    "chat.completion": COMPLETION_KEYS,
    "text_completion": COMPLETION_KEYS,
    "response": RESPONSE_KEYS,
}
"""By an answer's `object`, its own keys: what stands beside them is the user's."""
_MARKS = frozenset({"delta", "finish_reason", "index", "logprobs", "message"})
"""The keys of a completion's choices that the options of a question do not have."""


def completion_in(raw: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, dict[str, Any]]:
    """A chat completion or a response within a row, or None, and the row's other fields.

    It may be the row itself, or its `response` or `response.body` (the Batch API).
    """
    if is_completion(raw) or raw.get("object") == "response":
        drop = OBJECTS.get(str(raw.get("object")), frozenset({"choices"}))
        return raw, {key: value for key, value in raw.items() if key not in drop}
    others = {key: value for key, value in raw.items() if key not in ("response", "sample")}
    for answer in _within(raw):
        if is_completion(answer) or is_response(answer):
            return answer, others
    return None, others


def _within(raw: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    response = raw.get("response")
    body = response.get("body") if isinstance(response, Mapping) else None
    for value in (response, body):
        if isinstance(value, Mapping):
            yield value


def is_completion(value: Mapping[str, Any]) -> bool:
    """Whether an object has choices with messages, or with texts as of the first completions API."""
    choices = value.get("choices")
    return (
        isinstance(choices, (list, tuple))
        and bool(choices)
        and all(
            isinstance(choice, Mapping)
            and (
                "message" in choice
                or ("text" in choice and (is_marked_choice(choice) or _is_named(value)))
            )
            for choice in choices
        )
    )


def is_marked_choice(choice: Any) -> bool:
    """Whether an element of `choices` has a key that tells it from an option of a question."""
    return isinstance(choice, Mapping) and not _MARKS.isdisjoint(choice)


def has_options(value: Mapping[str, Any]) -> bool:
    """Whether the `choices` of an object are the options of a question, and no completion's."""
    choices = value.get("choices")
    return (
        isinstance(choices, (list, tuple))
        and bool(choices)
        and not _is_named(value)
        and not any(map(is_marked_choice, choices))
    )


def _is_named(value: Mapping[str, Any]) -> bool:
    return value.get("object") in ("chat.completion", "text_completion")


def choices_apart(completion: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A sample for each of several choices."""
    return [{"choices": [choice]} for choice in completion["choices"]]
