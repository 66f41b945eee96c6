"""A batch holds more rows than there are, or the job has very few steps.

Why: a step needs a full batch of different rows; with few steps the model hardly changes.

Example: `"batch_size": 64` and 40 training rows.

To mend it: make the batch smaller, train for more epochs, or add rows.

Ignore it when: it is a trial to see whether a job runs at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.planned import hyperparameters, planned_steps, whole_number

_FEW_STEPS = 10
_PATH = "method.reinforcement.hyperparameters.batch_size"


def _ask(inputs: Inputs) -> Answer:
    batch = whole_number(hyperparameters(inputs).get("batch_size"), 0)
    if not batch or inputs.train is None:
        return NotChecked("batch_size is auto")
    return _findings(inputs, batch, inputs.train.rows)


def _findings(inputs: Inputs, batch: int, rows: int) -> Iterator[Finding]:
    steps, where = planned_steps(inputs) or 0, [Location(inputs.job_file, 0, _PATH)]
    if batch > rows:
        yield Finding(
            "batch-over-rows", "warning", f"A batch has {batch} rows, but there are only {rows}.",
            f"Set `batch_size` to at most {max(rows // 4, 1)}.", where=where,
            numbers={"batch_size": batch, "rows": rows},
        )  # fmt: skip
    elif steps < _FEW_STEPS:
        yield Finding(
            "batch-over-rows", "info", f"The job has only {steps} step{'s' if steps != 1 else ''}.",
            "Make the batch smaller, or train for more epochs.", where=where, numbers={"steps": steps},
        )  # fmt: skip


CHECK = Check("batch-over-rows", "request", _ask, frozenset({"job", "train"}))
