"""Convert a model's output from the forms in which it is commonly stored to a text or a sample object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graders_engine.compiled import Unreadable
from graders_engine.errors import InvalidRow
from graders_engine.language.scope import SAMPLE_KEYS, kind_of

_HOLDERS = ("model_sample", "sample", "samples", "model_samples", "output", "outputs", "text")
"""Keys under which an object may hold an output; the first one present counts."""
_MAX_DEPTH = 8
"""How many lists and objects may be around an output."""
_COMPLETION_KEYS = frozenset(
    {"choices", "created", "id", "model", "object", "service_tier", "system_fingerprint", "usage"}
)


def output_of(value: Any, depth: int = 0) -> Any:
    """A text, a sample object, or a list of them, from an output in one of these forms.

    Text; a sample object; a chat completion or a line of the Batch API's output (several choices are
    several samples); a chat message; a list of chat messages (one sample: their last text); an object that
    holds one of these as `model_sample`, `sample`, `output` or `text`; a list of any of these (several
    samples; an `Unreadable` in place of an element that has no such form).

    Args:
        value: the output.
        depth: how many lists and objects are around it.

    Raises:
        InvalidRow: it has none of these forms.
    """
    if isinstance(value, (str, Unreadable)):
        return value
    if depth > _MAX_DEPTH:
        raise InvalidRow("The output nests too deep.")
    if isinstance(value, list):
        return _outputs_of_list(value, depth)
    if not isinstance(value, Mapping):
        raise InvalidRow(f"The output must be text or an object, but it is {kind_of(value)}.")
    if _is_message(value):
        return from_messages([value])
    completion, _ = completion_in(value)
    if completion is not None:
        return samples_in(completion)
    if not value or any(key in value for key in SAMPLE_KEYS):
        return dict(value)
    for key in _HOLDERS:
        if value.get(key) is not None:
            return output_of(value[key], depth + 1)
    raise InvalidRow(_no_output(value))


def _outputs_of_list(values: list[Any], depth: int) -> Any:
    if values and all(map(_is_message, values)):
        return from_messages(values)
    outputs = (_output_or_reason(one, depth + 1) for one in values)
    return [one for output in outputs for one in (output if type(output) is list else [output])]


def _output_or_reason(value: Any, depth: int) -> Any:
    try:
        return output_of(value, depth)
    except InvalidRow as error:
        return Unreadable(str(error))


def _no_output(value: Mapping[str, Any]) -> str:
    failure = value.get("error") or _field_of(_field_of(value.get("response"), "body"), "error")
    if failure:
        message = str(_field_of(failure, "message") or failure).rstrip(".")
        return f"There is no output, but an error: {message}."
    return f"The output is an object that holds no output (its keys: {', '.join(map(str, value))})."


def completion_in(raw: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, dict[str, Any]]:
    """A chat completion within an object, or None, and the object's other fields.

    It may be the object itself, or its `response`, `response.body` (the Batch API) or `sample`.
    """
    if _is_completion(raw):
        drop = _COMPLETION_KEYS if raw.get("object") == "chat.completion" else {"choices"}
        return raw, {key: value for key, value in raw.items() if key not in drop}
    response, sample = raw.get("response"), raw.get("sample")
    others = {key: value for key, value in raw.items() if key not in ("response", "sample")}
    for completion in (response, sample, _field_of(response, "body")):
        if isinstance(completion, Mapping) and _is_completion(completion):
            return completion, others
    return None, others


def _is_completion(value: Mapping[str, Any]) -> bool:
    choices = value.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(choice, Mapping) and "message" in choice for choice in choices)
    )


def samples_in(completion: Mapping[str, Any]) -> Any:
    """The sample of a chat completion, or a list of them where it has several choices."""
    choices = completion["choices"]
    if len(choices) > 1:
        return [{"choices": [choice]} for choice in choices]
    return {key: completion[key] for key in SAMPLE_KEYS if key in completion}


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and "role" in value and "choices" not in value


def from_messages(messages: Sequence[Mapping[str, Any]], finish: str = "stop") -> dict[str, Any]:
    """A sample from a model's messages: the last text, and all tool calls."""
    replies = [message for message in messages if message.get("role") in ("assistant", None)]
    texts = [message["content"] for message in replies if message.get("content")]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": texts[-1] if texts else None,
        "tool_calls": [call for message in replies for call in _list(message.get("tool_calls"))],
    }
    audio = [message["audio"] for message in replies if message.get("audio")]
    if audio:
        message["audio"] = audio[-1]
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def hosted_sample(sample: Any) -> dict[str, Any] | None:
    """A sample object from the `sample` of a hosted run's output item; None if it holds no output.

    Raises:
        InvalidRow: it holds an error instead of an output.
    """
    if not isinstance(sample, Mapping):
        return None
    ready = {key: sample[key] for key in SAMPLE_KEYS if sample.get(key) is not None}
    if "choices" in ready or "output_text" in ready:
        return ready
    output = sample.get("output")
    messages = [part for part in _list(output) if isinstance(part, Mapping)]
    if messages:
        return {**from_messages(messages, str(sample.get("finish_reason") or "stop")), **ready}
    if isinstance(output, str) and output:
        return {"output_text": output, **ready}
    error = sample.get("error")
    if reason := _field_of(error, "message") or _field_of(error, "code"):
        raise InvalidRow(f"The hosted run has no output here, but an error: {reason}.")
    return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _field_of(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None
