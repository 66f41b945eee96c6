"""Parts of streamed answers: each holds a piece of the model's text, so none is an output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graders_engine.errors import UnknownForm
from graders_engine.outputs.foreign import JOIN, is_gemini
from graders_engine.outputs.messages import finish_of

_EVENTS = (
    "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
    "message_stop",
)  # fmt: skip
"""The types of Anthropic's events."""
_LAST = ("response.completed", "response.incomplete", "response.failed")
"""The types of the Responses API's events that hold the whole response."""
_UNFINISHED = {
    "done": (("message", "response"), ("model", "created_at")),
    "stop": (("content",), ()),
    "finished": (("outputs",), ()),
    "is_finished": (("text",), ()),
}
"""By the key that is false in each part but the last: those of which one holds the piece of text, and those
of which one stands beside it."""


def is_final_event(value: Any) -> bool:
    """Whether a value is the event of a stream that holds the whole response."""
    return (
        isinstance(value, Mapping)
        and value.get("type") in _LAST
        and isinstance(value.get("response"), Mapping)
    )


def is_part(value: Any) -> bool:
    """Whether a value is a part of a stream, and no whole answer."""
    if not isinstance(value, Mapping) or is_final_event(value):
        return False
    kind = value.get("type")
    if isinstance(kind, str) and (kind in _EVENTS or kind.startswith("response.")):
        return True
    if any(
        value.get(mark) is False
        and any(map(value.__contains__, texts))
        and (not beside or any(map(value.__contains__, beside)))
        for mark, (texts, beside) in _UNFINISHED.items()
    ):
        return True
    if _has_delta(value) or _is_unfinished_gemini(value):
        return True
    return _is_running(value) or _is_last_of_ollama(value)


def _is_last_of_ollama(value: Mapping[str, Any]) -> bool:
    """Whether it says how many tokens the model wrote, and holds none: the parts before it hold them."""
    counted = value.get("eval_count")
    if value.get("done") is not True or not isinstance(counted, int) or counted <= 1:
        return False
    message = value.get("message")
    if not isinstance(message, Mapping):
        return value.get("response") == "" and not value.get("thinking")
    return message.get("content") == "" and not any(
        message.get(key) for key in ("thinking", "tool_calls")
    )


def _is_running(value: Mapping[str, Any]) -> bool:
    """Whether it is a prediction of Replicate that has not ended."""
    return value.get("status") in ("starting", "processing") and is_prediction(value)


def is_prediction(value: Mapping[str, Any]) -> bool:
    """Whether it has what each prediction of Replicate has."""
    return "urls" in value or "version" in value


def raise_part(_value: Mapping[str, Any], _depth: int) -> Any:
    """Say that a part of a stream is no output."""
    raise UnknownForm(f"The output is a part of a stream: {JOIN}.")


def whole_of(values: Sequence[Any]) -> Any:
    """The whole response of a list of a stream's events; None for a list of something else.

    Raises:
        UnknownForm: the list is of a stream's parts, none of which holds the whole.
    """
    whole = [one for one in values if is_final_event(one)]
    parts = sum(map(is_part, values))
    if len(whole) == 1 and parts + 1 == len(values):
        return whole[0]["response"]
    if parts or _are_gemini_parts(values) or _are_langchain_parts(values):
        raise UnknownForm(f"The output is a list of the parts of a stream: {JOIN}.")
    return None


def is_pieces(value: Any) -> bool:
    """Whether a value is several texts, as hosts of models give the pieces of one."""
    return isinstance(value, list) and len(value) > 1 and all(isinstance(one, str) for one in value)


def _has_delta(value: Mapping[str, Any]) -> bool:
    if value.get("object") == "chat.completion.chunk":
        return True
    choices = value.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(
            isinstance(one, Mapping) and "delta" in one and one.get("message") is None
            for one in choices
        )
    )


def _ends(value: Mapping[str, Any]) -> bool:
    return any(finish_of(one, "") for one in value["candidates"])


def _is_unfinished_gemini(value: Mapping[str, Any]) -> bool:
    """Whether it is a whole object of Gemini's API without the reason that a whole answer has."""
    marks = ("modelVersion", "responseId", "model_version", "response_id")
    return any(key in value for key in marks) and is_gemini(value) and not _ends(value)


def _are_gemini_parts(values: Sequence[Any]) -> bool:
    if len(values) < 2 or not all(isinstance(one, Mapping) and is_gemini(one) for one in values):
        return False
    return _ends(values[-1]) and not all(map(_ends, values))


def _are_langchain_parts(values: Sequence[Any]) -> bool:
    return len(values) > 1 and all(
        isinstance(one, Mapping) and str(one.get("type")).lower() == "aimessagechunk"
        for one in values
    )
