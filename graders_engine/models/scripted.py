"""A judge whose answers the caller writes: for tests of graders, and of what uses them. No network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

from graders_engine.errors import BackendFailure
from graders_engine.models.base import ModelReply, ModelRequest, Text, encoded
from graders_engine.outcome import Usage

Answer = float | str | dict[str, Any] | ModelReply | Exception
"""A verdict's number or label, a whole verdict, a reply, or a failure to raise."""


class Scripted:
    """Answers as it is told.

    Args:
        answers: what to answer: one answer for all, several, one a request in turn, or a function of the
            request. A number or a label is wrapped into a verdict; text that starts with `{` is the
            answer's text as it stands.
        latency_s: seconds that an answer takes.
        name: the model's name in replies; the request's own when left out.

    Attributes:
        requests: what it was asked, in order.
    """

    signature = "scripted"

    def __init__(
        self,
        answers: Answer | Iterable[Answer] | Callable[[ModelRequest], Answer],
        *,
        latency_s: float = 0.0,
        name: str | None = None,
    ) -> None:
        self.requests: list[ModelRequest] = []
        self._latency_s = latency_s
        self._name = name
        self._answer = _as_function(answers)

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The next answer, after the latency.

        Raises:
            BackendFailure: the answers are used up. And whatever failure the script has here.
        """
        self.requests.append(request)
        answer = self._answer(request)
        await asyncio.sleep(self._latency_s)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, ModelReply):
            return answer
        text = answer if isinstance(answer, str) and answer.startswith("{") else _verdict(answer)
        asked = len(encoded(request)) // 4
        usage = Usage(asked, asked + len(text) // 4, len(text) // 4)
        return ModelReply(text, self._name or request.model, usage)

    async def close(self) -> None:
        """Nothing is held."""


def text_of(request: ModelRequest) -> str:
    """All text of a request's messages, for functions that compute an answer."""
    parts = (part for message in request.messages for part in message.parts)
    return "\n".join(part.text for part in parts if isinstance(part, Text))


def _as_function(
    answers: Answer | Iterable[Answer] | Callable[[ModelRequest], Answer],
) -> Callable[[ModelRequest], Answer]:
    if isinstance(answers, (str, float, int, dict, ModelReply, Exception)):
        always = answers
        return lambda request: always
    if callable(answers):
        return answers
    turns = iter(answers)
    return lambda request: next(turns, BackendFailure("the script has no more answers"))


def _verdict(answer: float | str | dict[str, Any]) -> str:
    return json.dumps(answer if isinstance(answer, dict) else {"steps": [], "result": answer})
