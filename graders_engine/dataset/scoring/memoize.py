"""Grade equal rows once, if grading waits for something outside this process."""

from __future__ import annotations

import asyncio
import hashlib

import msgspec
from cachetools import LRUCache

from graders_engine.compiled import CompiledGrader
from graders_engine.graders.base import Evaluator
from graders_engine.language import strict_json
from graders_engine.language.scope import Scope
from graders_engine.outcome import Outcome

MAX_OUTCOMES = 100_000
"""Outcomes kept, the most recently used ones: about 100 MB at common sizes."""


def memoized(compiled: CompiledGrader) -> CompiledGrader:
    """The same grader, which grades rows with an equal item and sample once.

    Graders that compute in this process are returned unchanged: comparing rows by their bytes takes as long
    as grading them.
    """
    if not compiled.evaluator.waits:
        return compiled
    return compiled.with_evaluator(Memoized(compiled.evaluator))


class Memoized:
    """Evaluates equal rows once; equal rows that arrive meanwhile wait for the first one.

    Failures are not kept: the next equal row is evaluated again.

    Args:
        evaluator: what grades.
        max_outcomes: how many outcomes to keep; the least recently used one is dropped first.
    """

    waits = True

    def __init__(self, evaluator: Evaluator, max_outcomes: int = MAX_OUTCOMES) -> None:
        self._evaluator = evaluator
        self.variables = getattr(evaluator, "variables", ())
        self._outcomes: LRUCache[bytes, Outcome] = LRUCache(max_outcomes)
        self._in_flight: dict[bytes, asyncio.Future[Outcome | None]] = {}

    async def evaluate(self, scope: Scope) -> Outcome:
        """The outcome of an equal row if there is one, else the outcome of this row."""
        try:
            key = hashlib.blake2b(strict_json.encode_exactly([scope.item, scope.sample()])).digest()
        except ValueError:  # it has no JSON form to compare it by
            return await self._evaluator.evaluate(scope)
        if (outcome := self._outcomes.get(key)) is not None:
            return _again(outcome)
        while (running := self._in_flight.get(key)) is not None:
            if (shared := await asyncio.shield(running)) is not None:
                return _again(shared)
        self._in_flight[key] = running = asyncio.get_running_loop().create_future()
        try:
            outcome = await self._evaluator.evaluate(scope)
        except Exception as error:
            running.set_exception(error)
            running.exception()  # marks it as retrieved: perhaps nobody waits for it
            raise
        else:
            running.set_result(outcome)
        finally:
            del self._in_flight[key]
            # Cancelled, or ended by an exception that is meant for this row alone: one that waits takes over.
            if not running.done() and not running.get_loop().is_closed():
                running.set_result(None)
        if not outcome.failures:
            self._outcomes[key] = outcome
        return outcome


def _again(outcome: Outcome) -> Outcome:
    """The outcome for one more row: its tokens were spent for the first one."""
    return msgspec.structs.replace(outcome, saved=outcome.usage) if outcome.usage else outcome
