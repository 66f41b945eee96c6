"""Warns while grading takes long: the step has no event before it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from graders_engine.training.trainer import Report, Stopped

SLOW_S = 60.0
"""Grading that takes longer is warned of, once a job."""


@contextmanager
def warned_of(report: Report, step: int, rollouts: int) -> Iterator[None]:
    """What grades the rollouts of a step, or of its evaluation.

    Args:
        report: gets the warning, while the block still runs.
        step: its number.
        rollouts: how many are graded.
    """

    def warn() -> None:
        with suppress(Stopped):  # what the step meets by itself, too
            report.warn(
                f"To grade a step's rollouts takes more than {SLOW_S:g} s, and the model waits meanwhile. A "
                "pause waits for the step, too; a cancellation does not. `timing` in the metrics events has "
                "what each step takes, and each grader.",
                {"step": step, "rollouts": rollouts},
            )

    timer = threading.Timer(SLOW_S, warn)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
