"""Which corruptions the grader notices, and how much they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graders_engine.preflight.attacks.results import attack_scale, shortened
from graders_engine.preflight.corruptions.plan import NAME, RIGHT
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import SAME
from graders_engine.preflight.trials import Trial


@dataclass(frozen=True, slots=True)
class Noticed:
    """What the corruptions of one operator on one field earned.

    Attributes:
        operator: the operator's name.
        field: the field.
        count: how many corruptions were graded, of answers that are rewarded.
        rows: on how many rows.
        survived: how many of them earn what the right answer earns.
        loss: the mean loss, as a share of the scale.
        mean: the mean reward.
        example: one that cost the least.
        right: the reward of its right answer.
    """

    operator: str
    field: str
    count: int
    rows: int
    survived: int
    loss: float
    mean: float
    example: Trial
    right: float

    @property
    def share(self) -> float:
        """The share of them that survived."""
        return self.survived / self.count


def rewarded_rows(inputs: Inputs) -> dict[int, float]:
    """The reward of the right answer of each row on which it is rewarded, by line."""
    scale = attack_scale(inputs)
    return {
        trial.ask.line: trial.reward
        for trial in inputs.trials.get(NAME, [])
        if trial.ask.label == RIGHT
        and trial.reward is not None
        and scale is not None
        and scale.rewarded(trial.reward)
    }


def wrong_versions(inputs: Inputs) -> list[Trial]:
    """The corruptions that were graded, of answers that are rewarded."""
    right = rewarded_rows(inputs)
    return [
        trial
        for trial in inputs.trials.get(NAME, [])
        if trial.ask.line in right and trial.reward is not None and trial.ask.label != RIGHT
    ]


def noticed(inputs: Inputs) -> list[Noticed]:
    """Each operator on each field, those that are noticed least first."""
    scale, right = attack_scale(inputs), rewarded_rows(inputs)
    by_label: dict[tuple[str, ...], list[Trial]] = {}
    for trial in wrong_versions(inputs):
        by_label.setdefault(trial.ask.label, []).append(trial)
    width = scale.width if scale else 0.0
    found = [
        _noticed(label, trials, right, width) for label, trials in by_label.items() if width > SAME
    ]
    return sorted(found, key=lambda one: (-one.share, one.loss))


def _noticed(
    label: Sequence[str], trials: Sequence[Trial], right: Mapping[int, float], width: float
) -> Noticed:
    losses = [right[trial.ask.line] - (trial.reward or 0.0) for trial in trials]
    least = min(range(len(trials)), key=losses.__getitem__)
    return Noticed(
        label[0],
        label[1],
        len(trials),
        len({trial.ask.line for trial in trials}),
        sum(loss < SAME for loss in losses),
        sum(losses) / len(losses) / width,
        sum(trial.reward or 0.0 for trial in trials) / len(trials),
        trials[least],
        right[trials[least].ask.line],
    )


def measured(inputs: Inputs) -> list[Mapping[str, Any]] | None:
    """Each operator on each field, those that are noticed least first; None if none was graded."""
    return [_json(one) for one in noticed(inputs)] or None


def _json(one: Noticed) -> Mapping[str, Any]:
    return {
        "operator": one.operator, "field": one.field, "count": one.count, "rows": one.rows,
        "survived": one.survived, "share": one.share, "loss": one.loss, "mean": one.mean,
        "sample": shortened(one.example),
    }  # fmt: skip


def listed(names: Iterable[str]) -> str:
    """Names as a sentence has them: `a`, `b` and `c`."""
    quoted = [name if name.startswith("the ") else f"`{name}`" for name in names]
    return " and ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]]))
