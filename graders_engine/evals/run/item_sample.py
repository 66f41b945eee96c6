"""The `sample` of an output item: what was asked and answered, with all keys that clients expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from graders_engine.errors import InvalidRow, NoOutput, UnknownForm
from graders_engine.language.scope import Scope
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.models.openai_wire import chat_content
from graders_engine.models.replies.forms import usage_of
from graders_engine.outcome import Flag

_PARAMETERS = ("temperature", "top_p", "seed", "max_completion_tokens")
_WITHOUT_DETAILS: dict[str, str] = {
    Flag.TRUNCATED_OBSERVATION: "The model's answer was cut off: its `finish_reason` is length.",
    Flag.UNRESPONSIVE_REWARD: (
        "There is nothing to grade: the sample has no text, no call of a tool and no audio."
    ),
}
"""What flags say that results have without a message."""
_NO_SAMPLE = (
    "The row has no `sample`, which a criterion reads: give its answer beside the `item`, as "
    '{"output_text": "…"} or as a chat completion, or have a model asked (`completions`, `responses`).'
)
_OPTION = "--sample-field"
"""Who reads this has no command line: the message that names it is about a row without a sample."""
_UNDER_ANOTHER_KEY = " If the text is under another key, name it: "
"""How the advice begins that names this option, in a message about a sample in no known form."""
_COUNTS = ("total_tokens", "completion_tokens", "prompt_tokens", "cached_tokens")


def item_sample(
    *,
    asked: Sequence[Mapping[str, Any]] = (),
    output: Sequence[Mapping[str, Any]] = (),
    finish_reason: str = "",
    sampled: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    flags: Mapping[str, str] | None = None,
    error: Mapping[str, Any] | None = None,
    passed: bool = False,
) -> dict[str, Any]:
    """The object.

    Args:
        asked: the messages that were sent, in the form of chat completions.
        output: the model's messages.
        finish_reason: why the last one ends; empty where nothing says it.
        sampled: `model` and `usage`; None where no model was asked.
        parameters: the body of the request.
        flags: why criteria failed, by the API's names of errors.
        error: why there is no sample, or none that could be graded.
        passed: whether all criteria are met: then flags say no error.
    """
    sampled, parameters = sampled or {}, parameters or {}
    usage = sampled.get("usage") or {}
    if flags and error is None and not passed:
        error = _error_of(flags)
    return {
        "input": [_visible(message) for message in asked],
        "output": [_visible(message) for message in output],
        "finish_reason": finish_reason,
        "model": sampled.get("model", ""),
        "usage": {name: usage.get(name, 0) for name in _COUNTS},
        "error": error,
        **{name: parameters.get(name) for name in _PARAMETERS},
        **({"errors": dict(flags)} if flags else {}),
    }


def _error_of(flags: Mapping[str, str]) -> dict[str, str]:
    """The first flag; those that say only what the sample is like come last, so that they hide no other."""
    code = min(flags, key=lambda flag: flag in _WITHOUT_DETAILS)
    return {"code": code, "message": flags[code] or _WITHOUT_DETAILS.get(code, code)}


def missing_sample(why: InvalidRow) -> dict[str, str]:
    """The error of an item whose row has no sample, or none that can be read."""
    message = str(why)
    if isinstance(why, UnknownForm):
        return {"code": "unknown_form", "message": message.partition(_UNDER_ANOTHER_KEY)[0]}
    if _OPTION in message:
        return {"code": "no_sample", "message": _NO_SAMPLE}
    return {"code": "no_output" if isinstance(why, NoOutput) else "no_sample", "message": message}


def _visible(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message whose content is text, as clients read it: a content of parts as the text of its parts."""
    content = message.get("content")
    if isinstance(content, list):
        content = " ".join(map(_part_text, content))
    visible = {key: value for key, value in message.items() if value not in (None, [])}
    return {**visible, "role": message.get("role"), "content": "" if content is None else content}


def _part_text(part: Any) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    if isinstance(text := part.get("text"), str):
        return text
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else None
    if isinstance(url, str):  # of one with its data in it, what kind of data
        return f"<image>{url.partition(',')[0] if url.startswith('data:') else url}</image>"
    return f"[{part.get('type', 'part')}]"


def output_of(scope: Scope) -> tuple[list[dict[str, Any]], str]:
    """The model's messages in a row, and why the last one ends."""
    if scope.absent:
        return [], ""
    sample = scope.sample()
    choice = (sample.get("choices") or [{}])[0]
    choice = choice if isinstance(choice, Mapping) else {}
    message = {"role": "assistant", "content": scope.output_text}
    if calls := sample.get("output_tools"):
        message = {**message, "tool_calls": calls}
    finish = choice.get("finish_reason") or sample.get("finish_reason")
    return [message], finish if isinstance(finish, str) else "stop"


def sampled_before(scope: Scope) -> dict[str, Any]:
    """The model and the usage that a given sample says."""
    sample = {} if scope.absent else scope.sample()
    model = sample.get("model")
    return {
        "model": model if isinstance(model, str) else "",
        "usage": msgspec.to_builtins(usage_of(sample)),
    }


def judge_sample(request: ModelRequest, reply: ModelReply) -> dict[str, Any]:
    """What a judge was asked and answered."""
    asked = [
        {"role": message.role, "content": chat_content(message.parts)}
        for message in request.messages
    ]
    sampling = request.sampling
    usage = {name: getattr(reply.usage, name) for name in _COUNTS}
    text = reply.text if reply.refusal is None else reply.refusal
    return item_sample(
        asked=asked,
        output=[{"role": "assistant", "content": text}],
        finish_reason=reply.finish,
        sampled={"model": reply.model, "usage": usage},
        parameters={
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "max_completion_tokens": sampling.max_tokens,
        },
    )
