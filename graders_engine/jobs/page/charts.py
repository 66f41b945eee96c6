"""The charts of a job's metrics by step."""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.jobs.page.steps import Steps
from graders_engine.report.html.curves import Curves, Series, Value, curves

_NO_REWARD = "no reward, which is not a zero"
_NO_VALUE = "no value"
_METRICS = {
    "reinforcement": (("loss", "Loss"),),
    "dpo": (
        ("preference_accuracy", "Preference accuracy"),
        ("preference_margin", "Preference margin"),
        ("mean_token_accuracy", "Token accuracy"),
    ),
    "supervised": (("mean_token_accuracy", "Token accuracy"),),
}
"""What is drawn of each method besides its first curve."""


def curve_of(steps: Steps, *, has_rewards: bool) -> Curves | None:
    """The curve that says most: of the rewards, or of the losses."""
    if has_rewards:
        return _chart(steps, "reward_mean", "Mean reward", _NO_REWARD)
    return _chart(steps, "loss", "Loss", _NO_VALUE)


def charts_of(steps: Steps, method: str) -> list[Curves]:
    """The charts of the other metrics."""
    return [*_charts(steps, method)]


def _charts(steps: Steps, method: str) -> Iterator[Curves]:
    signal = [
        Value(step, None if value is None else 1 - value)
        for step, value in steps.series("frac_zero_std")
    ]
    clipped = [Value(*one) for one in steps.series("clipped_ratio")]
    if method == "reinforcement":
        found = curves(
            "chart-signal", "Groups with a signal", [Series("share of groups", signal, "train")]
        )
        if found is not None:
            yield found
    for name, title in _METRICS.get(method, _METRICS["supervised"]):
        if (found := _chart(steps, name, title, _NO_VALUE)) is not None:
            yield found
    if any(one.value for one in clipped):
        found = curves(
            "chart-clipped", "Answers cut off", [Series("share of answers", clipped, "train")]
        )
        if found is not None:
            yield found


def _chart(steps: Steps, metric: str, title: str, gap: str) -> Curves | None:
    valid = {step: value for step, value in steps.series(f"valid_{metric}") if value is not None}
    validated = (
        [Value(step, valid.get(step)) for step in steps.validated]
        if valid or metric == "reward_mean"
        else []
    )
    train = (
        [Value(*one) for one in steps.series(f"train_{metric}")]
        if steps.has(f"train_{metric}") or validated
        else []
    )
    return curves(
        f"chart-{metric.replace('_', '-')}",
        title,
        [Series("train", train, "train"), Series("validation", validated, "valid", is_marked=True)],
        gap,
    )
