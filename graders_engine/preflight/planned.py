"""How often a job will grade."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from graders_engine.preflight.inputs import Inputs


def hyperparameters(inputs: Inputs) -> Mapping[str, Any]:
    """Those of the job's reinforcement method; empty without a job or where they are no object."""
    found: Any = inputs.job
    for key in ("method", "reinforcement", "hyperparameters"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def whole_number(value: Any, default: int) -> int:
    """A hyperparameter; the default for `auto` and what is no positive whole number."""
    fits = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value if fits else default


def planned_calls(inputs: Inputs) -> int:
    """How many answers the job grades: each row in each epoch, a group of answers each time."""
    rows = inputs.train.rows if inputs.train else 0
    epochs = whole_number(hyperparameters(inputs).get("n_epochs"), 1)
    return rows * epochs * inputs.options.group_size


def planned_calls_in_words(inputs: Inputs) -> str:
    """How many answers the job grades, and what that follows from: epochs that are not given are one."""
    given = whole_number(hyperparameters(inputs).get("n_epochs"), 0)
    epochs = f"{given} epoch{'' if given == 1 else 's'}" if given else "if 1 epoch"
    rows = inputs.train.rows if inputs.train else 0
    many = "" if rows == 1 else "s"
    return f"{planned_calls(inputs):,} answers ({rows:,} row{many} x {inputs.options.group_size}, {epochs})"


def planned_steps(inputs: Inputs) -> int | None:
    """How many steps of training the job has; None if its batch size is not known."""
    batch = whole_number(hyperparameters(inputs).get("batch_size"), 0)
    if not batch or inputs.train is None:
        return None
    epochs = whole_number(hyperparameters(inputs).get("n_epochs"), 1)
    return math.ceil(inputs.train.rows * epochs / batch)
