"""One answer, given to every row, earns much.

Why: a model finds the answer that is most often right, gives it always, and stops to look at the question.

Example: of 40 rows 32 have the label `spam`: always answering `spam` earns 0.8. Of JSON, the answer with the
most usual value in each field is tried as well, also where all right answers differ.

To mend it: balance the rows, or give the rarer answers more weight in the reward.

Ignore it when: the shares are those of real life and the model must live with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from graders_engine.preflight.attacks.results import shortened
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import RewardScale, mean_of, rewards_in
from graders_engine.preflight.showing import excerpt, location, number, percent
from graders_engine.preflight.trials import Trial

_HALF = 0.5
_SHOWN = 3


def _ask(inputs: Inputs) -> Answer:
    scale, trials = inputs.scale, [*inputs.trials.get("constants", ())]
    usual = [*inputs.trials.get("usual", ())]
    if scale is None or not inputs.sure_references:
        return NotChecked(inputs.why_unsure)
    usual_mean = mean_of(usual)
    if not trials and (usual_mean is None or scale.share(usual_mean) < _HALF):
        return NotChecked("the answers are too many for one of them to be always right")
    if not rewards_in([*trials, *usual]):
        return NotChecked("no answer that was given to all rows has a reward")
    return _findings(inputs, scale, _by_answer([*trials, *usual]))


def _by_answer(trials: Iterable[Trial]) -> dict[tuple[str, ...], list[Trial]]:
    found: dict[tuple[str, ...], list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.ask.label, []).append(trial)
    return found


def measured(inputs: Inputs) -> Any:
    """What always giving each answer earns, the best first; None if none was graded."""
    found = [
        {"mean": mean, "rows": len(rewards_in(trials)), "sample": shortened(trials[0])}
        for trials in _by_answer(
            (*inputs.trials.get("constants", ()), *inputs.trials.get("usual", ()))
        ).values()
        if (mean := mean_of(trials)) is not None
    ]
    return sorted(found, key=lambda one: -one["mean"]) or None


def _findings(
    inputs: Inputs, scale: RewardScale, by_answer: dict[tuple[str, ...], list[Trial]]
) -> Iterator[Finding]:
    means = {
        label: mean for label, found in by_answer.items() if (mean := mean_of(found)) is not None
    }
    best = max(means, key=lambda label: means[label])
    share, answer = scale.share(means[best]), by_answer[best][0].ask.sample
    if share < _HALF:
        return
    grave = share >= inputs.options.limit("constant_answer")
    earning = sorted(by_answer[best], key=lambda trial: -(trial.reward or 0.0))
    yield Finding(
        "constant-answer",
        "warning" if grave else "info",
        f"Always answering {excerpt(answer)} earns {number(means[best])}, {percent(share)} of the scale, "
        f"over {len(by_answer[best])} rows{_of_which(best, by_answer)}.",
        "Balance the rows, or give the rarer answers more weight.",
        where=[location(inputs, trial.ask.line) for trial in earning[:_SHOWN]],
        rows=len(by_answer[best]),
        numbers={"mean": means[best], "share": share, "answers": len(by_answer)},
    )


def _of_which(best: tuple[str, ...], by_answer: dict[tuple[str, ...], list[Trial]]) -> str:
    """How the best answer came about."""
    if by_answer[best][0].ask.stage == "usual":
        return ": it has the most usual value of each field"
    count = sum(found[0].ask.stage == "constants" for found in by_answer.values())
    return f" with {count} different answers"


CHECK = Check(
    "constant-answer",
    "rows",
    _ask,
    frozenset({"grader", "references"}),
    silenced_by=(
        "missing-field", "sample-unread", "grader-fails", "constant-reward", "reference-not-rewarded",
        "unstable", "weak-contrast",
    ),
)  # fmt: skip
