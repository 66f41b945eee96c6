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

from graders_engine.preflight.check import BUDGET_SPENT, Answer, Check
from graders_engine.preflight.findings import Finding, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import RewardScale, mean_of
from graders_engine.preflight.showing import earned, location, number, see
from graders_engine.preflight.trials import Trial

_JUDGE = 0.9
"""Share of the scale from which on a judge rewards an answer: judges seldom give full marks."""
_SHOWN = 3
_OTHER_FORM = (
    " If a model should not write `{}` as it stands, give the answer with --reference-template."
)


def _ask(inputs: Inputs) -> Answer:
    trials, scale = inputs.trials.get("references", ()), inputs.scale
    if not trials or scale is None:
        return NotChecked(BUDGET_SPENT if inputs.stopped else "no reference answer was graded")
    named = inputs.references is not None and inputs.references.read
    if not (inputs.sure_references or named):
        return NotChecked(inputs.why_unsure)
    # An outage says nothing of an answer: that is `grader-fails`.
    graded = [trial for trial in trials if trial.reward is not None]
    if not graded:
        return NotChecked("no right answer has a reward")
    missed = [trial for trial in graded if not _rewarded(inputs, scale, trial)]
    return _finding(inputs, scale, graded, missed) if missed else ()


def _rewarded(inputs: Inputs, scale: RewardScale, trial: Trial) -> bool:
    if inputs.grader and inputs.grader.judges:
        return trial.reward is not None and scale.share(trial.reward) >= _JUDGE
    return scale.rewarded(trial.reward)


def _half_earned(inputs: Inputs, scale: RewardScale, mean: float | None) -> bool:
    """Whether a judge gives at least half the marks: it may have reasons to give no more."""
    judged = inputs.grader is not None and bool(inputs.grader.judges)
    return judged and (mean is None or scale.share(mean) >= 0.5)


def _finding(
    inputs: Inputs, scale: RewardScale, trials: Sequence[Trial], missed: Sequence[Trial]
) -> Iterator[Finding]:
    mean, source = mean_of(trials), inputs.references
    doubtful = source is None or (
        source.confidence == "guessed"
        and (source.formed or not source.read or _half_earned(inputs, scale, mean))
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
        "info" if doubtful else "warning",
        f"{count} less than the full {number(scale.full)}{has_mean}.",
        "A right answer that earns nothing is unlearned: compare what the grader reads with what it says."
        + (_OTHER_FORM.format(source.field) if source and doubtful else ""),
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
