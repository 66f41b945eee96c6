"""Stop a run whose other rows cannot be graded either: the first rows show it, or an outage does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from time import monotonic

from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.line import ResultLine, decode_result
from graders_engine.dataset.rows.shards import Shard
from graders_engine.dataset.scoring.grading import ShardResults
from graders_engine.errors import RunStopped
from graders_engine.graders.base import Evaluator, attempt
from graders_engine.language.scope import Scope
from graders_engine.outcome import Failure, Flag, Outcome, details_line

FIRST_ROWS = 20
"""If each of the first rows fails in the same way, the others are not graded."""
REFUSED_ROWS = 5
"""Rows in a row that an endpoint refuses, before it is not asked any more: a wrong key stays wrong."""
FAILED_ROWS = 20
"""Rows in a row that must have failed in any other way."""
OUTAGE_S = 30.0
"""An endpoint that answered before is given this long to come back."""
BUSY_S = 120.0
"""An endpoint that answers, but with 429 or 5xx, is given this long from its first failed row on."""
_SAMPLE_FLAGS = {Flag.TRUNCATED_OBSERVATION.value, Flag.UNRESPONSIVE_REWARD.value}
"""They accompany a reward; no row fails by them."""


@dataclass(slots=True)
class _Streak:
    """Rows in a row in which the same part of a grader failed, and not by its own fault."""

    first_at: float
    worked_before: bool
    last: Failure
    rows: int = 0

    def add(self, failure: Failure) -> None:
        self.rows += 1
        self.last = failure

    def is_over(self, now: float) -> bool:
        """Whether nothing is to be expected any more."""
        if self.last.cause == "refused":
            return self.rows >= REFUSED_ROWS
        patience_s = OUTAGE_S if self.worked_before else 0.0
        if self.last.cause == "unavailable":
            patience_s = BUSY_S
        return self.rows >= FAILED_ROWS and now - self.first_at >= patience_s


class OutageWatch:
    """Ends a run when what its grader waits for has given no answer for long enough.

    Rows that an endpoint did not have to answer, because they failed before or because the reply was kept,
    are no sign of life.

    Attributes:
        failing: whether the last answer that was asked for did not come.
    """

    def __init__(self) -> None:
        self.failing = False
        self._streaks: dict[str, _Streak] = {}
        self._worked: set[str] = set()
        self._stopped = ""
        self._tasks: set[asyncio.Task[object]] = set()

    def over(self, compiled: CompiledGrader) -> CompiledGrader:
        """The same grader, watched; one that does not wait is returned unchanged."""
        if not compiled.evaluator.waits:
            return compiled
        return compiled.with_evaluator(_Watched(compiled.evaluator, self))

    async def evaluate(self, evaluator: Evaluator, scope: Scope) -> Outcome:
        """Grade one row, unless the run has been stopped.

        Raises:
            RunStopped: it has, by this row or by another one.
        """
        self._require_running()
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            outcome = await attempt(evaluator, scope)
        except asyncio.CancelledError:
            # Stopped by another row, and not by the consumer of the outcomes: that one is not waiting here.
            if self._stopped and task is not None and task.uncancel() == 0:
                self._require_running()
            raise
        finally:
            if task is not None:
                self._tasks.discard(task)
        self._add(outcome)
        self._require_running()
        return outcome

    def _require_running(self) -> None:
        if self._stopped:
            raise RunStopped(self._stopped)

    def _add(self, outcome: Outcome) -> None:
        now = monotonic()
        by_part = {failure.grader: failure for failure in outcome.failures}
        failed = {key: one for key, one in by_part.items() if one.blame == "infrastructure"}
        silent = {key for key, one in by_part.items() if one.blame != "judge"}
        if not outcome.saved:
            for key in {"", *outcome.sub_rewards, *self._streaks} - silent:
                self._worked.add(key)
                self._streaks.pop(key, None)
        for key, failure in failed.items():
            streak = self._streaks.get(key)
            if streak is None:
                streak = self._streaks[key] = _Streak(now, key in self._worked, failure)
            streak.add(failure)
            if streak.is_over(now):
                self._stop(streak)
        self.failing = bool(self._streaks)

    def _stop(self, streak: _Streak) -> None:
        if self._stopped:
            return
        self._stopped = f"{streak.rows} rows in a row failed, the last one so: {streak.last}"
        current = asyncio.current_task()
        for task in self._tasks - {current}:
            task.cancel()

    def require_answer(self, rows: int) -> None:
        """Check at the end of few rows that one of them, at least, could be asked for.

        Args:
            rows: how many there were.

        Raises:
            RunStopped: none could.
        """
        for key, streak in self._streaks.items():
            if key not in self._worked and streak.last.cause in ("refused", "unreachable"):
                raise RunStopped(f"{rows} rows failed, the last one so: {streak.last}")


class _Watched:
    """Evaluates rows for an `OutageWatch`."""

    waits = True

    def __init__(self, evaluator: Evaluator, watch: OutageWatch) -> None:
        self._evaluator, self._watch = evaluator, watch

    async def evaluate(self, scope: Scope) -> Outcome:
        """As the evaluator, while the run goes."""
        return await self._watch.evaluate(self._evaluator, scope)


class FirstRows:
    """Whether each of the first rows fails in the same way, and not by the model's output.

    Args:
        count_failed: whether outages count as well; if not, they decide nothing.

    Attributes:
        open: whether each row so far fails so.
    """

    def __init__(self, *, count_failed: bool = False) -> None:
        self.open = True
        self._count_failed = count_failed
        self._rows = 0
        self._flags: set[str] = set()
        self._first: ResultLine | None = None

    def add(self, result: ResultLine) -> None:
        """Count one more row.

        Raises:
            RunStopped: it is the last one of as many as it takes.
        """
        if result.status == "failed" and not self._count_failed:
            return
        flags = _failing(result)
        self._flags = flags if self._first is None else self._flags & flags
        self._first = self._first or result
        self._rows += 1
        if not self._flags:
            self.open = False
        elif self._rows == FIRST_ROWS:
            flag = next(flag for flag in self._first.flags if flag in self._flags)
            raise RunStopped(
                f"Each of the first {FIRST_ROWS} rows fails by {flag}, the one on line "
                f"{self._first.line} so: {details_line(self._first.flags[flag])}"
            )


def _failing(result: ResultLine) -> set[str]:
    """The flags by which a row fails; none if it is scored, or if the model's output is to blame."""
    if result.blame in (None, "sample"):
        return set()
    return result.flags.keys() - _SAMPLE_FLAGS


def held_back(
    results: Iterable[ResultLine], watch: OutageWatch, first: FirstRows | None
) -> Iterator[ResultLine]:
    """The results, but those of an outage, and of first rows that all fail, only when it is over.

    What is held back when the run is stopped gets no result: the same command grades those rows again.

    Args:
        results: of the rows, in their order.
        watch: of the grader that gives them.
        first: counts the first ones; None if there were others before them.

    Raises:
        RunStopped: the other rows cannot be graded either.
    """
    held: list[ResultLine] = []
    rows = 0
    for result in results:
        rows += 1
        if first is not None and first.open:
            first.add(result)
        if (first is not None and first.open) or (
            watch.failing and (held or result.status == "failed")
        ):
            held.append(result)
            continue
        yield from held
        held.clear()
        yield result
    watch.require_answer(rows)
    yield from held


def shards_held_back(
    graded: Iterable[tuple[Shard, ShardResults]], first: FirstRows | None
) -> Iterator[tuple[Shard, ShardResults]]:
    """Shards with their results; the first ones when it is clear that not all rows fail in the same way.

    Args:
        graded: the shards in their order.
        first: counts the first rows; None if there were others before them.

    Raises:
        RunStopped: the other rows cannot be graded either.
    """
    held: list[tuple[Shard, ShardResults]] = []
    for shard, results in graded:
        held.append((shard, results))
        if first is not None and first.open:
            for line in results.lines.splitlines():
                first.add(decode_result(line))
                if not first.open:
                    break
        if first is None or not first.open:
            yield from held
            held.clear()
    yield from held
