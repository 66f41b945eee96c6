"""A grader as a reward: one object for any trainer or evaluation framework."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, Self

from graders_engine.adapters.plain import Columns, NotJson, plain
from graders_engine.adapters.process_engine import ProcessEngine, file_of, in_fork
from graders_engine.adapters.rows import is_text_row, plain_row
from graders_engine.adapters.rows import row_of as row_of
from graders_engine.dataset.scoring.code_faults import CodeFaults
from graders_engine.engine import YIELD_EVERY_S
from graders_engine.errors import InvalidRequest, NoReward
from graders_engine.language import strict_json
from graders_engine.outcome import SERVED, RowOutcome, Status, details_line

_log = logging.getLogger("graders_engine")

Policy = Literal["none", "nan", "raise", "served"] | float
"""What a framework gets for a row without a reward: None, NaN, an exception, what the service serves (0.0, or
a multi's `invalid_grade`), or this number."""
STATUSES: tuple[Status, ...] = ("scored", "invalid", "failed")
_WORDS = ("none", "nan", "raise", "served")


def status_of(outcome: RowOutcome) -> Status:
    """What a row is for a framework: "failed" is one that a judge or the infrastructure is to blame for.

    Of the two, results files and reports call those of a judge "invalid": a retry may change nothing.
    """
    blame = outcome.outcome.blame
    if blame is None:
        return "scored"
    return "failed" if blame in ("judge", "infrastructure") else "invalid"


class GraderReward:
    """A grader as the reward of another framework. Threads may share it; processes get engines of their own.

    Whose fault it is that a row has no reward decides what the framework gets. The model's, or the grader's
    own code's: `invalid`. A judge's or an outage: `failed`, which is never a zero unless you ask for it. The
    row's, such as a template that reads a key which the item does not have: an exception, since each reward
    would be the same zero. That of the grader's own code is a warning at the first failure of each kind, and
    an exception where it failed on each of the first 20 samples in the same way and `invalid` is "served".

    Example::

        reward = GraderReward("@grader.json", judges="http://127.0.0.1:8001/v1")
        outcome = reward.grade("Paris", {"answer": "Paris"})
        print(reward.value(outcome), outcome.sub_rewards, outcome.flags)

    Args:
        grader: a dict or any other mapping, JSON text, the path of a JSON file (also as `@path`), an object
            of the `openai` package, or another GraderReward, whose engine it shares.
        failed: what a row gets for which a judge or the infrastructure failed; not "served".
        invalid: what a row gets whose output or whose grader's code is at fault.
        name: the name in logs; by default the grader's, or the other GraderReward's.
        settings: the engine's, by the names of `EngineSettings`; none with another GraderReward.

    Attributes:
        name: the name in logs.
        keys: a multi's parts, the same for each row; empty for other graders.
        tally: how many rows were scored, invalid and failed so far, in this process.

    Raises:
        InvalidRequest: the grader cannot be used, or a policy is unknown.
        TypeError, ValueError: a setting is wrong.
    """

    def __init__(
        self,
        grader: Any,
        *,
        failed: Policy = "none",
        invalid: Policy = "served",
        name: str | None = None,
        **settings: Any,
    ) -> None:
        _require_policy("failed", failed, _WORDS[:3])
        _require_policy("invalid", invalid, _WORDS)
        if isinstance(grader, GraderReward) and settings:
            raise InvalidRequest(
                f"The settings {', '.join(settings)} belong to the other GraderReward, whose engine is used."
            )
        other = grader if isinstance(grader, GraderReward) else None
        self._own: ProcessEngine = other._own if other else ProcessEngine(grader, settings)
        self.failed, self.invalid = failed, invalid
        usual = other.name if other else self._own.compiled.spec.name
        self.name: str = name or usual or "grader"
        self.__name__ = self.name  # frameworks name their metrics by it
        self.keys: tuple[str, ...] = tuple(self._own.compiled.spec.parts())
        self.tally: dict[Status, int] = dict.fromkeys(STATUSES, 0)
        self._columns = Columns(self.name)
        self._faults: CodeFaults = other._faults if other else CodeFaults()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release what the engine holds; the end of the process does, too."""
        self._own.close()

    def row(self, output: Any, item: Any = None) -> Any:
        """A row for `grade_all`: as `row_of`; columns that are left out are named once."""
        return row_of(output, item, self._columns)

    def grade(self, output: Any, item: Any = None) -> RowOutcome:
        """Grade one output; the arguments are those of `row`."""
        own, row = self._own.here(), self.row(output, item)
        if own.waits:
            return self.grade_all((row,))[0]
        outcome = own.compiled.grade_row_now(0, row, own.scope)
        return self._counted([outcome])[0]

    def grade_all(self, rows: Iterable[Any]) -> list[RowOutcome]:
        """Grade rows, several at once where they wait for judges or python; the outcomes are in their order.

        Args:
            rows: as `Engine.score` takes them, or from `row`. One with a list of samples has an outcome for
                each of them.
        """
        own, given = self._own.here(), list(rows)
        if not own.waits and all(map(is_text_row, given)):
            return self._counted(list(own.compiled.grade_rows_now(given, own.scope, held=True)))
        return self._counted(list(own.engine.score(own.compiled, self._plain_rows(given))))

    async def agrade(self, output: Any, item: Any = None) -> RowOutcome:
        """`grade` in asyncio code, in any event loop."""
        if not self._own.here().waits:
            return self.grade(output, item)
        (outcome,) = await self.agrade_all((self.row(output, item),))
        return outcome

    async def agrade_all(self, rows: Iterable[Any]) -> list[RowOutcome]:
        """`grade_all` in asyncio code, in any event loop."""
        own, plain_rows = self._own.here(), self._plain_rows(rows)
        if own.waits:
            # Not in threads: the loop's executor has few of them, and all would wait.
            submitted = own.engine.submit(own.compiled, plain_rows)
            return self._counted(await asyncio.wrap_future(submitted))
        graded, yield_at = [], perf_counter() + YIELD_EVERY_S
        for outcome in own.engine.score(own.compiled, plain_rows):
            graded.append(outcome)
            if perf_counter() > yield_at:
                await asyncio.sleep(0)
                yield_at = perf_counter() + YIELD_EVERY_S
        return self._counted(graded)

    def value(self, outcome: RowOutcome) -> float | None:
        """What the framework gets for a row, by the policies `failed` and `invalid`.

        Raises:
            NoReward: the row is at fault, or the policy is "raise"; or the policy is "served", and the
                grader's code failed on each of the first samples in the same way.
        """
        blame = outcome.outcome.blame
        if blame is None:
            return outcome.outcome.reward
        policy = self.invalid if blame in SERVED else self.failed
        if blame == "row" or policy == "raise":
            details = "; ".join(
                f"{flag}: {details_line(text)}" for flag, text in outcome.flags.items()
            )
            raise NoReward(f"{self.name} has no reward for a row ({blame}). {details}", outcome)
        value: float | None
        if policy == "served":
            self._require_sense(outcome)
            value = outcome.outcome.served
        elif isinstance(policy, str):
            value = {"none": None, "nan": math.nan}[policy]
        else:
            value = policy
        if blame == "grader" and (news := self._faults.news(outcome)) is not None:
            _log.warning(
                "%s: a sample gets %s, since the grader's code failed: %s", self.name, value, news
            )
        return value

    def _require_sense(self, outcome: RowOutcome) -> None:
        if outcome.outcome.blame == "grader" and (why := self._faults.of_all()) is not None:
            raise NoReward(
                f"{self.name} has no reward: the grader's code failed on {why}. If the model's outputs are "
                "behind it, and the grader is as it should be, `invalid=0.0` gives such samples 0.0.",
                outcome,
            )

    def reason(self, outcome: RowOutcome) -> str | None:
        """The details of a row's flags, for people; None if it has none."""
        return "\n".join(filter(None, outcome.flags.values())) or ", ".join(outcome.flags) or None

    def numbers(self, outcome: RowOutcome) -> dict[str, float]:
        """Numbers of a row for a framework's logs, with the same keys for each row.

        `scored`, `invalid` and `failed` are 1.0 or 0.0; each part of a multi is its reward, NaN where it has
        none. A part of one of these three names has `part_` before it.
        """
        status = status_of(outcome)
        found: dict[str, float] = {name: float(name == status) for name in STATUSES}
        for key in self.keys:
            part = outcome.sub_rewards.get(key)
            found[f"part_{key}" if key in STATUSES else key] = math.nan if part is None else part
        return found

    def means(self, outcomes: Iterable[RowOutcome]) -> dict[str, float]:
        """The mean of each of `numbers` over rows, without NaN; a part that no row has is left out."""
        values: dict[str, list[float]] = {}
        for outcome in outcomes:
            for key, number in self.numbers(outcome).items():
                if not math.isnan(number):
                    values.setdefault(key, []).append(number)
        return {key: math.fsum(found) / len(found) for key, found in values.items()}

    def _counted(self, outcomes: list[RowOutcome]) -> list[RowOutcome]:
        unscored = [status_of(row) for row in outcomes if row.outcome.failures]
        self.tally["scored"] += len(outcomes) - len(unscored)
        for status in unscored:
            self.tally[status] += 1
        self._faults.add(outcomes)
        return outcomes

    def _plain_rows(self, rows: Iterable[Any]) -> list[Any]:
        return [row if is_text_row(row) else plain_row(row, self._columns) for row in rows]


def shared_reward(grader: Any, settings: Mapping[str, Any]) -> GraderReward:
    """The GraderReward of a grader and settings: for functions that are called with both for each row.

    A process keeps the last `MAX_SHARED` of them. A file is read again when it has changed.

    Raises:
        InvalidRequest, TypeError, ValueError: as GraderReward.
    """
    if isinstance(grader, GraderReward):
        return GraderReward(grader, **settings)  # which shares its engine
    key = (
        _version_of(grader) or _identity_of(grader),
        *((name, _identity_of(settings[name])) for name in sorted(settings)),
    )
    with in_fork.lock:
        if key not in _shared:
            given = {
                name: plain(value) if isinstance(value, Mapping) else value
                for name, value in settings.items()
            }
            _shared[key] = (GraderReward(grader, **given), (grader, dict(settings)))
        _shared.move_to_end(key)
        while len(_shared) > MAX_SHARED:
            _shared.popitem(last=False)
        return _shared[key][0]


MAX_SHARED = 32
_shared: OrderedDict[tuple[Any, ...], tuple[GraderReward, Any]] = OrderedDict()
"""With what it was made of: an object that is held has an `id` of its own."""


def _version_of(grader: Any) -> Any:
    """A grader's file as it is now; None if it is none that can be looked at."""
    path = file_of(grader)
    if path is not None:
        with suppress(OSError):
            found = path.stat()
            return str(path.resolve()), found.st_mtime_ns, found.st_size, found.st_ino
    return None


def _identity_of(value: Any) -> Any:
    """What is equal for equal graders and settings, and for nothing else."""
    if isinstance(value, (str, bytes, int, float, Path, type(None))):
        return type(value).__name__, value
    if isinstance(value, (Mapping, list, tuple)):
        with suppress(NotJson, ValueError):
            return strict_json.encode(plain(value))
    return "id", id(value)


def _require_policy(name: str, policy: Any, words: Iterable[str]) -> None:
    if isinstance(policy, str) and policy in words:
        return
    if isinstance(policy, (int, float)) and not isinstance(policy, bool) and math.isfinite(policy):
        return
    known = ", ".join(f'"{word}"' for word in words)
    raise InvalidRequest(f"`{name}` must be one of {known}, or a number, but it is {policy!r}.")
