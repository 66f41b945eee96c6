"""The steps of a job in numbers, from its events: taken in once each, as they come."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from math import isnan, nan
from typing import Any, NamedTuple

from graders_engine.outcome import BLAMES
from graders_engine.storage.watched_jobs import WatchedEvent, number_of

LAST_EVENTS, LAST_WARNINGS = 12, 10
"""Events that are kept: the newest of all, and the newest that are more than information."""
_PREFIXES = ("train_", "valid_")
METRICS = tuple(
    f"{prefix}{name}"
    for prefix in _PREFIXES
    for name in (
        "reward_mean", "loss", "mean_token_accuracy", "preference_accuracy", "preference_margin",
    )
)  # fmt: skip
"""What is kept of each step by the names of checkpoints."""
LOCAL = ("frac_zero_std", "clipped_ratio")
"""What is kept of `local` of each step."""
_MAX_NAMES = 200
"""Different flags, graders or parts of a step that are told apart."""
_MAX_CHARS = 120
_COUNT = "_count"


class Value(NamedTuple):
    """A value of a step; None where the step has none."""

    step: int
    value: float | None


class FlagKey(NamedTuple):
    """What errors are counted by: the grader that raised a flag, the flag, and of which file the rows are."""

    grader: str
    flag: str
    split: str


class Steps:
    """The steps of a job, and its events.

    Attributes:
        seq: of the last event that was taken in.
        events: how many there were.
        warnings: how many of them are more than information.
        last: the newest ones.
        last_warnings: the newest that are more than information.
        plan: what the job is about to do; empty before that.
        numbers: the steps, in their order.
        flags: how often each was raised.
        has_flags: whether any step says which flags were raised.
        blames: how many rollouts have no reward of their own, by (blame, split).
        has_blames: whether any step says it.
        seconds: of each part of the steps.
        validated: the steps with a validation, whether or not it has a mean.
        parts: of the sub-graders, the last mean rewards by (grader, split).
        judges: tokens of the judges by model.
    """

    def __init__(self) -> None:
        self.seq = self.events = self.warnings = 0
        self.last: deque[WatchedEvent] = deque(maxlen=LAST_EVENTS)
        self.last_warnings: deque[WatchedEvent] = deque(maxlen=LAST_WARNINGS)
        self.plan: Mapping[str, Any] = {}
        self.total: int | None = None
        self.numbers: array[int] = array("q")
        self._values = {name: array("d") for name in (*METRICS, *LOCAL)}
        self.flags: Counter[FlagKey] = Counter()
        self.blames: Counter[tuple[str, str]] = Counter()
        self.has_flags = self.has_blames = False
        self.seconds: Counter[str] = Counter()
        self.validated: array[int] = array("q")
        self.parts: dict[tuple[str, str], Value] = {}
        self.judges: Counter[str] = Counter()

    def add(self, event: WatchedEvent) -> None:
        """Take an event in."""
        self.seq = event.seq
        self.events += 1
        kept = event._replace(data={})
        self.last.append(kept)
        if event.level != "info":
            self.warnings += 1
            self.last_warnings.append(kept)
        if event.is_plan:
            self.plan = event.data
            self.total = _whole(event.data.get("total_steps")) or self.total
        if event.step is not None and (not self.numbers or event.step > self.numbers[-1]):
            self._add_step(event.step, event.data)

    def _add_step(self, step: int, data: Mapping[str, Any]) -> None:
        self.numbers.append(step)
        self.total = _whole(data.get("total_steps")) or self.total
        local = _mapping(data.get("local"))
        for names, values in ((METRICS, data), (LOCAL, local)):
            for name in names:
                value = number_of(values.get(name))
                self._values[name].append(nan if value is None else value)
        if _has_validation(data, local):
            self.validated.append(step)
        for part, seconds in _numbers(_mapping(data.get("timing")).get("step")):
            _count(self.seconds, part, max(0.0, seconds))
        self._add_errors(data, local)
        for one in _list(_mapping(data.get("scores")).get("graders")):
            for split in ("train", "valid"):
                name = f"{split}_reward_mean"
                key = (_name(one), split)
                if name in one and (key in self.parts or len(self.parts) < _MAX_NAMES):
                    self.parts[key] = Value(step, number_of(one[name]))
        usage = _mapping(data.get("model_graders_token_usage"))
        for model, used in usage.items():
            total = _whole(_mapping(used).get("total_tokens"))
            _count(self.judges, str(model)[:_MAX_CHARS], total or 0)

    def _add_errors(self, data: Mapping[str, Any], local: Mapping[str, Any]) -> None:
        found = _mapping(data.get("errors")).get("graders")
        self.has_flags |= isinstance(found, list)
        for one in _list(found):
            for name, count in _numbers(one):
                split, _, flag = name.removesuffix(_COUNT).partition("_")
                if name.endswith(_COUNT) and flag:
                    _count(self.flags, FlagKey(_name(one), flag, split), int(count))
        for split in ("train", "valid"):
            blames = local.get(f"{split}_blames")
            self.has_blames |= isinstance(blames, dict)
            for blame in BLAMES:
                self.blames[blame, split] += _whole(_mapping(blames).get(blame)) or 0

    def series(self, name: str) -> Iterator[Value]:
        """A metric by step; without a value where a step has none."""
        for step, value in zip(self.numbers, self._values[name], strict=True):
            yield Value(step, None if isnan(value) else value)

    def known(self, name: str) -> list[Value]:
        """A metric by step, of the steps that have it."""
        return [one for one in self.series(name) if one.value is not None]

    def has(self, name: str) -> bool:
        """Whether any step has a metric."""
        return not all(map(isnan, self._values[name]))

    @property
    def step(self) -> int:
        """The last step; 0 before the first."""
        return self.numbers[-1] if self.numbers else 0


def _has_validation(data: Mapping[str, Any], local: Mapping[str, Any]) -> bool:
    named = ("valid_loss", "valid_reward_mean", "full_valid_mean_reward")
    return any(name in data for name in named) or "valid_unscored" in local


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _numbers(value: Any) -> Iterator[tuple[str, float]]:
    for name, one in _mapping(value).items():
        if (number := number_of(one)) is not None:
            yield str(name)[:_MAX_CHARS], number


def _name(grader: Mapping[str, Any]) -> str:
    return str(grader.get("name", ""))[:_MAX_CHARS]


def _whole(value: Any) -> int | None:
    number = number_of(value)
    return int(number) if number is not None and 0 <= number < 1 << 53 else None


def _count(counter: Counter[Any], key: Any, value: float) -> None:
    if key in counter or len(counter) < _MAX_NAMES:
        counter[key] += value  # type: ignore[assignment] # seconds are counted, too
