"""What attacks earn: the mean of each variant over the rows, and how much of the scale that is."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graders_engine.graders.static_range import range_of
from graders_engine.preflight.attacks.attack import Attack
from graders_engine.preflight.attacks.catalog import BY_NAME
from graders_engine.preflight.attacks.context import Context
from graders_engine.preflight.attacks.plan import NAME, attacks_of, variants_of
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import SAME, RewardScale, mean_of, rewards_in
from graders_engine.preflight.sample_parts import calls_of, text_of, to_text
from graders_engine.preflight.trials import Trial, sample_key

_SHOWN_CHARS = 200
_FEWEST_ROWS = 3
"""A variant with fewer rows may be best by luck; where fewer were drawn, all of them are enough."""
_MOST_PLAUSIBLE = 100.0
_ROWS_LOOKED_AT = 3
"""Rows whose hostile samples show why an attack was not tried."""


@dataclass(frozen=True, slots=True)
class Earned:
    """What a variant of an attack earned.

    Attributes:
        attack: the attack.
        variant: the variant's name.
        mean: its mean reward over the rows.
        low: lower end of the 95 % interval of the mean.
        high: upper end.
        share: the mean as a share of the scale.
        low_share: `low` as a share of the scale.
        gain: how far the mean is from what ignorance earns to full marks.
        trials: what was graded.
    """

    attack: Attack
    variant: str
    mean: float
    low: float
    high: float
    share: float
    low_share: float
    gain: float
    trials: Sequence[Trial]

    @property
    def rows(self) -> int:
        """On how many rows it has a reward."""
        return sum(trial.reward is not None for trial in self.trials)

    @property
    def example(self) -> Trial:
        """One that earned the most."""
        return max(self.trials, key=lambda trial: -1e300 if trial.reward is None else trial.reward)


def attack_scale(inputs: Inputs) -> RewardScale | None:
    """The scale that attacks are measured on; None if nothing was graded.

    A full mark that was only seen is not trusted where no right answer earned it: then it is at least 1.0,
    and the most that a python source returns. What an attack earns is a full mark, too.
    """
    scale = inputs.scale
    if scale is None or scale.known:
        return scale
    full = [scale.full, *_means(inputs)]
    if not _is_earned_by_right_answers(inputs, scale):
        full += [1.0, *_returned(inputs)]
    return dataclasses.replace(scale, full=max(full))


def _returned(inputs: Inputs) -> list[float]:
    """The most that each python source returns, as far as its numbers say."""
    sources = inputs.grader.python if inputs.grader else ()
    known = (reads.highest for _, reads in sources if reads.highest is not None)
    return [number for number in known if number <= _MOST_PLAUSIBLE]


def shown_scale(inputs: Inputs) -> RewardScale | None:
    """The scale with a full mark at least as high as what samples and attacks earn, unless it is known."""
    scale = inputs.scale
    if scale is None or scale.known:
        return scale
    samples = (sample.reward for sample in inputs.samples if sample.reward is not None)
    return dataclasses.replace(scale, full=max([scale.full, *samples, *_means(inputs)]))


def _means(inputs: Inputs) -> list[float]:
    """The mean of each variant that was graded on enough rows."""
    by_variant = _by_variant(inputs)
    fewest = _fewest(inputs)
    rewards = (rewards_in(trials) for trials in by_variant.values())
    return [sum(some) / len(some) for some in rewards if len(some) >= fewest]


def _by_variant(inputs: Inputs) -> dict[tuple[str, ...], list[Trial]]:
    found: dict[tuple[str, ...], list[Trial]] = {}
    for trial in inputs.trials.get(NAME, []):
        found.setdefault(trial.ask.label, []).append(trial)
    return found


def _fewest(inputs: Inputs) -> int:
    """On how many rows a variant must be graded to count."""
    return min(_FEWEST_ROWS, attacked_rows(inputs))


def attacked_rows(inputs: Inputs) -> int:
    """How many rows were attacked."""
    return len({trial.ask.line for trial in inputs.trials.get(NAME, [])})


def _is_earned_by_right_answers(inputs: Inputs, scale: RewardScale) -> bool:
    """Whether the highest reward that was seen is the full mark: a right answer earned it."""
    right = rewards_in(inputs.trials.get("references", []))
    best = max(right, default=scale.lowest)
    if best <= scale.lowest + SAME or _poor_guess(inputs, right):
        return False
    # An answer that was named is right, whatever attacks earn; one that was put together may lack something.
    given = inputs.references is not None and inputs.references.confidence == "given"
    if best <= SAME:  # nothing, or the smallest penalty, if the source has no more to give
        return given and best >= max(_returned(inputs), default=best) - SAME
    if given:
        return True
    return best >= max(_means(inputs), default=0.0) - SAME and not _lacks_a_part(inputs)


def _lacks_a_part(inputs: Inputs) -> bool:
    """Whether a part of the grader gives no right answer the best that it can give."""
    trials = inputs.trials.get("references", [])
    for path, spec in inputs.grader.leaves if inputs.grader else ():
        key, allowed = path.removeprefix("graders."), range_of(spec)
        rewards = [
            reward for trial in trials if (reward := trial.outcome.sub_rewards.get(key)) is not None
        ]
        if rewards and allowed is not None and max(rewards) < allowed.high - SAME:
            return True
    return False


def _poor_guess(inputs: Inputs, rewards: Sequence[float]) -> bool:
    """Whether the reference answers are guessed, and most of them earn less than the best of them."""
    source = inputs.references
    if source is None or source.confidence != "guessed" or not rewards:
        return False
    best = max(rewards)
    return sum(reward >= best - SAME for reward in rewards) * 2 < len(rewards) or best <= SAME


def earned(inputs: Inputs) -> list[Earned]:
    """What each variant earned that was graded, those of one attack together, the best first."""
    scale = attack_scale(inputs)
    if scale is None:
        return []
    found = [
        one
        for (name, variant), trials in _by_variant(inputs).items()
        if (one := _earned(BY_NAME[name], variant, trials, scale)) is not None
    ]
    fewest = _fewest(inputs)
    # Of those that earn the same, the shorter one is easier to see through.
    found.sort(
        key=lambda one: (
            one.rows < fewest,
            -round(one.mean, 9),
            len(sample_key(one.example.ask.sample)),
        )
    )
    order = list(dict.fromkeys(one.attack.name for one in found))
    return sorted(found, key=lambda one: order.index(one.attack.name))


def best_of(found: Sequence[Earned]) -> list[Earned]:
    """The best variant of each attack, the best first; robustness is no question of rewards."""
    best: dict[str, Earned] = {}
    for one in found:
        if one.attack.kind != "robustness":
            best.setdefault(one.attack.name, one)
    return list(best.values())


def _earned(
    attack: Attack, variant: str, trials: Sequence[Trial], scale: RewardScale
) -> Earned | None:
    rewards = [trial.reward for trial in trials if trial.reward is not None]
    if not rewards:
        return None
    low, high = interval_of(rewards, scale)
    mean = sum(rewards) / len(rewards)
    return Earned(
        attack, variant, mean, low, high, scale.share(mean), scale.share(low), scale.gain(mean), trials
    )  # fmt: skip


def interval_of(rewards: Sequence[float], scale: RewardScale) -> tuple[float, float]:
    """The 95 % interval of a mean; equal rewards between the ends of the scale have no width."""
    import numpy as np

    from graders_engine.statistics.estimate import estimate_some

    if scale.width <= SAME:
        return rewards[0], rewards[0]
    shares = np.array([scale.share(reward) for reward in rewards])
    shares[np.abs(shares) < SAME] = 0.0
    shares[np.abs(shares - 1) < SAME] = 1.0
    found = estimate_some(shares)
    low = found.value if found.low is None else max(found.low, min(0.0, *shares))
    high = found.value if found.high is None else min(found.high, max(1.0, *shares))
    if len(rewards) < 2:  # one row says nothing about others
        low, high = 0.0, 1.0
    return scale.lowest + low * scale.width, scale.lowest + high * scale.width


def is_noisy(inputs: Inputs) -> bool:
    """Whether a sample that was graded again, by the grader or by its judge, earned something else."""
    for trials in (*inputs.trials.values(), inputs.regraded):
        for trial in trials:
            outcomes = (trial.outcome, *trial.again)
            answers = [[one.counted for one in outcomes if one.counted is not None]]
            answers += trial.outcome.outcome.repeats.values()
            if any(rewards and max(rewards) - min(rewards) > SAME for rewards in answers):
                return True
    return False


def baseline_of(inputs: Inputs) -> float | None:
    """The mean reward of the user's samples, each prompt counting once; None without any."""
    by_prompt: dict[str, list[float]] = {}
    for sample in inputs.samples:
        if sample.reward is not None:
            by_prompt.setdefault(sample.prompt, []).append(sample.reward)
    means = [sum(rewards) / len(rewards) for rewards in by_prompt.values()]
    return sum(means) / len(means) if means else None


def shortened(trial: Trial, chars: int = _SHOWN_CHARS) -> str:
    """The text of a sample or its calls, shortened, on one line."""
    sample = trial.ask.sample
    calls = calls_of(sample)
    text = to_text([list(call) for call in calls]) if calls else to_text(text_of(sample))
    return text if len(text) <= chars else f"{text[: chars - 1]}…"


def measured(inputs: Inputs) -> list[Mapping[str, Any]] | None:
    """Every attack with its variants, the best first; None if none was graded.

    An attack `fails` if the grader fails on each of its samples: then it earns nothing, and measures nothing.
    """
    found = earned(inputs)
    listed: dict[str, dict[str, Any]] = {}
    for one in found:
        attack = listed.setdefault(
            one.attack.name,
            {
                "name": one.attack.name,
                "kind": one.attack.kind,
                **_numbers(one),
                "fails": True,
                "variants": [],
            },
        )
        attack["fails"] &= all(trial.outcome.blame == "grader" for trial in one.trials)
        attack["variants"].append(
            {"name": one.variant, **_numbers(one), "sample": shortened(one.example)}
        )
    return list(listed.values()) or None


def left_out(inputs: Inputs) -> Mapping[str, list[str]] | None:
    """The attacks that say nothing of the grader, by the reason; None if there are none.

    `ruled_out`: the schema of the job's response format allows no answer such as theirs. `lost`: none of
    their samples got a reward, for a judge, or what the grader runs on, failed.
    """
    trials = inputs.trials.get(NAME, ())
    tried = dict.fromkeys(trial.ask.label[0] for trial in trials)
    rewarded = {trial.ask.label[0] for trial in trials if trial.reward is not None}
    found = {
        "ruled_out": _ruled_out(inputs, tried),
        "lost": [name for name in tried if name not in rewarded],
    }
    return found if any(found.values()) else None


def _ruled_out(inputs: Inputs, tried: Collection[str]) -> list[str]:
    context = Context.of(inputs)
    if context is None or not context.is_strict:
        return []
    rows = context.rows[:_ROWS_LOOKED_AT]
    untried = [one for one in attacks_of(inputs) if one.name not in tried and one.applies(context)]
    return [
        attack.name
        for attack in untried
        if any(
            context.is_ruled_out(sample)
            for row in rows
            for _, sample in variants_of(attack, row, context)
        )
    ]


def _numbers(one: Earned) -> dict[str, Any]:
    return {
        "mean": one.mean, "low": one.low, "high": one.high, "share": one.share, "gain": one.gain,
        "rows": one.rows,
    }  # fmt: skip


def right_and_other(inputs: Inputs) -> tuple[float | None, float | None]:
    """The mean of right answers, and of other rows' answers; None if they are a guess that is refused."""
    if not inputs.sure_references:
        return None, None
    return mean_of(inputs.trials.get("references", [])), mean_of(inputs.trials.get("others", []))
