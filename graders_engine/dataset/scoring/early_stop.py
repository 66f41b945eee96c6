"""Stop a run whose other rows cannot be graded either: the first rows show it, or an outage does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Any

from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.rows.records import RowRef
from graders_engine.errors import RunStopped
from graders_engine.graders.base import Evaluator, attempt
from graders_engine.language.scope import Scope
from graders_engine.outcome import Cause, Failure, Flag, Outcome, details_line

FIRST_ROWS = 20
"""If each of the first rows fails in the same way, the others are not graded. Samples of a prompt are one."""
MOST_SAMPLES = 256
"""More lines that all fail are enough, too, however few prompts they seem to be of."""
REFUSED_ROWS = 5
"""Rows in a row that an endpoint refuses, before it is not asked any more: a wrong key stays wrong."""
FAILED_ROWS = 20
"""Rows in a row that must have failed in any other way."""
OUTAGE_S = 30.0
"""An endpoint that answered before is given this long to come back."""
BUSY_S = 120.0
"""An endpoint that answers, but with 429 or 503, is given this long from its first failed row on; with
another error of a server, if it gave an answer before."""
LAST_ANSWERS_S = 10.0
"""When a run is stopped, the rows before the first one that failed are given this long to be answered."""
_NOT_ASKED: frozenset[Cause] = frozenset(("refused", "forbidden", "unreachable"))
"""With these causes, an endpoint did not even consider what it was asked."""
_SAMPLE_FLAGS = {
    Flag.TRUNCATED_OBSERVATION.value,
    Flag.UNRESPONSIVE_REWARD.value,
    Flag.SAMPLE_PARSE.value,
}
"""No row fails by the first two, which accompany a reward; by the third, it fails by the model's output."""
_SAMPLES_FAULT = {Flag.SAMPLE_PARSE.value, Flag.INVALID_VARIABLE.value}
"""What a sample can be to blame for; the second one only if the row is not."""
_GRADERS_FAULT = {Flag.FORMULA_PARSE.value, Flag.PYTHON_RUNTIME.value}
"""What may be the consequence of a failure in another part."""


@dataclass(slots=True)
class _Streak:
    """Rows in a row in which the same part of a grader failed, and not by its own fault.

    Rows have the numbers in which they were begun.
    """

    first_at: float
    worked_before: bool
    last: Failure
    first_row: int
    rows: int = 0

    def add(self, failure: Failure, row: int) -> None:
        self.rows += 1
        self.last = failure
        self.first_row = min(self.first_row, row)

    def is_over(self, now: float) -> bool:
        """Whether nothing is to be expected any more."""
        cause = self.last.cause
        # A key and a model that worked are not wrong: what is forbidden then may be a few requests.
        if cause == "refused" or (cause == "forbidden" and not self.worked_before):
            return self.rows >= REFUSED_ROWS
        patience_s = OUTAGE_S if self.worked_before else 0.0
        if cause == "busy" or (cause == "unavailable" and self.worked_before):
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
        self._begun = 0
        self._tasks: dict[asyncio.Task[object], int] = {}

    def over(self, compiled: CompiledGrader) -> CompiledGrader:
        """The same grader, watched; one that does not wait is returned unchanged."""
        if not compiled.evaluator.waits:
            return compiled
        return compiled.with_evaluator(_Watched(compiled.evaluator, self))

    async def evaluate(self, evaluator: Evaluator, scope: Scope) -> Outcome:
        """Grade one row, unless the run has been stopped.

        Raises:
            RunStopped: it has, by this row or by another one; what was answered nevertheless is returned.
        """
        self._require_running()
        task = asyncio.current_task()
        self._begun = row = self._begun + 1
        if task is not None:
            self._tasks[task] = row
        try:
            outcome = await attempt(evaluator, scope)
        except asyncio.CancelledError:
            # Stopped by another row, and not by the consumer of the outcomes: that one is not waiting here.
            if self._stopped and task is not None and task.uncancel() == 0:
                self._require_running()
            raise
        finally:
            if task is not None:
                self._tasks.pop(task, None)
        if not self._stopped:  # an answer that was begun before shows no life
            self._add(outcome, row)
        if outcome.status == "failed":
            self._require_running()
        return outcome

    def _require_running(self) -> None:
        if self._stopped:
            raise RunStopped(self._stopped)

    def _add(self, outcome: Outcome, row: int) -> None:
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
                streak = self._streaks[key] = _Streak(now, key in self._worked, failure, row)
            streak.add(failure, row)
            if streak.is_over(now):
                self._stop(streak)
        self.failing = bool(self._streaks)

    def _stop(self, streak: _Streak) -> None:
        if self._stopped:
            return
        self._stopped = f"{streak.rows} rows in a row failed, the last one so: {streak.last}"
        last = streak.first_row if streak.worked_before else 0
        self._cancel(after=last)
        if self._tasks:
            # Results are stored in their order: those before the first failed row are not lost by this.
            asyncio.get_running_loop().call_later(LAST_ANSWERS_S, self._cancel)

    def _cancel(self, after: int = 0) -> None:
        """End the rows that are being graded, and were begun after this one."""
        for task in [task for task, row in self._tasks.items() if row > after]:
            task.cancel()

    def require_answer(self) -> None:
        """Check at the end of rows none of which has a reward that they could be asked for.

        Raises:
            RunStopped: they could not.
        """
        for key, streak in self._streaks.items():
            if key not in self._worked and streak.last.cause in _NOT_ASKED:
                rows = "1 row" if streak.rows == 1 else f"{streak.rows:,} rows"
                raise RunStopped(f"{rows} failed, the last one so: {streak.last}")


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

    It takes rows of `FIRST_ROWS` prompts: many samples of a bad one show nothing about the others. Rows one
    after the other with an equal item are of one prompt, unless the judge is to blame.

    Args:
        count_failed: whether outages count as well; if not, they decide nothing.

    Attributes:
        open: whether each row so far fails so.
        stopped: whether the run was stopped for it, so that the results so far are worth nothing.
    """

    def __init__(self, *, count_failed: bool = False) -> None:
        self.open = True
        self.stopped = False
        self._count_failed = count_failed
        self._rows = self._lines = self._last_line = 0
        self._item: Any = None
        self._line_of_item = 0
        self._repeated: dict[int, int] = {}
        self._prompts: set[str | int] = set()
        self._ways: set[tuple[str, str]] = set()
        self._first: ResultLine | None = None

    def see(self, ref: RowRef) -> None:
        """Take note of a row, before its result is added."""
        item = ref.row.get("item") if isinstance(ref.row, dict) else None
        if item and item == self._item:
            self._repeated[ref.line] = self._line_of_item
        else:
            self._item, self._line_of_item = item, ref.line

    def add(self, result: ResultLine) -> None:
        """Count one more row.

        Raises:
            RunStopped: it is the last one of as many as it takes.
        """
        if result.status == "failed" and not self._count_failed:
            return
        ways = _ways_to_fail(result)
        self._ways = ways if self._first is None else self._ways & ways
        self._first = self._first or result
        self._rows += 1
        self._lines += result.line != self._last_line
        self._last_line = result.line
        self._prompts.add(self._prompt_of(result))
        self.open = bool(self._ways)
        if len(self._prompts) == FIRST_ROWS or self._lines > MOST_SAMPLES:
            self.end()

    def end(self) -> None:
        """There are no more rows.

        Raises:
            RunStopped: there were as many as it takes, though of fewer prompts.
        """
        if self.open and self._first is not None and self._lines >= FIRST_ROWS:
            self.stopped = True
            raise RunStopped(self._reason(self._first))

    def _prompt_of(self, result: ResultLine) -> str | int:
        if result.group is not None:
            return result.group
        by_item = result.blame in ("row", "grader")
        return self._repeated.get(result.line, result.line) if by_item else result.line

    def _reason(self, first: ResultLine) -> str:
        flag = next(flag for flag in first.flags if any(flag == way for way, _ in self._ways))
        of = f" (of {len(self._prompts)} prompts)" if 1 < len(self._prompts) < self._rows else ""
        hint = (
            "\nIf the model's outputs are behind it, and the grader is as it should be: --keep-going."
            if first.blame == "grader"
            else ""
        )
        if _NO_MODULE in first.flags[flag]:
            hint = f"\n{_ONE_FILE}{hint}"
        return (
            f"Each of the first {self._rows:,} rows{of} fails by {flag}, the one on line {first.name} so: "
            f"{details_line(first.flags[flag])}{hint}"
        )


_NO_MODULE = "ModuleNotFoundError: "
_ONE_FILE = (
    "A grader's source is one file, and the files beside it are not seen: a module of your own belongs into "
    "it, and a package into the image that its `image_tag` names."
)


def _ways_to_fail(result: ResultLine) -> set[tuple[str, str]]:
    """How a row fails by anything but the model's output: by its flags, and by what code raised.

    A formula or code that fails in the same row as the sample fails in may do so for that reason alone.
    """
    if result.blame in (None, "sample"):
        return set()
    flags = result.flags.keys() - _SAMPLE_FLAGS
    if result.blame != "row" and result.flags.keys() & _SAMPLES_FAULT:
        flags -= _SAMPLES_FAULT | _GRADERS_FAULT
    return {
        (flag, details_line(result.flags[flag]) if flag == Flag.PYTHON_RUNTIME else "")
        for flag in flags
    }
