"""Which of the user's samples are graded, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from graders_engine.preflight.attacks.plan import spread
from graders_engine.preflight.inputs import GivenSample, GradedSample, Inputs
from graders_engine.preflight.rows.stages import times_graded
from graders_engine.preflight.trials import Ask, Trial

NAME = "samples"
FEWEST_REGRADED, MOST_REGRADED = 20, 50
"""Samples that are graded several times, to see whether their rewards differ."""


def plan(inputs: Inputs, prompts: int) -> Iterator[Ask]:
    """All samples of so many prompts; none where a run of this grader gave them their rewards."""
    if inputs.samples:
        return
    counts = Counter(given.prompt for given in inputs.given)
    drawn = spread(list(counts), prompts)
    again, chosen = _regraded(inputs, counts, drawn), set(drawn)
    times = times_graded(inputs)
    for given in inputs.given:
        if given.prompt not in chosen:
            continue
        again[given.prompt] -= 1
        yield Ask(
            NAME, given.line, given.item, given.sample, _label(given),
            times if again[given.prompt] >= 0 else 1, given.source,
        )  # fmt: skip


def _regraded(inputs: Inputs, counts: Counter[str], drawn: Sequence[str]) -> Counter[str]:
    """How many samples of each prompt are graded several times: all, until there are enough.

    Where judges' calls allow few samples, more of them say more than more rewards of the same.
    """
    most = MOST_REGRADED
    if inputs.grader is not None and inputs.grader.judges:
        share = sum(counts[prompt] for prompt in drawn) // 3
        most = min(max(share, FEWEST_REGRADED), most)
    found: Counter[str] = Counter()
    for prompt in drawn:
        found[prompt] = min(counts[prompt], most - found.total())
    return found


def _label(given: GivenSample) -> tuple[str, ...]:
    return str(given.line), str(given.number)


def take(inputs: Inputs, trials: Sequence[Trial]) -> None:
    """Put the samples that were graded into the inputs."""
    by_label = {_label(given): given for given in inputs.given}
    inputs.regraded = [trial for trial in trials if trial.ask.times > 1]
    inputs.samples = [GradedSample.of(by_label[one.ask.label], one.outcome) for one in trials]
