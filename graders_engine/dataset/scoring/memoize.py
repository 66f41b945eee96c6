"""Rows that are the same are graded once, where grading one waits for something outside this process."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict

from graders_engine.compiled import CompiledGrader
from graders_engine.graders.base import Evaluator
from graders_engine.language import strict_json
from graders_engine.language.scope import Scope
from graders_engine.outcome import Outcome

KEPT = 100_000
"""Outcomes that are kept, the latest used: some 100 MB at the most usual sizes."""


def once(compiled: CompiledGrader) -> CompiledGrader:
    """The same grader, but rows with an equal item and sample are graded once.

    Graders that compute in this process are given back as they are: to tell a row by its bytes takes
    as long as to grade it.
    """
    if not compiled.evaluator.waits:
        return compiled
    return compiled.with_evaluator(Memoized(compiled.evaluator))


class Memoized:
    """Evaluates equal rows once; those that come while the first is under way wait for it.

    A failure is not kept: the next equal row is another try.

    Args:
        evaluator: what grades.
        kept: outcomes that are remembered.
    """

    waits = True

    def __init__(self, evaluator: Evaluator, kept: int = KEPT) -> None:
        self._evaluator = evaluator
        self._kept = kept
        self._outcomes: OrderedDict[bytes, asyncio.Future[Outcome]] = OrderedDict()

    async def evaluate(self, scope: Scope) -> Outcome:
        """The outcome of the first row that was equal, or this one's own."""
        try:
            key = hashlib.blake2b(strict_json.encode([scope.item, scope.sample()])).digest()
        except ValueError:  # no JSON form, so nothing to compare it by
            return await self._evaluator.evaluate(scope)
        known = self._outcomes.get(key)
        if known is not None:
            self._outcomes.move_to_end(key)
            return await asyncio.shield(known)
        mine = asyncio.get_running_loop().create_future()
        self._outcomes[key] = mine
        try:
            outcome = await self._evaluator.evaluate(scope)
        except BaseException as error:
            self._outcomes.pop(key, None)
            if isinstance(error, asyncio.CancelledError):
                mine.cancel()
            else:
                mine.set_exception(error)
                mine.exception()  # there may be nobody to tell it to
            raise
        mine.set_result(outcome)
        if outcome.failures:
            self._outcomes.pop(key, None)
        elif len(self._outcomes) > self._kept:
            self._outcomes.popitem(last=False)
        return outcome
