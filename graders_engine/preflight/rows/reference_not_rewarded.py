r"""Right answers do not earn full marks.

Why: a right answer that earns nothing is unlearned; the model is taught to answer otherwise.

Example: the number is read by the pattern `-?\d+`, which takes the `-73` of `77-73` for a negative number.

To mend it: grade one with the printed command, and compare what the grader reads with what the answer says:
blanks, units, case, a JSON form. If the answers of the file are not what the model should write, say so
with --reference-template.

Ignore it when: the file's answers have another form than the model's, and the grader is right to refuse it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import RewardScale, mean_of
from graders_engine.preflight.showing import earned, location, number, see
from graders_engine.preflight.trials import Trial

_JUDGE = 0.9
"""Share of the scale from which on a judge rewards an answer: judges seldom give full marks."""
_SHOWN = 3


def _ask(inputs: Inputs) -> Answer:
    trials, scale = inputs.trials.get("references", ()), inputs.scale
    if not trials or scale is None:
        return NotChecked("no reference answer was graded")
    if not inputs.sure_references:
        return NotChecked(inputs.why_unsure)
    missed = [trial for trial in trials if not _rewarded(inputs, scale, trial)]
    return _finding(inputs, scale, trials, missed) if missed else ()


def _rewarded(inputs: Inputs, scale: RewardScale, trial: Trial) -> bool:
    if inputs.grader and inputs.grader.judges:
        return trial.reward is not None and scale.share(trial.reward) >= _JUDGE
    return scale.rewarded(trial.reward)


def _finding(
    inputs: Inputs, scale: RewardScale, trials: Sequence[Trial], missed: Sequence[Trial]
) -> Iterator[Finding]:
    mean, guessed = (
        mean_of(trials),
        not inputs.references or inputs.references.confidence == "guessed",
    )
    worst = sorted(
        missed, key=lambda trial: float("-inf") if trial.reward is None else trial.reward
    )
    count = (
        f"{len(missed)} of {len(trials)} right answers earn"
        if len(trials) > 1
        else "The right answer earns"
    )
    has_mean = "" if mean is None else f" (mean {number(mean)})"
    yield Finding(
        "reference-not-rewarded",
        "info" if guessed else "warning",
        f"{count} less than the full {number(scale.full)}{has_mean}.",
        "A right answer that earns nothing is unlearned: compare what the grader reads with what it says.",
        where=[location(inputs, trial.ask.line) for trial in worst],
        rows=len(missed),
        numbers={"missed": len(missed), "graded": len(trials), "mean": mean, "full": scale.full},
        details=[f"{location(inputs, t.ask.line)}  {earned(t)}" for t in worst[:_SHOWN]],
        see=see(inputs, worst[0]),
        silences=len(missed) == len(trials),
    )


CHECK = Check(
    "reference-not-rewarded",
    "rows",
    _ask,
    frozenset({"grader", "references"}),
    silenced_by=("missing-field", "sample-unread", "grader-fails", "unstable", "constant-reward"),
)
