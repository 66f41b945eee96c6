"""Answers as the API has them: a chat completion, or the chunks of one."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

from graders_engine.inference.generator import Answer, Choice
from graders_engine.inference.served import ServedModel

_ID_BYTES = 12


class Reply:
    """The reply to one request.

    Args:
        model: that answers.
        include_usage: whether chunks have a `usage`, which the last one counts.
    """

    def __init__(self, model: ServedModel, *, include_usage: bool = False) -> None:
        self._include_usage = include_usage
        self._same = {
            "id": f"chatcmpl-{secrets.token_hex(_ID_BYTES)}",
            "created": int(time.time()),
            "model": model.name,
            "system_fingerprint": f"fp_{model.identity[:12]}",
        }
        self._begun: set[int] = set()
        self._calls: dict[int, int] = {}

    def completion(self, answer: Answer) -> dict[str, Any]:
        """The whole answer."""
        return {
            **self._same,
            "object": "chat.completion",
            "choices": [_choice(number, choice) for number, choice in enumerate(answer.choices)],
            "usage": usage_of(answer),
        }

    def text(self, choice: int, text: str) -> dict[str, Any]:
        """A piece of a text."""
        return self._chunk(choice, {"content": text})

    def call(self, choice: int, call: dict[str, Any]) -> dict[str, Any]:
        """A tool call, whole."""
        number = self._calls.get(choice, 0)
        self._calls[choice] = number + 1
        return self._chunk(choice, {"tool_calls": [{"index": number, **call}]})

    def ends(self, answer: Answer) -> Iterator[dict[str, Any]]:
        """What follows when all pieces were sent."""
        for number, choice in enumerate(answer.choices):
            yield self._chunk(number, {}, choice.finish_reason)
        if self._include_usage:
            yield {
                **self._same,
                "object": "chat.completion.chunk",
                "choices": [],
                "usage": usage_of(answer),
            }

    def _chunk(
        self, choice: int, delta: dict[str, Any], finish_reason: str | None = None
    ) -> dict[str, Any]:
        if choice not in self._begun:
            self._begun.add(choice)
            delta = {"role": "assistant", "content": None if "tool_calls" in delta else "", **delta}
        one = {"index": choice, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self._include_usage else {}
        return {**self._same, "object": "chat.completion.chunk", "choices": [one], **usage}


def _choice(number: int, choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
    if choice.tool_calls:
        message["tool_calls"] = choice.tool_calls
    return {
        "index": number,
        "message": message,
        "logprobs": None,
        "finish_reason": choice.finish_reason,
    }


def usage_of(answer: Answer) -> dict[str, int]:
    """The tokens of an answer, all choices together."""
    completion = sum(choice.tokens for choice in answer.choices)
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": answer.prompt_tokens + completion,
    }
