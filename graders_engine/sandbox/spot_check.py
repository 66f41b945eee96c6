"""Whether rows that share a process get the rewards that they get in processes of their own.

The first rows of a program and one in a hundred of the others, which nobody can foresee, are graded
again in a process of their own. A grader that draws random numbers without a seed, or reads a clock,
differs from itself there, too: it cannot be compared, which is logged once.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable

from graders_engine.sandbox.base import GradeResult, Kind, RowsMix

_log = logging.getLogger("graders_engine")

FIRST_ROWS = 20
"""Rows of a program that are all graded again."""
ROWS_A_CHECK = 100
"""Of so many of the other rows, one is."""
_REPEATS = 6
"""How often a row that differs is graded alone, to tell a grader that differs from itself."""
_EXCERPT = 300  # characters of a row that are shown

_random = random.SystemRandom()
Alone = Callable[[], Awaitable[GradeResult]]
"""Grades the row in a process of its own."""


class SpotCheck:
    """The check of one program.

    Attributes:
        found: what a row has shown, after which no reward in a shared process counts; empty if nothing.
    """

    def __init__(self) -> None:
        self.found = ""
        self._rows = 0
        self._next = FIRST_ROWS
        self._differs_from_itself = False

    def is_due(self) -> bool:
        """Count one row; whether it is to be graded again."""
        self._rows += 1
        if self._differs_from_itself:
            return False
        if self._rows > self._next:
            self._next = self._rows + int(_random.uniform(1, 2 * ROWS_A_CHECK))
        return self._rows <= FIRST_ROWS or self._rows == self._next

    async def compare(
        self, shared: GradeResult, alone: Alone, sample_json: bytes, item_json: bytes
    ) -> None:
        """Grade a row again, and compare.

        Args:
            shared: how it ended in the process that rows share.
            alone: grades it in one of its own.
            sample_json: the row's sample, to show it.
            item_json: its item.

        Raises:
            RowsMix: it ends otherwise, and always so.
        """
        first = await alone()
        if _same(shared, first):
            return
        for _ in range(_REPEATS - 1):
            other = await alone()
            if Kind.DIED in (first.kind, other.kind) and first.kind is not other.kind:
                return  # something outside has ended one of them, which says nothing of the grader
            if not _same(first, other):
                self._be_random()
                return
        self.found = (
            f"a row got {_words(shared)} in a process that the grader's rows share, and {_words(first)} in a "
            "process of its own, so rows of this grader change each other's rewards (or it draws random "
            'numbers without a seed): grade it with a process for each row (python_isolation "call"). '
            f"The row: sample {_excerpt(sample_json)}, item {_excerpt(item_json)}"
        )
        raise RowsMix(self.found)

    def _be_random(self) -> None:
        if not self._differs_from_itself:
            self._differs_from_itself = True
            _log.warning(
                "a python grader gives one row different rewards, also in processes of its own (random "
                "numbers without a seed, a clock): whether its rows change each other cannot be checked"
            )


def _same(one: GradeResult, other: GradeResult) -> bool:
    """Whether both ended alike. One that took too long tells nothing: the machine may have been busy."""
    if Kind.TIMEOUT in (one.kind, other.kind):
        return True
    return (one.kind, one.reward, one.exception) == (other.kind, other.reward, other.exception)


def _words(result: GradeResult) -> str:
    if result.kind is Kind.VALUE:
        return f"the reward {result.reward}"
    last = result.details.rstrip().rpartition("\n")[2]
    return f"no reward ({last or result.kind.value})"


def _excerpt(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"
