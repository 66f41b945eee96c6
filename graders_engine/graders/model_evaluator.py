"""Asks a judge about one row, once or several times, and makes one verdict of its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from graders_engine.errors import GradingError, UnavailableGrader
from graders_engine.graders import verdict
from graders_engine.graders.base import Services
from graders_engine.graders.messages import ModelGrader, SamplingParams, renderer
from graders_engine.graders.templates import templates_in, variables_in
from graders_engine.language.scope import Scope
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.outcome import Outcome, Usage, total_usage
from graders_engine.tasks import together

T = TypeVar("T", bound=float | str)


class ModelEvaluator(Generic[T]):
    """Evaluates a grader that asks a judge.

    Args:
        spec: the grader.
        services: has the judges.
        result_schema: JSON Schema of the verdict's `result`.
        result_of: checks a `result`.
        combine: makes one result of several.
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
        combine: Callable[[Sequence[T]], T],
        reward_of: Callable[[T], float],
    ) -> None:
        if services.judges is None:
            raise UnavailableGrader(f"This engine has no judges, but '{spec.model}' needs one.")
        self.variables = variables_in(spec)
        self._messages = renderer(spec.input)
        self._prompt = [template.source for _, template in templates_in(spec)]
        self._judge = services.judges.find(spec.model, spec.needs())
        self._repeats = services.judges.repeats
        self._blank = ModelRequest(
            spec.model,
            (),
            verdict.schema(result_schema),
            (spec.sampling_params or spec.sampling_parameters or SamplingParams()).sampling(),
        )
        self._result_of, self._combine, self._reward_of = result_of, combine, reward_of

    async def evaluate(self, scope: Scope) -> Outcome:
        """The reward for the judge's verdict on this row."""
        request = msgspec.structs.replace(self._blank, messages=self._messages(scope))
        if self._repeats == 1:
            reply = await self._judge.complete(request)
            try:
                result = self._read(reply, request)
            except GradingError as error:
                error.saved, error.left_out = _saved([reply]), self._left_out([reply])
                raise
            return self._outcome([result], [reply])
        return await self._repeated(request)

    async def _repeated(self, request: ModelRequest) -> Outcome:
        """One reward from several answers; more than half of them must have a usable result."""
        answers = await together(
            self._answer(_again(request, repeat)) for repeat in range(self._repeats)
        )
        replies = []
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer  # an outage: the cache has the others, so another attempt costs only this one
            replies.append(answer)
        usage = _used(replies)
        results, failures = [], []
        for reply in replies:
            try:
                results.append(self._read(reply, request, usage))
            except GradingError as error:
                failures.append(error)
        if 2 * len(results) <= len(replies):
            failures[0].saved, failures[0].left_out = _saved(replies), self._left_out(replies)
            raise failures[0]
        rewards = [self._reward_of(result) for result in results]
        return msgspec.structs.replace(self._outcome(results, replies), repeats={"": rewards})

    def _read(
        self, reply: ModelReply, request: ModelRequest, usage: dict[str, Usage] | None = None
    ) -> T:
        return verdict.read_verdict(reply, self._result_of, usage, request, self._prompt)

    async def _answer(self, request: ModelRequest) -> ModelReply | Exception:
        try:
            return await self._judge.complete(request)
        except Exception as error:  # noqa: BLE001 - raised when the other answers are there
            return error

    def _outcome(self, results: list[T], replies: Sequence[ModelReply]) -> Outcome:
        usage, saved = _used(replies), _saved(replies)
        result = results[0] if len(results) == 1 else self._combine(results)
        reward = self._reward_of(result)
        left_out = self._left_out(replies)
        if isinstance(result, str):
            labels = {"": [str(label) for label in results]}
            return Outcome(
                reward, reward, usage=usage, saved=saved, labels=labels, left_out=left_out
            )
        score = None if result == reward else result
        return Outcome(reward, reward, score=score, usage=usage, saved=saved, left_out=left_out)

    def _left_out(self, replies: Iterable[ModelReply]) -> dict[str, list[str]]:
        """The parts of the requests that were not sent, by the model's name in the grader."""
        parts = {part for reply in replies for part in reply.left_out}
        return {self._blank.model: sorted(parts)} if parts else {}


def _used(replies: Iterable[ModelReply]) -> dict[str, Usage]:
    return total_usage({reply.model: reply.usage} for reply in replies)


def _saved(replies: Iterable[ModelReply]) -> dict[str, Usage]:
    """The tokens of the replies that were kept from an earlier request."""
    return _used(reply for reply in replies if reply.kept)


def _again(request: ModelRequest, repeat: int) -> ModelRequest:
    """The same question with another seed; its reply is cached separately."""
    sampling = msgspec.structs.replace(request.sampling, seed=(request.sampling.seed or 0) + repeat)
    return msgspec.structs.replace(request, sampling=sampling, repeat=repeat)
