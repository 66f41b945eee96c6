"""Another row's answer earns about as much as the right one.

Why: a grader that does not tell a right answer from one that belongs to another question rewards form, not
content.

Example: a similarity to the reference with a limit of 0.3, which two sentences of one kind always pass.

To mend it: compare what differs between rows: the value, the label, the key figures. Weigh the form less.

Ignore it when: the rows have in fact interchangeable answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import SAME, RewardScale, mean_of
from graders_engine.preflight.showing import earned, location, number, see
from graders_engine.preflight.trials import Trial

_LEAST_GAP = 0.10
"""Share of the scale by which right answers must be ahead on average."""

Pairs = list[tuple[float, float, Trial]]
"""(reward of the right answer, reward of another row's, the latter's trial)."""


def _ask(inputs: Inputs) -> Answer:
    scale = inputs.scale
    if scale is None or not inputs.sure_references:
        return NotChecked(inputs.why_unsure)
    right = {
        trial.ask.line: trial.reward
        for trial in inputs.trials.get("references", ())
        if trial.reward is not None and scale.rewarded(trial.reward)
    }
    pairs: Pairs = [
        (right[trial.ask.line], trial.reward, trial)
        for trial in inputs.trials.get("others", ())
        if trial.ask.line in right and trial.reward is not None
    ]
    if not pairs:
        return NotChecked(
            "no right answer that earns full marks could be paired with another row's"
        )
    if all(trial.outcome.blame == "grader" for *_, trial in pairs):
        return NotChecked("the grader fails on every answer of another row")
    return _findings(inputs, scale, pairs)


def auc_of(pairs: Pairs) -> float:
    """The probability that the right answer earns more, an equal reward counting half."""
    ahead = sum(right > other + SAME for right, other, _ in pairs)
    equal = sum(abs(right - other) <= SAME for right, other, _ in pairs)
    return (ahead + equal / 2) / len(pairs)


def _findings(inputs: Inputs, scale: RewardScale, pairs: Pairs) -> Iterator[Finding]:
    auc = auc_of(pairs)
    gap = sum(right - other for right, other, _ in pairs) / len(pairs)
    if auc >= inputs.options.limit("contrast_auc") and gap >= _LEAST_GAP * scale.width:
        return
    best: Sequence[Trial] = sorted((trial for *_, trial in pairs), key=lambda t: -(t.reward or 0.0))
    floor = mean_of(trial for *_, trial in pairs) or 0.0
    yield Finding(
        "weak-contrast",
        "warning",
        f"Another row's answer earns {number(floor)} on average, the right one {number(floor + gap)}: in "
        f"{number(auc * 100)} % of {len(pairs)} pairs the right one is ahead (a tie counts half).",
        "Compare what differs between the rows, and weigh what is common to all answers less.",
        where=[location(inputs, trial.ask.line) for trial in best[:3]],
        numbers={"auc": auc, "gap": gap, "pairs": len(pairs), "floor": floor},
        details=[
            f"{location(inputs, t.ask.line)}  {earned(t)}, another row's answer" for t in best[:2]
        ],
        see=see(inputs, best[0]),
    )


CHECK = Check(
    "weak-contrast",
    "rows",
    _ask,
    frozenset({"grader", "references"}),
    silenced_by=(
        "missing-field", "sample-unread", "grader-fails", "constant-reward", "reference-not-rewarded",
        "unstable",
    ),
)  # fmt: skip
