"""Asking a judge about one row: once or several times, and one verdict from its answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from graders_engine.errors import GradingError, UnavailableGrader
from graders_engine.graders import verdict
from graders_engine.graders.base import Services
from graders_engine.graders.messages import ModelGrader, SamplingParams, renderer
from graders_engine.language.scope import Scope
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.outcome import Outcome, Usage, total_usage

T = TypeVar("T", bound=float | str)


class ModelEvaluator(Generic[T]):
    """Evaluates a grader that asks a judge.

    Args:
        spec: the grader.
        services: lends the judges.
        result_schema: JSON Schema of the verdict's `result`.
        result_of: checks a `result`.
        together: one result from those of several askings.
        reward_of: the reward for a result.

    Raises:
        UnavailableGrader: nothing answers for the grader's model.
    """

    waits = True

    def __init__(
        self,
        spec: ModelGrader,
        services: Services,
        result_schema: dict[str, Any],
        result_of: Callable[[Any], T],
        together: Callable[[Sequence[T]], T],
        reward_of: Callable[[T], float],
    ) -> None:
        if services.judges is None:
            raise UnavailableGrader(f"This engine has nobody to ask: '{spec.model}' needs a judge.")
        self._messages = renderer(spec.input)
        self._judge = services.judges.find(spec.model)
        self._repeats = services.judges.repeats
        self._blank = ModelRequest(
            spec.model,
            (),
            verdict.schema(result_schema),
            (spec.sampling_params or spec.sampling_parameters or SamplingParams()).sampling(),
        )
        self._result_of, self._together, self._reward_of = result_of, together, reward_of

    async def evaluate(self, scope: Scope) -> Outcome:
        """The reward for the judge's verdict on this row."""
        request = msgspec.structs.replace(self._blank, messages=self._messages(scope))
        if self._repeats == 1:
            reply = await self._judge.ask(request)
            usage = {reply.model: reply.usage}
            return self._outcome([self._read(reply, usage)], usage)
        return await self._repeated(request)

    async def _repeated(self, request: ModelRequest) -> Outcome:
        """One reward from several answers; there must be a proper one from more than half of them."""
        answers = await asyncio.gather(
            *(self._judge.ask(_again(request, repeat)) for repeat in range(self._repeats)),
            return_exceptions=True,
        )
        replies = []
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer  # an outage: with the others kept, trying again costs only this one
            replies.append(answer)
        usage = total_usage({reply.model: reply.usage} for reply in replies)
        results, failures = [], []
        for reply in replies:
            try:
                results.append(self._read(reply, usage))
            except GradingError as error:
                failures.append(error)
        if 2 * len(results) <= len(replies):
            raise failures[0]
        given = [self._reward_of(result) for result in results]
        return msgspec.structs.replace(self._outcome(results, usage), repeats={"": given})

    def _outcome(self, results: list[T], usage: dict[str, Usage]) -> Outcome:
        result = results[0] if len(results) == 1 else self._together(results)
        reward = self._reward_of(result)
        if isinstance(result, str):
            return Outcome(
                reward, reward, usage=usage, labels={"": [str(label) for label in results]}
            )
        return Outcome(reward, reward, score=None if result == reward else result, usage=usage)

    def _read(self, reply: ModelReply, usage: dict[str, Usage]) -> T:
        try:
            return verdict.read(reply, self._result_of)
        except GradingError as error:
            error.usage = usage  # it was paid for all the same
            raise


def _again(request: ModelRequest, repeat: int) -> ModelRequest:
    """The same question, with a seed and a key of its own."""
    sampling = msgspec.structs.replace(request.sampling, seed=(request.sampling.seed or 0) + repeat)
    return msgspec.structs.replace(request, sampling=sampling, repeat=repeat)
