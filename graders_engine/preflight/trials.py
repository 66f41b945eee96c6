"""What is graded for the checks: planned as a whole before the first row is graded, then graded once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graders_engine.errors import BudgetSpent, GradersError
from graders_engine.graders.messages import renderer
from graders_engine.outcome import RowOutcome
from graders_engine.outputs.forms import sample_scope
from graders_engine.preflight.grader_facts import GraderFacts
from graders_engine.preflight.references import Sample

if TYPE_CHECKING:
    from graders_engine.preflight.inputs import Inputs


@dataclass(frozen=True, slots=True)
class Ask:
    """A sample to grade.

    Attributes:
        stage: the name of the stage that wants to know.
        line: the line of its row in the training file.
        item: the row's item.
        sample: the model's output, made up for this.
        label: what it is for the stage: an attack and its variant, an operator and its field.
        times: how often it is graded, to see whether the rewards differ.
        given: the row as the user's file of samples has it, graded as it is; None for what was made up.
    """

    stage: str
    line: int
    item: Any
    sample: Sample
    label: tuple[str, ...] = ()
    times: int = 1
    given: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A sample that was graded.

    Attributes:
        ask: what was asked.
        outcome: what came of it.
        again: the outcomes of the other times; without them if it was graded once.
        reward: the reward as training would count it; None if a judge, the row or an outage is to blame.
    """

    ask: Ask
    outcome: RowOutcome
    again: tuple[RowOutcome, ...] = ()
    reward: float | None = field(init=False)

    def __post_init__(self) -> None:
        # Checks ask for it hundreds of times.
        object.__setattr__(self, "reward", self.outcome.counted)


@dataclass(frozen=True, slots=True)
class Stage:
    """A kind of samples that is graded.

    Attributes:
        name: its name.
        plan: what to grade, for inputs of which nothing is graded yet; the number of rows is the second
            argument.
        rows: how many rows it usually draws; None for all prompts of the user's samples.
        checks: the checks that need it: it is left out if none of them is asked.
    """

    name: str
    plan: Callable[[Inputs, int], Iterable[Ask]]
    rows: int | None
    checks: tuple[str, ...]


@dataclass(slots=True)
class Plan:
    """All that will be graded.

    Attributes:
        asks: in the order of the stages, each different sample of a row once.
        calls: how many requests judges will get.
        rows: how many rows each stage has.
        share: the share of the usual number of rows; below 1.0 where judges' calls are few.
        repeats: how often a judge answers each request, where no stage wants more.
        needed: the calls that it would have taken to keep a stage, for each that was left out.
    """

    asks: list[Ask]
    calls: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    share: float = 1.0
    repeats: int = 1
    needed: Mapping[str, int] = field(default_factory=dict)


_SMALLER = 0.8
"""By which the rows of each stage are reduced until judges' calls are few enough."""
_FEWEST = 2


def plan_of(inputs: Inputs, stages: Sequence[Stage], repeats: int = 1) -> Plan:
    """What is graded, within the calls that judges may get.

    With too few calls for `_FEWEST` rows of each stage, stages are left out from the end.
    """
    options, facts = inputs.options, inputs.grader
    if facts is None:
        return Plan([])
    judged = bool(facts.judges)
    wanted, share, needed = list(stages), 1.0, dict[str, int]()
    while True:
        rows = {
            stage.name: max(round(_usual(stage, inputs, judged=judged) * share), _FEWEST)
            for stage in wanted
        }
        asks = [ask for stage in wanted for ask in stage.plan(inputs, rows[stage.name])]
        calls = calls_of(facts, asks, repeats) if judged else 0
        if calls <= options.max_calls or not judged:
            return Plan(asks, calls, rows, share, repeats, needed)
        if max(rows.values(), default=0) <= _FEWEST:
            needed[wanted.pop().name] = calls
            share = 1.0  # what is left out leaves calls for more rows of the others
            if not wanted:
                return Plan([], needed=needed)
        else:
            share *= _SMALLER


def _usual(stage: Stage, inputs: Inputs, *, judged: bool) -> int:
    """How many rows a stage draws where calls are no question; no more prompts than calls, of the user's."""
    if stage.rows is not None:
        return inputs.options.scaled(stage.rows)
    prompts = len({sample.prompt for sample in inputs.given})
    return min(prompts, inputs.options.max_calls) if judged else prompts


def sample_key(sample: Sample) -> str:
    """Equal for equal samples."""
    return sample if isinstance(sample, str) else json.dumps(sample, sort_keys=True)


_Key = tuple[int | str, ...]


def key_of(ask: Ask) -> _Key:
    """Equal for equal samples of one row; each of the user's samples is graded by itself."""
    if ask.given is not None:
        return ask.stage, *ask.label
    return ask.line, sample_key(ask.sample)


def calls_of(facts: GraderFacts, asks: Iterable[Ask], repeats: int = 1) -> int:
    """How many requests judges get for this: equal ones are answered from the cache.

    Without a cache, only those that are in flight at the same time are sent once: it may be a few more.
    """
    return sum(times for _, _, times in requests_of(facts, asks, repeats))


def requests_of(
    facts: GraderFacts, asks: Iterable[Ask], repeats: int = 1
) -> Iterator[tuple[str, Any, int]]:
    """(model, messages, how often) of each different request that judges get for this.

    A request that is sent several times for one answer is another one than that which is sent once.
    """
    renderers = [(path, spec, renderer(spec.input)) for path, spec in facts.judges]
    found: dict[Any, None] = {}
    for ask, times in _times_of(asks).values():
        try:
            scope = sample_scope(
                ask.item,
                model_sample=ask.sample if isinstance(ask.sample, str) else None,
                sample=None if isinstance(ask.sample, str) else ask.sample,
            )
        except GradersError:
            continue
        for path, spec, render in renderers:
            try:
                found[spec.model, path, render(scope), max(times, repeats)] = None
            except GradersError:
                continue  # no request is sent
    yield from ((model, messages, times) for model, _, messages, times in found)


def _times_of(asks: Iterable[Ask]) -> dict[_Key, tuple[Ask, int]]:
    """Each different sample of a row, and how often it is graded."""
    found: dict[_Key, tuple[Ask, int]] = {}
    for ask in asks:
        key = key_of(ask)
        first, times = found.get(key, (ask, 0))
        found[key] = first, max(times, ask.times)
    return found


def rows_of(asks: Iterable[Ask]) -> Iterator[dict[str, Any]]:
    """The asks as rows that an engine scores."""
    for ask in asks:
        key = "model_sample" if isinstance(ask.sample, str) else "sample"
        yield {"item": ask.item, key: ask.sample} if ask.given is None else dict(ask.given)


Grade = Callable[[Iterable[dict[str, Any]], int], AsyncIterator[RowOutcome]]
"""Grades rows, each so many times; one outcome a row."""


async def graded(
    plan: Plan, grade: Grade, *, judged: bool, on_progress: Callable[[int, int], None]
) -> tuple[dict[str, list[Trial]], str]:
    """Grade what was planned.

    Args:
        plan: what to grade.
        grade: grades rows.
        judged: whether a judge repeats its answers by itself; other graders are run again.
        on_progress: called with how many of how many are done.

    Returns:
        The trials of each stage, in the order of the plan, and why some stages are missing: empty where
        none is. What was not graded in a stage may be what its checks are about.
    """
    asks = _times_of(plan.asks)
    outcomes: dict[_Key, list[RowOutcome]] = {key: [] for key in asks}
    runs: list[tuple[_Key, int]] = []
    for key, (_, count) in asks.items():
        runs += [(key, count)] if judged else [(key, 1)] * count
    done, stopped = 0, ""
    try:
        for count in dict.fromkeys(count for _, count in runs):
            keys = [key for key, wanted in runs if wanted == count]
            position = 0
            async for outcome in grade(rows_of(asks[key][0] for key in keys), count):
                outcomes[keys[position]].append(outcome)
                position, done = position + 1, done + 1
                on_progress(done, len(runs))
    except BudgetSpent:
        stopped = (
            f"The budget for judges was spent after {done:,} of {len(runs):,} samples: what needs the "
            "others is not checked. Run the same command with a larger budget, or with fewer --rows."
        )
    partial = {ask.stage for ask in plan.asks if not outcomes[key_of(ask)]}
    trials: dict[str, list[Trial]] = {}
    for ask in plan.asks:
        if ask.stage not in partial:
            first, *again = outcomes[key_of(ask)]
            trials.setdefault(ask.stage, []).append(Trial(ask, first, tuple(again)))
    return trials, stopped
