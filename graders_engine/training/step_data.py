"""What the metrics event of a reinforcement step says: usage, errors, scores and times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from graders_engine.outcome import Flag, Usage, total_usage
from graders_engine.training.reward import Tally, mean
from graders_engine.training.rows import Split

_ENDING = "_error"


def step_data(
    graders: Mapping[str, str],
    tallies: Mapping[Split, Tally],
    seconds: Mapping[str, float],
    local: Mapping[str, float],
) -> dict[str, Any]:
    """The data of an event.

    Args:
        graders: names by key; the key of a single grader is empty.
        tallies: of the step, and of its evaluation if there was one.
        seconds: by part of the step.
        local: what the API does not know.
    """
    usage = total_usage(tally.usage for tally in tallies.values())
    rewards = {
        split: None if _says_too_little(split, tally) else tally.reward_mean
        for split, tally in tallies.items()
    }
    found: dict[str, Any] = {
        "usage": {
            "graders": [{"name": graders.get("", ""), **_tokens(usage)}],
            "samples": {split: len(tally.rollouts) for split, tally in tallies.items()},
        },
        "errors": {
            "graders": [{"name": name, **_errors(key, tallies)} for key, name in graders.items()]
        },
        "scores": {
            "graders": [
                {"name": name, **_scores(key, tallies)} for key, name in graders.items() if key
            ],
            **{f"{split}_reward_mean": reward for split, reward in rewards.items()},
        },
        "timing": {
            "step": dict(seconds),
            "graders": [
                {
                    "name": graders.get("", ""),
                    **{f"{split}_seconds": tally.seconds for split, tally in tallies.items()},
                }
            ],
        },
        "train_mean_reward": rewards.get("train"),
        "mean_unresponsive_rewards": tallies["train"].flag_mean(Flag.UNRESPONSIVE_REWARD),
        "model_graders_token_usage": {
            model: msgspec.structs.asdict(used) for model, used in usage.items()
        },
        "local": {
            **local,
            **{f"{split}_unscored": tally.unscored for split, tally in tallies.items()},
            **{f"{split}_blames": dict(tally.blames) for split, tally in tallies.items()},
        },
    }
    if "valid" in tallies:
        found["full_valid_mean_reward"] = rewards["valid"]
        found["full_valid_mean_parse_error"] = (
            None
            if _says_too_little("valid", tallies["valid"])
            else tallies["valid"].flag_mean(Flag.SAMPLE_PARSE)
        )
    return found


def _says_too_little(split: Split, tally: Tally) -> bool:
    """Whether nothing is counted of what an outage has left of an evaluation, as in the report."""
    return split == "valid" and tally.has_outage


def _tokens(usage: Mapping[str, Usage]) -> dict[str, int]:
    total = sum(usage.values(), Usage())
    return {
        "prompt_tokens": total.prompt_tokens,
        "completion_tokens": total.completion_tokens,
        "total_tokens": total.total_tokens,
    }


def _errors(key: str, tallies: Mapping[Split, Tally]) -> dict[str, float]:
    """By flag, the share of rollouts on which a grader raised it, and their count."""
    found: dict[str, float] = {}
    for split, tally in tallies.items():
        for (grader, flag), count in sorted(tally.errors.items()):
            if grader == key:
                name = f"{split}_{flag.removesuffix(_ENDING)}"
                found[f"{name}_count"] = count
                found[f"{name}_mean"] = count / len(tally.rollouts)
    return found


def _scores(key: str, tallies: Mapping[Split, Tally]) -> dict[str, float | None]:
    return {
        f"{split}_reward_mean": None
        if _says_too_little(split, tally)
        else mean(
            0.0 if key in rollout.served_parts else rollout.sub_rewards.get(key)
            for rollout in tally.rollouts
        )
        for split, tally in tallies.items()
    }
