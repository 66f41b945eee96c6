"""The grader gives the same answer different rewards.

Why: training compares the rewards of answers to one prompt. What differs by chance is learned as if it were
better; a judge whose noise is larger than the differences between answers teaches nothing else.

Example: a judge at temperature 1 gives one answer 4, 7 and 5 out of 10; code that breaks ties with
`random.random()`.

To mend it: for code, seed or remove what is random, and use neither the time nor the order of a set. For a
judge, set `temperature` to 0, ask for few, well described grades, or take the median of several answers
(`--judge-repeats 3`).

Ignore it when: the spread is small beside the differences between real answers: pass some with --samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance

from graders_engine.preflight.check import WHY_NOT, Answer, Check
from graders_engine.preflight.findings import Finding, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import SAME, rewards_in
from graders_engine.preflight.showing import earned, number, percent, place_of, see
from graders_engine.preflight.trials import Trial

_ONCE = "no answer was graded more than once"
_MOST_OF_SPREAD = 0.5
_ENOUGH_SAMPLES = 16
"""With fewer samples graded again, the reliability within prompts is not known."""
_NOISE = 0.02
"""Share of the scale below which the noise of a judge is no matter: rounding in its answers."""


def _ask(inputs: Inputs) -> Answer:
    graded = [*inputs.trials.get("references", ()), *inputs.regraded]
    regraded = [trial for trial in graded if len(rewards_of(trial)) > 1]
    facts = inputs.grader
    if not graded:
        return NotChecked(WHY_NOT["references"])
    if not regraded:
        return () if facts and not facts.compiled.evaluator.waits else NotChecked(_ONCE)
    changed = [trial for trial in regraded if spread(rewards_of(trial)) > SAME]
    if not changed:
        return ()
    if facts is not None and facts.judges:
        return _of_judge(inputs, regraded, changed)
    return [_of_code(inputs, regraded, changed)]


def rewards_of(trial: Trial) -> list[float]:
    """The rewards of one answer, graded several times; a judge's by its first part that was asked again."""
    repeats = next(iter(trial.outcome.outcome.repeats.values()), None)
    if repeats and len(repeats) > 1:
        return list(repeats)
    outcomes = (trial.outcome, *trial.again)
    return [one.counted for one in outcomes if one.counted is not None]


def spread(rewards: Sequence[float]) -> float:
    """From the lowest to the highest."""
    return max(rewards) - min(rewards)


def _of_code(inputs: Inputs, regraded: Sequence[Trial], changed: Sequence[Trial]) -> Finding:
    worst = max(changed, key=lambda trial: spread(rewards_of(trial)))
    return Finding(
        "unstable",
        "warning",
        f"{len(changed)} of {len(regraded)} answers that were graded twice earned two different rewards.",
        "Seed or remove what is random in the source, and use neither the time nor the order of a set.",
        where=[place_of(inputs, trial) for trial in changed],
        rows=len(changed),
        numbers={"regraded": len(regraded), "changed": len(changed)},
        details=[f"{earned(worst)}, and then {number(rewards_of(worst)[-1])}"],
        see=see(inputs, worst, again=True),
        silences=True,
    )


def _of_judge(
    inputs: Inputs, regraded: Sequence[Trial], changed: Sequence[Trial]
) -> Sequence[Finding]:
    reliability, noise = reliability_of(inputs, regraded)
    scale = inputs.scale
    small = scale is not None and noise <= _NOISE * scale.width
    if small or reliability >= inputs.options.limit("reliability"):
        return ()
    most = reliability < _MOST_OF_SPREAD
    worst = max(changed, key=lambda trial: spread(rewards_of(trial)))
    rewards = ", ".join(map(number, rewards_of(worst)))
    flips = _flips(inputs, regraded)
    tail = ": more than half of the spread is the judge's" if most else ""
    return [
        Finding(
            "unstable",
            "warning",
            f"The judge's rewards for one answer differ: {len(changed)} of {len(regraded)} answers that it "
            f"graded {len(rewards_of(worst))} times, with a standard deviation of {number(noise)}. "
            f"Reliability is {number(reliability)}{tail}.",
            "Set the judge's temperature to 0, describe few grades well, or pass --judge-repeats 3.",
            where=[place_of(inputs, trial) for trial in changed],
            rows=len(changed),
            numbers={
                "regraded": len(regraded), "changed": len(changed), "reliability": reliability,
                "noise": noise, "flips": flips,
            },
            details=[f"one answer earned {rewards}", *flips_line(flips, len(regraded))],
            see=see(inputs, worst, again=True),
            silences=True,
        )
    ]  # fmt: skip


def reliability_of(inputs: Inputs, regraded: Sequence[Trial]) -> tuple[float, float]:
    """(reliability from 0 to 1, standard deviation of the noise).

    Reliability is 1 - w / t, with w the mean variance of the rewards of one answer, and t the variance of
    answers' mean rewards plus w (1 - 1/times). With enough of the user's samples t is that of answers to one
    prompt, for only their differences are trained. Without, other rows' answers count, too: that all right
    answers get the same mark does not make a grader unreliable.
    """
    prompts = _by_prompt(inputs)
    several = [rewards for found in prompts for rewards in found]
    own = len(several) >= _ENOUGH_SAMPLES
    groups = several if own else [rewards_of(trial) for trial in regraded]
    within = fmean(variance(rewards) for rewards in groups)
    times = fmean(len(rewards) for rewards in groups)
    if own:
        spreads = [(variance(map(fmean, found)), len(found) - 1) for found in prompts]
        between = sum(one * free for one, free in spreads) / sum(free for _, free in spreads)
    else:
        means = [*map(fmean, groups), *rewards_in(inputs.trials.get("others", ()))]
        between = variance(means) if len(means) > 1 else 0.0
    total = between + within * (1 - 1 / times)
    return (max(1 - within / total, 0.0) if total > 0 else 1.0), math.sqrt(within)


def _by_prompt(inputs: Inputs) -> list[list[list[float]]]:
    """The rewards of the user's samples that were graded several times, of prompts with several of them."""
    prompts = {(str(one.line), str(one.number)): one.prompt for one in inputs.given}
    found: dict[str, list[list[float]]] = {}
    for trial in inputs.regraded:
        if len(rewards := rewards_of(trial)) > 1:
            found.setdefault(prompts[trial.ask.label[0], trial.ask.label[1]], []).append(rewards)
    return [several for several in found.values() if len(several) > 1]


def _flips(inputs: Inputs, regraded: Sequence[Trial]) -> int | None:
    """How many answers passed and failed; None without a threshold."""
    threshold = inputs.grader.spec.pass_threshold if inputs.grader else None
    if threshold is None:
        return None
    return sum(min(rewards_of(t)) < threshold <= max(rewards_of(t)) for t in regraded)


def flips_line(flips: int | None, answers: int) -> list[str]:
    """What flips say; the bound of 3/n for none."""
    if flips is None:
        return []
    if not flips:
        return [f"none of {answers} answers both passed and failed: below {percent(3 / answers)}"]
    return [f"{flips} of {answers} answers both passed and failed"]


CHECK = Check(
    "unstable",
    "rows",
    _ask,
    frozenset({"grader"}),
    silenced_by=("missing-field", "sample-unread", "grader-fails"),
)
