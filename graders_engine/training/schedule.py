"""Which rows each step trains with, and after which steps a job validates and keeps its weights."""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import ceil

from graders_engine.training.trainer import JobSpec

USUAL_GROUP = 8
"""Completions of a prompt in a step, where `compute_multiplier` is 1."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The steps of a job.

    Attributes:
        order: positions of rows, those of each step after each other: all epochs, each in its own order.
            A data set that is unrolled like this can be resumed in any epoch, without a difference.
        batch_size: rows of a step; the last step may have fewer.
        group: completions of each row in a step of a reinforcement job.
        samples: completions of each row when it validates.
        total_steps: how many steps there are.
        kept: after these steps it validates, if there is a file for it, and makes a checkpoint.
    """

    order: list[int]
    batch_size: int
    group: int
    samples: int
    total_steps: int
    kept: frozenset[int]


def schedule_of(spec: JobSpec, rows: int) -> Schedule:
    """The schedule of a job with so many rows."""
    given = spec.hyperparameters
    epochs = int(given.get("n_epochs", 1))
    batch = min(int(given.get("batch_size", 1)), rows)
    total = ceil(epochs * rows / batch)
    # Groups are complete in each step: the last one takes rows of a further epoch.
    further = spec.method == "reinforcement"
    order = [
        position
        for epoch in range(epochs + further)
        for position in _permutation(spec.seed, epoch, rows)
    ]
    interval = given.get("eval_interval") if spec.validation_file else None
    if interval is None:
        ends = {ceil(epoch * rows / batch) for epoch in range(1, epochs + 1)}
    else:
        ends = set(range(int(interval), total + 1, int(interval)))
    return Schedule(
        order[: total * batch],
        batch,
        max(2, round(USUAL_GROUP * float(given.get("compute_multiplier", 1)))),
        int(given.get("eval_samples", 1)),
        total,
        frozenset({*ends, total}),
    )


def _permutation(seed: int, epoch: int, rows: int) -> list[int]:
    found = list(range(rows))
    random.Random(f"{seed}:{epoch}").shuffle(found)  # noqa: S311 - an order, not a secret
    return found


def largest_part(total: int, most: int) -> int:
    """The largest divisor of a number that is at most another, and at least 1."""
    return next(part for part in range(max(1, min(total, most)), 0, -1) if total % part == 0)
