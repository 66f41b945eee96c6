"""Chat completions and responses within a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.language.scope import SAMPLE_KEYS
from graders_engine.outputs.responses import RESPONSE_KEYS, is_response

_COMPLETION_KEYS = frozenset(
    {"choices", "created", "id", "model", "object", "service_tier", "system_fingerprint", "usage"}
)
_OBJECTS = {
    "chat.completion": _COMPLETION_KEYS,
    "text_completion": _COMPLETION_KEYS,
    "response": RESPONSE_KEYS,
}
"""By an answer's `object`, its own keys: what stands beside them is the user's."""


def completion_in(raw: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, dict[str, Any]]:
    """A chat completion or a response within a row, or None, and the row's other fields.

    It may be the row itself, or its `response`, `response.body` (the Batch API) or `sample`.
    """
    if is_completion(raw) or raw.get("object") == "response":
        drop = _OBJECTS.get(str(raw.get("object")), frozenset({"choices"}))
        return raw, {key: value for key, value in raw.items() if key not in drop}
    others = {key: value for key, value in raw.items() if key not in ("response", "sample")}
    for answer in _within(raw):
        if is_completion(answer) or is_response(answer):
            return answer, others
    return None, others


def _within(raw: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    response = raw.get("response")
    body = response.get("body") if isinstance(response, Mapping) else None
    for value in (response, raw.get("sample"), body):
        if isinstance(value, Mapping):
            yield value


def is_completion(value: Mapping[str, Any]) -> bool:
    """Whether an object has choices with messages, or with texts as of the first completions API."""
    choices = value.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(
            isinstance(choice, Mapping) and ("message" in choice or "text" in choice)
            for choice in choices
        )
    )


def samples_in(completion: Mapping[str, Any]) -> Any:
    """The sample of a chat completion, or a list of them where it has several choices."""
    choices = completion["choices"]
    if len(choices) > 1:
        return [{"choices": [choice]} for choice in choices]
    return {key: completion[key] for key in SAMPLE_KEYS if key in completion}
