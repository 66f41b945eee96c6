"""A judge whose answers the caller writes: for tests of graders and of programs that use them. No network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

from graders_engine.errors import BackendFailure
from graders_engine.models.base import ModelReply, ModelRequest, encoded
from graders_engine.outcome import Usage

Answer = float | str | dict[str, Any] | ModelReply | Exception
"""A verdict's number or label, a whole verdict, a reply, or a failure to raise."""


class Scripted:
    """Gives the answers of a script.

    Example::

        judge = Scripted(lambda request: 1.0 if "Paris" in str(request.messages) else 0.0)
        with Engine(judges=judge) as engine:
            assert engine.run(grader, model_sample="It is Paris.").reward == 1.0

    Args:
        answers: one answer for all requests, one after the other for each request, or a function of the
            request. A number or a label is wrapped into a verdict; text that starts with `{` is used as it
            stands.
        latency_s: seconds that an answer takes.
        name: the model's name in replies; the one in the request when left out.

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
            BackendFailure: the answers are used up.
            Exception: the script has a failure here.
        """
        self.requests.append(request)
        answer = self._answer(request)
        await asyncio.sleep(self._latency_s)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, ModelReply):
            return answer
        text = answer if isinstance(answer, str) and answer.startswith("{") else _verdict(answer)
        prompt_tokens = len(encoded(request)) // 4
        usage = Usage(prompt_tokens, prompt_tokens + len(text) // 4, len(text) // 4)
        return ModelReply(text, self._name or request.model, usage)

    async def close(self) -> None:
        """Does nothing: there is nothing to close."""


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
