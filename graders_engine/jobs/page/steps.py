"""The steps of a job in numbers, from its events: each is taken in once."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import nan
from typing import Any, NamedTuple

from graders_engine.outcome import BLAMES
from graders_engine.storage.watched_jobs import NewEvents, WatchedEvent, mapping_of, number_of

METRICS = tuple(
    f"{split}_{name}"
    for split in ("train", "valid")
    for name in (
        "reward_mean", "loss", "mean_token_accuracy", "preference_accuracy", "preference_margin",
    )
)  # fmt: skip
"""What is kept of each step by the names of checkpoints."""
LOCAL = ("frac_zero_std", "clipped_ratio")
"""What is kept of `local` of each step."""
_SPLITS = ("train", "valid")
_MAX_NAMES = 200
"""Different flags, graders or parts of a step that are kept apart."""
_MAX_CHARS = 120
_COUNT = "_count"


class At(NamedTuple):
    """A value, and its step."""

    step: int
    value: float


class Known(NamedTuple):
    """Of the values that a metric has: the first, the last, the lowest and the highest."""

    first: At
    last: At
    low: At
    high: At


class FlagKey(NamedTuple):
    """What errors are counted by: the grader that raised a flag, the flag, and of which file the rows are."""

    grader: str
    flag: str
    split: str


class Steps:
    """The steps of a job, and its events.

    Attributes:
        seq: of the last event that was taken in; 0 before the first.
        events: how many there were.
        warnings: how many of them are more than information.
        last: the newest ones, the newest first.
        last_warnings: the newest that are more than information.
        plan: what the job is about to do; empty before that.
        total: all steps; None if that is not known yet.
        numbers: of the steps, in their order.
        values: by metric, that of each step, or NaN.
        known: of the metrics that have any value.
        validated: the positions of steps with a validation, whether or not it has a mean.
        flags: how often each was raised.
        has_flags: whether any step says which flags were raised.
        blames: how many rollouts have no reward of their own, by (blame, split).
        has_blames: whether any step says it.
        seconds: of each part of the steps.
        parts: of the sub-graders, the last mean rewards by (grader, split); None where there is none.
        judges: tokens of the judges by model.
    """

    def __init__(self) -> None:
        self.seq = self.events = self.warnings = 0
        self.last: Sequence[WatchedEvent] = ()
        self.last_warnings: Sequence[WatchedEvent] = ()
        self.plan: Mapping[str, Any] = {}
        self.total: int | None = None
        self.numbers: array[int] = array("q")
        self.values = {name: array("d") for name in (*METRICS, *LOCAL)}
        self.known: dict[str, Known] = {}
        self.validated: array[int] = array("q")
        self.flags: Counter[FlagKey] = Counter()
        self.blames: Counter[tuple[str, str]] = Counter()
        self.has_flags = self.has_blames = False
        self.seconds: dict[str, float] = {}
        self.parts: dict[tuple[str, str], float | None] = {}
        self.judges: Counter[str] = Counter()

    def happened(self, events: NewEvents) -> None:
        """Take in what has happened, after its steps."""
        self.seq = self.seq if events.seq is None else events.seq
        self.events += events.new
        self.warnings += events.warnings
        self.last = events.last
        self.last_warnings = events.last_warnings or self.last_warnings
        self.plan = events.plan
        self.total = self.total or _whole(events.plan.get("total_steps"))

    def add(self, step: int, text: str | bytes) -> None:
        """Take in a step, by the data of its event; one that is not behind the last is known already."""
        if self.numbers and step <= self.numbers[-1]:
            return
        data = mapping_of(text)
        local = _mapping(data.get("local"))
        self.numbers.append(step)
        self.total = _whole(data.get("total_steps")) or self.total
        for names, found in ((METRICS, data), (LOCAL, local)):
            for name in names:
                self._add_value(name, step, found.get(name))
        if _has_validation(data, local):
            self.validated.append(len(self.numbers) - 1)
        self._add_errors(data, local)
        self._add_times(_mapping(_mapping(data.get("timing")).get("step")))
        self._add_graders(data)

    def _add_value(self, name: str, step: int, found: Any) -> None:
        value = found if isinstance(found, float) and found - found == 0 else number_of(found)
        self.values[name].append(nan if value is None else value)
        if value is None:
            return
        at = At(step, value)
        before = self.known.get(name)
        if before is None:
            self.known[name] = Known(at, at, at, at)
        else:
            first, _, low, high = before
            self.known[name] = Known(
                first, at, at if value < low.value else low, at if value > high.value else high
            )

    def _add_errors(self, data: Mapping[str, Any], local: Mapping[str, Any]) -> None:
        found = _mapping(data.get("errors")).get("graders")
        self.has_flags |= isinstance(found, list)
        for one in _list(found):
            for name in one:
                split, _, flag = str(name)[:_MAX_CHARS].removesuffix(_COUNT).partition("_")
                if flag and name.endswith(_COUNT) and (count := _whole(one[name])):
                    key = FlagKey(_name(one), flag, split)
                    if key in self.flags or len(self.flags) < _MAX_NAMES:
                        self.flags[key] += count
        for split in _SPLITS:
            blames = local.get(f"{split}_blames")
            if isinstance(blames, dict):
                self.has_blames = True
                for blame in BLAMES:
                    if count := _whole(blames.get(blame)):
                        self.blames[blame, split] += count

    def _add_times(self, parts: Mapping[str, Any]) -> None:
        for name, found in parts.items():
            seconds = number_of(found)
            part = str(name)[:_MAX_CHARS]
            if seconds is not None and (part in self.seconds or len(self.seconds) < _MAX_NAMES):
                self.seconds[part] = self.seconds.get(part, 0.0) + max(0.0, seconds)

    def _add_graders(self, data: Mapping[str, Any]) -> None:
        for one in _list(_mapping(data.get("scores")).get("graders")):
            for split in _SPLITS:
                name, key = f"{split}_reward_mean", (_name(one), split)
                if name in one and (key in self.parts or len(self.parts) < _MAX_NAMES):
                    self.parts[key] = number_of(one[name])
        for model, used in _mapping(data.get("model_graders_token_usage")).items():
            name = str(model)[:_MAX_CHARS]
            if name in self.judges or len(self.judges) < _MAX_NAMES:
                self.judges[name] += _whole(_mapping(used).get("total_tokens")) or 0

    def of_validations(self, name: str) -> tuple[Sequence[int], Sequence[float]]:
        """The steps with a validation, and a metric of each, or NaN."""
        values = self.values[name]
        return [self.numbers[at] for at in self.validated], [values[at] for at in self.validated]

    @property
    def step(self) -> int:
        """The last step; 0 before the first."""
        return self.numbers[-1] if self.numbers else 0


def _has_validation(data: Mapping[str, Any], local: Mapping[str, Any]) -> bool:
    named = ("valid_loss", "valid_reward_mean", "full_valid_mean_reward")
    return any(name in data for name in named) or "valid_unscored" in local


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))


def _name(grader: Mapping[str, Any]) -> str:
    return str(grader.get("name", ""))[:_MAX_CHARS]


def _whole(value: Any) -> int | None:
    number = number_of(value)
    return int(number) if number is not None and 0 <= number < 1 << 53 else None
