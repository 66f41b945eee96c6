"""The job has no validation rows of its own.

Why: reinforcement fine-tuning needs both files (guide on reinforcement fine-tuning). Rewards on the rows
that are trained on rise also when the model learns nothing that holds elsewhere.

Example: `"validation_file"` is missing, or names the training file.

To mend it: set rows aside, and name their file.

Ignore it when: the trainer is not the service, and evaluates in another way.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.inputs import Inputs

_ID = "no-validation-file"


def _ask(inputs: Inputs) -> Answer:
    if inputs.job is None and not (inputs.train and inputs.validation):
        return NotChecked("neither --job nor both files are given")
    return _findings(inputs)


def _findings(inputs: Inputs) -> Iterator[Finding]:
    job, (train, validation) = inputs.job or {}, (inputs.train, inputs.validation)
    method = job.get("method")
    reinforcement = isinstance(method, dict) and method.get("type") == "reinforcement"
    where = [Location(inputs.job_file, 0, "validation_file")]
    if job and reinforcement and not job.get("validation_file"):
        yield Finding(
            _ID, "error", "A reinforcement job needs a validation file, and the request names none.",
            "Set rows aside and name their file as `validation_file`.", where=where,
        )  # fmt: skip
    elif job and job.get("validation_file") == job.get("training_file") is not None:
        yield Finding(
            _ID, "warning", "The training file is the validation file, too.",
            "Name a file with other rows as `validation_file`.", where=where,
        )  # fmt: skip
    if train and validation and train.rows and train.sha256 == validation.sha256:
        yield Finding(
            _ID, "error", f"{train.name} and {validation.name} have the same bytes.",
            "Set other rows aside for validation.", where=[Location(validation.name)], silences=True,
        )  # fmt: skip


CHECK = Check(_ID, "request", _ask)
