"""The grader gives no reward to answers that it should grade.

Its code raises, its formula has no value, or its judge gives no verdict.

Why: in training such an answer counts as 0.0 or is lost, whatever it is worth; a job whose grader fails too
often is paused or ends.

Example: `item["answer"]["value"]` raises a TypeError in 3 of 30 rows, in which `answer` is a number.

To mend it: run the command that is printed, and make the code, the formula or the judge's messages ready
for such rows. Failures that only hostile text causes are an info at most.

Ignore it when: the failures are an outage of the judge's endpoint, and a second run has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from graders_engine.outcome import Blame, details_line
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.showing import earned, location, percent, see
from graders_engine.preflight.trials import Trial

_GRADERS: tuple[Blame, ...] = ("grader", "judge", "infrastructure")
"""Whose failures these are: not the sample's, and not the row's, which has a check of its own."""


def _ask(inputs: Inputs) -> Answer:
    trials = [*inputs.trials.get("references", ()), *inputs.trials.get("others", ())]
    if not trials and not inputs.samples:
        return NotChecked("nothing was graded: there are neither reference answers nor samples")
    return _findings(inputs, trials)


def _findings(inputs: Inputs, trials: list[Trial]) -> Iterator[Finding]:
    failed = [trial for trial in trials if trial.outcome.blame in _GRADERS]
    samples = [sample.flags for sample in inputs.samples if sample.blame in _GRADERS]
    tried, count = len(trials) + len(inputs.samples), len(failed) + len(samples)
    if count <= inputs.options.limit("grader_failures") * tried:
        yield from _on_hostile(inputs)
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


def _on_hostile(inputs: Inputs) -> Iterator[Finding]:
    """The grader's own failures on texts that no right answer is like."""
    right = ("references", "others")
    trials = [t for stage, found in inputs.trials.items() if stage not in right for t in found]
    failed = [trial for trial in trials if trial.outcome.blame == "grader"]
    if len(failed) <= inputs.options.limit("grader_failures") * len(trials):
        return
    lines = Counter(details_line(text) for t in failed for text in t.outcome.flags.values())
    yield Finding(
        "grader-fails",
        "info",
        f"The grader fails on {len(failed)} of {len(trials)} answers of another form or content "
        f"({percent(len(failed) / len(trials))}), which count as 0 in training.",
        "Make it ready for an answer of another form; run the command to see one.",
        where=[location(inputs, failed[0].ask.line)],
        numbers={"failed_hostile": len(failed), "hostile": len(trials)},
        details=[line for line, _ in lines.most_common(1) if line],
        see=see(inputs, failed[0]),
    )


CHECK = Check(
    "grader-fails",
    "rows",
    _ask,
    frozenset({"grader"}),
    silenced_by=("missing-field", "sample-unread"),
)
