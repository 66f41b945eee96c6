"""A part of the multi has a weight, and yet moves no reward among answers to one prompt.

Why: only what differs between answers to one prompt is trained; the weight of such a part is paid to every
answer alike, and makes the differences that count smaller.

Example: `0.4 * is_json + 0.6 * exact`, where every answer of the base model is JSON.

To mend it: make the part a condition (`is_json * exact`), or give its weight to the others.

Ignore it when: the part is there to keep what the model can do already. It is an info where every answer
earns all of the part, and another row's right answer does not: then the part asks for what is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graders_engine.errors import FormulaFailure
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.grader.weights import addends
from graders_engine.preflight.inputs import GradedSample, Inputs
from graders_engine.preflight.reward_scale import SAME
from graders_engine.preflight.samples.baseline import GROUP_ROOTS, centred
from graders_engine.preflight.showing import percent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DEAD, _HEAVY, _ALL = 0.01, 0.30, 0.95
_FEWEST = 10


def _ask(inputs: Inputs) -> Answer:
    facts = inputs.grader
    if facts is None or facts.multi is None:
        return ()
    whole = [
        sample
        for sample in inputs.samples
        if sample.reward is not None
        and None not in sample.sub_rewards.values()
        and sample.sub_rewards
    ]
    if len(whole) < _FEWEST:
        return NotChecked("too few samples have all rewards of their parts")
    shares = variance_shares(inputs, whole)
    if shares is None:
        return NotChecked(
            "rewards of one prompt do not differ, or the formula has no value at a mean"
        )
    return _findings(inputs, shares)


def variance_shares(inputs: Inputs, samples: Sequence[GradedSample]) -> dict[str, float] | None:
    """The share of the variance of rewards within prompts that is each part's.

    It is what the variance loses when the part is held at its mean. None where nothing varies,
    or where the formula has no value then.
    """
    import numpy as np

    facts = inputs.grader
    if facts is None or facts.multi is None:
        return None
    formula, prompts = facts.multi.calculate_output, np.array([s.prompt for s in samples])
    rows = [{key: float(value or 0.0) for key, value in s.sub_rewards.items()} for s in samples]

    def variance(held: Mapping[str, float]) -> float:
        rewards = [formula.evaluate({**row, **held}) for row in rows]
        within: NDArray[np.float64] = centred(np.array(rewards), prompts)
        return float(np.mean(within**2))

    means = {key: sum(row[key] for row in rows) / len(rows) for key in formula.names}
    try:
        total = variance({})
        if total <= SAME**2:
            return None
        return {key: 1 - variance({key: means[key]}) / total for key in means}
    except FormulaFailure:  # a part held at its mean may lie at a pole: then its share is unknown
        return None


def _findings(inputs: Inputs, shares: Mapping[str, float]) -> Iterator[Finding]:
    facts, where = inputs.grader, [Location(inputs.samples_file)]
    found = addends(facts) if facts else ()
    whole = sum(addend.width for addend in found)
    weights = {key: addend.width / whole for addend in found for key in addend.keys if whole}
    numbers: dict[str, Any] = {"variance": dict(shares), "weights": weights}
    for key, share in shares.items():
        if abs(share) < _DEAD and weights.get(key, 0.0) > _HEAVY:
            yield Finding(
                "dead-part", "info" if _is_mastered(inputs, key) else "warning",
                f"`{key}` has {percent(weights[key])} of the weight, and makes {percent(abs(share))} of the "
                "differences between answers to one prompt.",
                "Make it a condition of the others, or give its weight to them.", where=where,
                numbers=numbers,
            )  # fmt: skip
    first = max(shares, key=lambda key: shares[key])
    others = [key for key in shares if key != first and weights.get(key, 0.0) > 0]
    if shares[first] > _ALL and others:
        yield Finding(
            "part-dominates", "info",
            f"`{first}` makes {percent(min(shares[first], 1.0))} of the differences between answers to one "
            "prompt.",
            "Give the other parts a larger weight if they are to be trained.", where=where, numbers=numbers,
        )  # fmt: skip


def _is_mastered(inputs: Inputs, key: str) -> bool:
    """Whether each sample earns all of a part that is no matter of form: other rows' answers earn less."""
    earned = [value for s in inputs.samples if (value := s.sub_rewards.get(key)) is not None]
    right, others = (
        [
            value
            for trial in inputs.trials.get(stage, ())
            if (value := trial.outcome.sub_rewards.get(key)) is not None
        ]
        for stage in ("references", "others")
    )
    known = inputs.grader.part_widths.get(key) if inputs.grader else None
    full = known.high if known else max([*earned, *others], default=0.0)
    least = min([*earned, *right], default=0.0)
    return bool(right and others) and least >= full - SAME and min(others) < full - SAME


CHECK = Check(
    "dead-part", "samples", _ask, frozenset({"samples", "grader"}),
    silenced_by=GROUP_ROOTS,
)  # fmt: skip
