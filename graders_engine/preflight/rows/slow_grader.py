"""Grading takes long: a call, or all calls that the job will make.

Why: a trainer waits for each reward; the service stops a call of a python grader after 120 s, and counts it
as failed.

Example: a judge that reasons for 40 s per answer; a regular expression that takes minutes for a long
answer.

To mend it: give the judge fewer tokens or less effort, ask several things in one call, and bound what loops
over the answer.

Ignore it when: the endpoint is slow only from here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.planned import planned_calls
from graders_engine.preflight.showing import excerpt, location, number, see
from graders_engine.preflight.trials import Trial

STOPPED_S = 120.0
"""After which the service stops a call of a python grader (API guide, graders)."""
_DAY_S = 86_400.0


def _ask(inputs: Inputs) -> Answer:
    if not inputs.trials:
        return NotChecked("nothing was graded")
    trials = timed(inputs)
    if not trials:
        return NotChecked("nothing was graded without a failure of a judge or the infrastructure")
    return _findings(inputs, trials)


def timed(inputs: Inputs) -> list[Trial]:
    """What was graded in the time that it takes: an outage, and waiting for its end, is no such time."""
    return [
        trial
        for found in inputs.trials.values()
        for trial in found
        if trial.outcome.blame not in ("judge", "infrastructure")
    ]


def quantile(seconds: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies: the nearest rank."""
    ordered = sorted(seconds)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _findings(inputs: Inputs, trials: list[Trial]) -> Iterator[Finding]:
    seconds = [trial.outcome.seconds for trial in trials]
    p50, p95, slowest = quantile(seconds, 0.5), quantile(seconds, 0.95), max(seconds)
    calls = planned_calls(inputs)
    whole = (sum(seconds) / len(seconds)) * calls / inputs.concurrency
    limit = inputs.options.limit("slow_s")
    if p95 <= limit and whole <= _DAY_S and slowest <= STOPPED_S:
        return
    worst = max(trials, key=lambda trial: trial.outcome.seconds)
    long = f"; {calls:,} calls take {whole / 3600:.1f} h" if whole > _DAY_S else ""
    yield Finding(
        "slow-grader",
        "error" if slowest > STOPPED_S else "warning",
        f"A call takes {number(p50)} s in the median, {number(p95)} s at the 95th percentile, and "
        f"{number(slowest)} s at most{long}.",
        "Bound what the grader does with a long answer, or ask a faster judge.",
        where=[location(inputs, worst.ask.line)],
        numbers={"p50_s": p50, "p95_s": p95, "max_s": slowest, "calls": calls, "job_s": whole},
        details=[f"the slowest: {excerpt(worst.ask.sample)}"],
        see=see(inputs, worst),
    )


CHECK = Check("slow-grader", "rows", _ask, frozenset({"grader"}), silenced_by=("sample-unread",))
