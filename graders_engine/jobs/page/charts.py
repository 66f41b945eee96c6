"""The charts of a job's metrics by step."""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.jobs.page.steps import Steps
from graders_engine.report.html.curves import Curves, Series, curves

_NO_REWARD = "no reward, which is not a zero"
_NO_VALUE = "no value"
_ABOUT_0 = "About 0 whatever it learns: look at the rewards."
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


def charts_of(steps: Steps, method: str) -> Iterator[Curves]:
    """The charts of the other metrics."""
    has_rewards = method == "reinforcement"
    if has_rewards and "frac_zero_std" in steps.known:
        shares = [1 - share for share in steps.values["frac_zero_std"]]
        yield from _local(steps, "chart-signal", "Groups with a signal", "share of groups", shares)
    note = _ABOUT_0 if has_rewards else ""
    for name, title in _METRICS.get(method, _METRICS["supervised"]):
        if (found := _chart(steps, name, title, _NO_VALUE, note)) is not None:
            yield found
    cut = steps.known.get("clipped_ratio")
    if cut is not None and cut.high.value > 0:
        shares = [*steps.values["clipped_ratio"]]
        yield from _local(steps, "chart-cut-off", "Answers cut off", "share of answers", shares)


def _local(steps: Steps, id_: str, title: str, name: str, values: list[float]) -> Iterator[Curves]:
    found = curves(id_, title, [Series(name, steps.numbers, values, "train")])
    if found is not None:
        yield found


def _chart(steps: Steps, metric: str, title: str, gap: str, note: str = "") -> Curves | None:
    """A metric of the training, and of the validations; those without a mean are gaps of rewards only."""
    train, valid = f"train_{metric}", f"valid_{metric}"
    series = []
    if train in steps.known:
        series.append(Series("train", steps.numbers, steps.values[train], "train"))
    if valid in steps.known or metric == "reward_mean":
        series.append(Series("validation", *steps.of_validations(valid), "valid", is_marked=True))
    return curves(f"chart-{metric.replace('_', '-')}", title, series, gap, note)
