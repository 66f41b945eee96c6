"""What people and programs see of a step: the event, a line of `step_metrics.csv`, a checkpoint's metrics."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from graders_engine.storage.job_records import NewEvent
from graders_engine.training.trainer import Method, Plan, StepReport

_WIRE = {"token_accuracy": "mean_token_accuracy"}
"""Metrics of trainers that have another name on the wire."""
_FULL_VALID = ("loss", "mean_token_accuracy")
"""Metrics that the wire has once more for the whole validation file, which is what we validate on."""
_LOSS_COLUMNS = ("train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
_COLUMNS: Mapping[Method, tuple[str, ...]] = {
    "supervised": _LOSS_COLUMNS,
    "dpo": (
        *_LOSS_COLUMNS, "train_preference_accuracy", "train_preference_margin",
        "valid_preference_accuracy", "valid_preference_margin",
    ),
    "reinforcement": ("train_reward", "valid_reward"),
}  # fmt: skip
_COLUMN_OF = {
    "train_accuracy": "train_mean_token_accuracy",
    "train_reward": "train_reward_mean",
    "valid_reward": "valid_reward_mean",
}
"""Where a column's numbers are, if they have another name."""
NO_SIGNAL_STEPS = 5
LONG_S = 86_400.0
"""A job without a GPU that has more seconds left is warned of."""


def plan_event(plan: Plan) -> NewEvent:
    """What a job is about to do."""
    answers = plan.rollouts_per_step
    sampled = "" if answers is None else f", {answers:,} answers sampled a step"
    message = (
        f"Training {plan.total_steps:,} steps on {plan.rows:,} rows{sampled}: a model of "
        f"{plan.parameters:,} parameters, on {plan.device}."
    )
    data = {
        "total_steps": plan.total_steps,
        "rows": plan.rows,
        "device": plan.device,
        "parameters": plan.parameters,
        "rollouts_per_step": plan.rollouts_per_step,
    }
    return NewEvent("info", message, data, once=f"plan {message}")


def wire_metrics(
    step: int, train: Mapping[str, float], valid: Mapping[str, float]
) -> dict[str, Any]:
    """The metrics of a step by the names that checkpoints have on the wire."""
    metrics: dict[str, Any] = {"step": step}
    for prefix, values in (("train", train), ("valid", valid)):
        for name, value in values.items():
            wire = _WIRE.get(name, name)
            metrics[f"{prefix}_{wire}"] = value
            if prefix == "valid" and wire in _FULL_VALID:
                metrics[f"full_valid_{wire}"] = value
    return metrics


def metrics_event(method: Method, total_steps: int, report: StepReport) -> NewEvent:
    """The event of a step, as the guides print it."""
    metrics = wire_metrics(report.step, report.train, report.valid)
    data = {**report.data, **metrics, "total_steps": total_steps}
    if method == "reinforcement":
        message = _reward_message(total_steps, report)
        train, valid = report.train.get("reward_mean"), report.valid.get("reward_mean")
        data["train_mean_reward"] = train
        means = {"train_reward_mean": train}
        if report.valid:
            means["valid_reward_mean"] = valid
            data["full_valid_mean_reward"] = valid
            data["full_valid_mean_parse_error"] = report.valid.get("parse_error_mean")
        data["scores"] = {**report.data.get("scores", {}), **means}
    else:
        message = _loss_message(total_steps, report)
    return NewEvent("info", message, data, "metrics", report.step)


def _loss_message(total_steps: int, report: StepReport) -> str:
    message = f"Step {report.step}/{total_steps}: training loss={_rounded(report.train, 'loss')}"
    if report.valid:
        message += f", validation loss={_rounded(report.valid, 'loss')}"
    return message


def _reward_message(total_steps: int, report: StepReport) -> str:
    message = f"Step {report.step}/{total_steps} , train mean reward={_rounded(report.train, 'reward_mean')}"
    if report.valid:
        message += (
            f", full validation mean reward={_rounded(report.valid, 'reward_mean')}"
            f", full validation mean parse error={_rounded(report.valid, 'parse_error_mean')}"
        )
    return message


def _rounded(values: Mapping[str, float], name: str) -> str:
    value = values.get(name)
    return "none" if value is None else f"{value:.2f}"


def columns(method: Method) -> str:
    """The first line of `step_metrics.csv`."""
    return ",".join(("step", *_COLUMNS[method]))


def csv_line(method: Method, report: StepReport) -> str:
    """A step's line of `step_metrics.csv`; what it does not have is empty."""
    metrics = wire_metrics(report.step, report.train, report.valid)
    values = [metrics.get(_COLUMN_OF.get(name, name)) for name in columns(method).split(",")]
    return ",".join("" if value is None else repr(value) for value in values)


def long_job_warning(device: str, left_s: float) -> str | None:
    """What people should know of a job that has so many seconds left on this device, if anything."""
    if device != "cpu" or left_s < LONG_S:
        return None
    return (
        f"Without a GPU, the job needs about {left_s / 86_400:,.1f} more days, as its first steps show. "
        "A smaller model, fewer rows or epochs, or a machine with a GPU make it shorter."
    )


class Signal:
    """Notices when a reinforcement job has nothing to learn from."""

    def __init__(self) -> None:
        self._shares: deque[float] = deque(maxlen=NO_SIGNAL_STEPS)
        self._first: float | None = None
        self._had_some = False

    def warning(self, report: StepReport) -> str | None:
        """What people should know after this step, if anything."""
        share = report.data.get("local", {}).get("frac_zero_std")
        self._shares.append(0.0 if share is None else share)
        reward = report.train.get("reward_mean")
        self._first = reward if self._first is None else self._first
        self._had_some = self._had_some or self._shares[-1] < 1
        if len(self._shares) < NO_SIGNAL_STEPS or min(self._shares) < 1:
            return None
        if self._had_some and (reward or 0.0) > (self._first or 0.0):
            return (
                f"For {NO_SIGNAL_STEPS} steps, all answers to a row had the same reward, after others had "
                "not: there may be nothing left to learn from these rows. If the rewards are what you want, "
                "cancel the job: its checkpoints stay."
            )
        return (
            f"For {NO_SIGNAL_STEPS} steps, all answers to a row had the same reward: nothing can be learned "
            "from them. A grader with values between 0 and 1 tells them apart; `graders preflight` says more."
        )
