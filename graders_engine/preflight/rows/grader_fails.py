"""The grader gives no reward to answers that it should grade.

Its code raises, its formula has no value, or its judge gives no verdict.

Why: in training such an answer counts as 0.0 or is lost, whatever it is worth; a job whose grader fails too
often is paused or ends.

Example: `item["answer"]["value"]` raises a TypeError in 3 of 30 rows, in which `answer` is a number.

To mend it: run the command that is printed, and make the code, the formula or the judge's messages ready
for such rows. Where only hostile text makes it fail, such as an empty answer, that is said as information,
unless the grader does not end by itself: then each such answer holds up the training.

Ignore it when: the failures are an outage of the judge's endpoint, and a second run has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from graders_engine.outcome import Blame, details_line
from graders_engine.preflight.attacks.catalog import BY_NAME
from graders_engine.preflight.attacks.plan import NAME as ATTACKS
from graders_engine.preflight.check import BUDGET_SPENT, Answer, Check
from graders_engine.preflight.findings import Finding, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import mean_of
from graders_engine.preflight.rows.hackable import passed_a_limit
from graders_engine.preflight.showing import earned, location, number, percent, see
from graders_engine.preflight.trials import Trial

_SHOWN = 3
_GRADERS: tuple[Blame, ...] = ("grader", "judge", "infrastructure")
"""Whose failures these are: not the sample's, and not the row's, which has a check of its own."""
_NOT_THE_GRADERS: tuple[Blame, ...] = ("judge", "infrastructure")


def _ask(inputs: Inputs) -> Answer:
    trials = [*inputs.trials.get("references", ()), *inputs.trials.get("others", ())]
    graded = trials or inputs.samples
    found = [*_findings(inputs, trials)] or [
        *([] if graded else _lost(inputs)),
        *_of_hostile(inputs),
    ]
    if not found and not trials and not inputs.samples:
        if inputs.stopped:
            return NotChecked(BUDGET_SPENT)
        return NotChecked("nothing was graded: there are neither reference answers nor samples")
    return found


def _findings(inputs: Inputs, trials: list[Trial]) -> Iterator[Finding]:
    failed = [trial for trial in trials if trial.outcome.blame in _GRADERS]
    samples = [sample.flags for sample in inputs.samples if sample.blame in _GRADERS]
    if not trials and not inputs.samples:
        return
    tried, count = len(trials) + len(inputs.samples), len(failed) + len(samples)
    if count <= inputs.options.limit("grader_failures") * tried:
        return
    flags: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for found in [*(trial.outcome.flags for trial in failed), *samples]:
        for flag, details in found.items():
            flags[flag] += 1
            lines[details_line(details)] += 1
    whole = count == tried
    share = "None" if whole else f"{count} of {tried} ({percent(count / tried)})"
    (line, _), *_ = lines.most_common(1) or [("", 0)]
    by_flag = ", ".join(f"{flag} {number}" for flag, number in flags.most_common())
    what = (
        "answers that were graded is graded without a failure"
        if whole
        else "answers that were graded fail"
    )
    served = " Failures of the grader itself count as 0 in training." if not whole else ""
    yield Finding(
        "grader-fails",
        "error" if whole else "warning",
        f"{share} of the {what}, and the grader or its judge is to blame ({by_flag}).{served}",
        "Mend what the line says; run the command to see it again.",
        where=[location(inputs, trial.ask.line) for trial in failed],
        rows=len({trial.ask.line for trial in failed}),
        numbers={"failed": count, "graded": tried, "flags": dict(flags)},
        details=[*([line] if line else []), *map(earned, failed[:2])],
        see=see(inputs, failed[0]) if failed else "",
    )


def _lost(inputs: Inputs) -> Iterator[Finding]:
    """Hostile samples that a judge or the infrastructure lost, where nothing else tells of its failure."""
    trials = inputs.trials.get(ATTACKS, ())
    lost = [trial for trial in trials if trial.outcome.blame in _NOT_THE_GRADERS]
    if len(lost) <= inputs.options.limit("grader_failures") * len(trials):
        return
    whole = len(lost) == len(trials)
    count = f"None of the {len(trials):,}" if whole else f"{len(lost):,} of {len(trials):,}"
    what = "was graded" if whole else "were not graded"
    yield Finding(
        "grader-fails",
        "error" if whole else "warning",
        f"{count} hostile samples {what}: the judge, or what the grader runs on, failed.",
        "Mend what the line says; run the command to see it again.",
        where=[location(inputs, lost[0].ask.line)],
        rows=len({trial.ask.line for trial in lost}),
        numbers={"failed": len(lost), "graded": len(trials)},
        details=_reasons(lost)[:1],
        see=see(inputs, lost[0]),
    )


def _of_hostile(inputs: Inputs) -> Iterator[Finding]:
    """What text does that a model may write without an answer; very long text is looked at by `hackable`."""
    trials = [
        trial
        for trial in inputs.trials.get(ATTACKS, ())
        if BY_NAME[trial.ask.label[0]].kind != "robustness"
    ]
    failed = [trial for trial in trials if trial.outcome.blame == "grader"]
    stopped = [trial for trial in failed if passed_a_limit(trial)]
    named = stopped or failed
    if not stopped and len(failed) <= inputs.options.limit("grader_failures") * len(trials):
        return
    kinds = Counter(BY_NAME[trial.ask.label[0]].what for trial in named)
    what = ", ".join(name for name, _ in kinds.most_common(_SHOWN))
    seconds = max(trial.outcome.seconds for trial in named)
    ends = (
        f"do not end by themselves, and are stopped after {seconds:.1f} s"
        if stopped
        else f"make the grader fail, and earn {number(mean_of(named) or 0.0)}"
    )
    yield Finding(
        "grader-fails",
        "warning" if stopped else "info",
        f"{len(named)} of {len(trials)} hostile samples {ends}: {what}.",
        "Mend what the line says: a model may answer so at any time of its training.",
        where=[location(inputs, named[0].ask.line)],
        rows=len({trial.ask.line for trial in named}),
        numbers={"failed": len(failed), "stopped": len(stopped), "graded": len(trials)},
        details=[*_reasons(named)[:1], earned(named[0])],
        see=see(inputs, named[0]),
    )


def _reasons(trials: Sequence[Trial]) -> list[str]:
    """What failures say, the most frequent first."""
    details = (line for trial in trials for line in trial.outcome.flags.values() if line)
    return [line for line, _ in Counter(map(details_line, details)).most_common()]


CHECK = Check(
    "grader-fails",
    "rows",
    _ask,
    frozenset({"grader"}),
    silenced_by=("missing-field", "sample-unread"),
)
