"""The answer to a sampling: kept whole, and checked for being one."""

from __future__ import annotations

from typing import Any

from graders_engine.errors import BackendBusy, BackendFailure
from graders_engine.models.base import ModelReply
from graders_engine.models.replies.filters import stops
from graders_engine.models.replies.forms import usage_of

_NO_ANSWER = ("failed", "cancelled", "in_progress", "queued")
"""Statuses of a response that is none, or not yet."""


def sampled_reply(api: str, answer: Any, model: str, url: str) -> ModelReply:
    """The reply that holds an answer.

    Args:
        api: the request form.
        answer: its JSON.
        model: the name of the model, where the answer does not say it.
        url: what was asked, for the message.

    Raises:
        BackendFailure: it is no chat completion, or no response; `BackendBusy` where that may pass.
    """
    whole = answer if isinstance(answer, dict) else {}
    reason = _chat_end(whole, url) if api == "chat" else _response_end(whole, url)
    named = whole.get("model")
    return ModelReply(
        "",
        named if isinstance(named, str) and named else model,
        usage_of(whole),
        finish="length" if stops(reason)[1] else "stop",
        answer=whole,
    )


def _chat_end(answer: dict[str, Any], url: str) -> Any:
    """Why the message of a chat completion ends."""
    choices = answer.get("choices")
    if not choices and "choices" in answer:  # some gateways answer so while a model is not there
        raise BackendBusy(f"{url}: the endpoint answered without a message", status=200)
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        raise BackendFailure(f"{url}: the endpoint answered without a message", status=200)
    return choice.get("finish_reason")


def _response_end(answer: dict[str, Any], url: str) -> Any:
    """Why a response ends."""
    status = answer.get("status")
    if status in _NO_ANSWER:
        raise BackendFailure(f"{url}: the endpoint answered with the status {status!r}", status=200)
    if not isinstance(answer.get("output"), list):
        raise BackendFailure(f"{url}: the endpoint answered without an output", status=200)
    details = answer.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return reason or ("length" if status == "incomplete" else None)
