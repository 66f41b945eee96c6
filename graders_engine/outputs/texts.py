"""Outputs that are kept as JSON text: what `model_dump_json()` gives, and the cells of tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graders_engine.language import strict_json
from graders_engine.language.scope import SAMPLE_KEYS
from graders_engine.outputs.foreign import is_gemini

_ERROR_KEYS = frozenset(("message", "type", "code", "param"))


def opened(value: Any, *, sample: bool = False) -> Any:
    """The object of a text that is an answer of an API beyond doubt; any other value as it is.

    An answer is known by what an API writes around the model's text. JSON that the model itself may have
    written stays text.

    Args:
        value: an output.
        sample: whether it stands in a field of that name, so that the text of a sample object is one, too.
    """
    if type(value) is not str or value[:1] not in FIRST_OF_OBJECTS:
        return value
    text = value.strip()
    if text[:1] != "{" or text[-1:] != "}" or not (sample or has_signs(text)):
        return value
    try:
        found = strict_json.decode(text)
    except ValueError:
        return value
    if not isinstance(found, dict):
        return value
    of_sample = (
        sample and bool(found) and ("output_text" in found or found.keys() <= set(SAMPLE_KEYS))
    )
    return found if of_sample or _is_answer(found) else value


FIRST_OF_OBJECTS = frozenset("{ \t\r\n")
"""How the text of an API's answer may begin."""
_SIGNS = ('"object"', '"error"', '"refusal"', '"usageMetadata"')
"""Keys and types of which each answer has one, or one of the next: texts without them need not be parsed."""
_JOINED_SIGNS = (
    '"custom_id"',
    '"stop_reason"',
    '"finish_reason"',
    '"output_text"',
    '"status_code"',
)
"""Those with a "_", which most texts lack altogether."""


def has_signs(text: str) -> bool:
    """Whether a text may be an API's answer: one that is has one of the signs."""
    has = text.__contains__
    return any(map(has, _SIGNS)) or (has("_") and any(map(has, _JOINED_SIGNS)))


def _is_answer(found: Mapping[str, Any]) -> bool:
    kind, response = found.get("object"), found.get("response")
    if kind in ("chat.completion", "text_completion"):
        return isinstance(found.get("choices"), list)
    if kind == "response":
        return "output" in found and ("id" in found or "status" in found)
    if isinstance(found.get("custom_id"), str) and ("response" in found or "result" in found):
        return response is None or isinstance(response, Mapping)
    if "content" in found and found.get("role") == "assistant":
        return "refusal" in found or (found.get("type") == "message" and "stop_reason" in found)
    if "usageMetadata" in found and is_gemini(found):
        return True
    return _is_completion(found) or _is_response(found) or _is_body(found) or _is_error(found)


def _is_completion(found: Mapping[str, Any]) -> bool:
    """Whether an object without a name has the choices of a completion, and why each of them ends."""
    choices = found.get("choices")
    return isinstance(choices, list) and bool(choices) and all(map(_is_choice, choices))


def _is_choice(choice: Any) -> bool:
    message = choice.get("message") if isinstance(choice, Mapping) else None
    return (
        isinstance(message, Mapping)
        and message.get("role") == "assistant"
        and "finish_reason" in choice
    )


def _is_response(found: Mapping[str, Any]) -> bool:
    """Whether an object without a name has a message of the Responses API in its output."""
    output = found.get("output")
    messages = [
        one["content"]
        for one in (output if isinstance(output, list) else ())
        if isinstance(one, Mapping) and one.get("type") == "message" and "content" in one
    ]
    return any(
        isinstance(part, Mapping) and part.get("type") == "output_text"
        for content in messages
        if isinstance(content, list)
        for part in content
    )


def _is_body(found: Mapping[str, Any]) -> bool:
    """Whether an object is what the Batch API writes of one request, whose body is an answer or an error."""
    body = found.get("body")
    return "status_code" in found and isinstance(body, Mapping) and _is_answer(body)


def _is_error(found: Mapping[str, Any]) -> bool:
    """Whether an object is the body of an API's error, and nothing else."""
    error = found.get("error")
    return (
        found.keys() == {"error"}
        and isinstance(error, Mapping)
        and {"message", "type"} <= error.keys() <= _ERROR_KEYS
    )
