"""How findings show samples, rewards and commands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from graders_engine.outcome import details_line
from graders_engine.preflight.commands import run_command
from graders_engine.preflight.findings import Location
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.references import Sample
from graders_engine.preflight.trials import Trial

_MOST_CHARS = 60


def number(value: float) -> str:
    """A reward or share as people read it: at most three digits after the point."""
    text = f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) < 1e6 else f"{value:g}"
    return "0" if text == "-0" else text


def percent(share: float) -> str:
    """A share in per cent."""
    return f"{share:.0%}"


def alike(rewards: Sequence[float]) -> str:
    """What answers earn that all earn the same, as a clause."""
    return f"{len(rewards)} answers earn {number(rewards[0])}: right ones, wrong ones and empty ones alike"


def excerpt(sample: Sample | Any, most: int = _MOST_CHARS) -> str:
    """A sample on one line, shortened and in quotes."""
    text = sample if isinstance(sample, str) else json.dumps(sample, ensure_ascii=False)
    line = json.dumps(text if len(text) <= most else text[:most] + "…", ensure_ascii=False)
    return line if isinstance(sample, str) else text[:most] + ("…" if len(text) > most else "")


def location(inputs: Inputs, line: int) -> Location:
    """A line of the training file."""
    return Location(inputs.train.name if inputs.train else "", line)


def place_of(inputs: Inputs, trial: Trial) -> Location:
    """The line of what was graded: of its row, or of the user's samples."""
    if trial.ask.given is not None:
        return Location(inputs.samples_file, trial.ask.line)
    return location(inputs, trial.ask.line)


def why(trial: Trial) -> str:
    """Why a trial earned what it did: its flags, or the rewards of its parts; empty if it has neither."""
    flags = trial.outcome.flags
    if trial.outcome.blame is not None and flags:
        flag, details = next(iter(flags.items()))
        return f"{flag}: {details_line(details)}" if details else flag
    parts = [
        f"{key} {number(reward)}" if reward is not None else f"{key} none"
        for key, reward in trial.outcome.sub_rewards.items()
    ]
    return ", ".join(parts)


def earned(trial: Trial) -> str:
    """What a sample earned, with the reason: `"44" earns 0 (exact 0, close 0.5)`."""
    reward = "no reward" if trial.reward is None else number(trial.reward)
    reason = why(trial)
    return f"{excerpt(trial.ask.sample)} earns {reward}{f' ({reason})' if reason else ''}"


def see(inputs: Inputs, trial: Trial, *, again: bool = False) -> str:
    """The command that grades a sample again and shows how; empty if there is none to be copied.

    Args:
        inputs: the grader.
        trial: the sample, graded.
        again: whether it is graded several times, to see whether the rewards differ.
    """
    judged = again and inputs.grader is not None and bool(inputs.grader.judges)
    more = ["--no-cache"] if judged and "--no-cache" not in inputs.options.flags else []
    return run_command(inputs, trial.ask.item, trial.ask.sample, *more, again=again)
