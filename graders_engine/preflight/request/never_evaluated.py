"""The job ends before its first evaluation.

Why: a checkpoint is kept at each evaluation; without any there is none to compare, and no validation
reward.

Example: 200 rows, 1 epoch and a batch of 32 are 7 steps; `eval_interval` is 10.

To mend it: make `eval_interval` smaller than the number of steps, or train for more epochs.

Ignore it when: only the last state of the model is wanted, and the trainer keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.planned import hyperparameters, planned_steps, whole_number

_PATH = "method.reinforcement.hyperparameters.eval_interval"


def _ask(inputs: Inputs) -> Answer:
    interval = whole_number(hyperparameters(inputs).get("eval_interval"), 0)
    steps = planned_steps(inputs)
    if not interval:
        return NotChecked("eval_interval is auto")
    if steps is None:
        return NotChecked("batch_size is auto: the number of steps is not known")
    return _finding(inputs, interval, steps) if interval > steps else ()


def _finding(inputs: Inputs, interval: int, steps: int) -> Iterator[Finding]:
    yield Finding(
        "never-evaluated",
        "warning",
        f"The job has {steps} step{'s' if steps != 1 else ''} and is evaluated every {interval}: never, "
        "so that no checkpoint is kept.",
        f"Set `eval_interval` to at most {max(steps // 3, 1)}.",
        where=[Location(inputs.job_file, 0, _PATH)],
        numbers={"steps": steps, "eval_interval": interval},
    )


CHECK = Check("never-evaluated", "request", _ask, frozenset({"job", "train"}))
