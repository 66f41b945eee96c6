"""What was measured of the grader on the rows, as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graders_engine.preflight.attacks.results import attack_scale, interval_of
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import RewardScale, mean_of, rewards_in
from graders_engine.preflight.rows.slow_grader import quantile, timed


def references(inputs: Inputs) -> Any:
    """How right answers are rewarded, and where they come from."""
    trials, source, scale = inputs.trials.get("references", ()), inputs.references, inputs.scale
    if not trials or source is None or scale is None:
        return None
    return {
        "confidence": source.confidence,
        "field": source.field or None,
        "sure": inputs.sure_references,
        "rows": len(trials),
        "rewarded": sum(scale.rewarded(trial.reward) for trial in trials),
        "mean": mean_of(trials),
        **_interval(rewards_in(trials), scale),
    }


def _interval(rewards: Sequence[float], scale: RewardScale) -> dict[str, float | None]:
    """The ends of the 95 % interval of a mean."""
    low, high = interval_of(rewards, scale) if rewards else (None, None)
    return {"low": low, "high": high}


def scale(inputs: Inputs) -> Any:
    """The grader's own scale, on which findings measure what attacks earn."""
    found = attack_scale(inputs)
    if found is None:
        return None
    return {
        "lowest": found.lowest, "full": found.full, "honest": found.honest, "from_spec": found.known,
    }  # fmt: skip


def floor(inputs: Inputs) -> Any:
    """What other rows' answers earn."""
    trials = inputs.trials.get("others", ())
    if not rewards_in(trials):
        return None
    return {"mean": mean_of(trials), "pairs": len(trials)}


def seconds(inputs: Inputs) -> Any:
    """How long grading took, per call."""
    all_seconds = [trial.outcome.seconds for trial in timed(inputs)]
    if not all_seconds:
        return None
    return {
        "p50": quantile(all_seconds, 0.5),
        "p95": quantile(all_seconds, 0.95),
        "graded": len(all_seconds),
    }
