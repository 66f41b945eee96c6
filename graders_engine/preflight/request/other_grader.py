"""The job holds another grader than the one that was examined.

Why: the job trains with its own grader; what is found of another one says nothing about it.

Example: `--grader @grader.json` was mended, and the request still holds the version before.

To mend it: put the grader into the request, or leave out --grader: then the job's is examined.

Ignore it when: a part of the job's grader is examined on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.preflight.check import Check
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs

_PATH = "method.reinforcement.grader"


def _ask(inputs: Inputs) -> Iterator[Finding]:
    of_job: Any = inputs.job
    for key in _PATH.split("."):
        of_job = of_job.get(key) if isinstance(of_job, Mapping) else None
    if not isinstance(of_job, Mapping) or inputs.grader is None:
        return
    if _unnamed(of_job) == _unnamed(inputs.grader.compiled.given):
        return
    yield Finding(
        "other-grader", "warning",
        "The job holds another grader than --grader, and trains with its own; all that is said here is of "
        "the one that --grader names.",
        "Put the grader into the request, or leave out --grader to examine the job's.",
        where=[Location(inputs.job_file, 0, _PATH)],
    )  # fmt: skip


def _unnamed(grader: Mapping[str, Any]) -> dict[str, Any]:
    """A grader without its name, which changes no reward, and without what is null."""
    return {key: value for key, value in grader.items() if key != "name" and value is not None}


CHECK = Check("other-grader", "request", _ask, frozenset({"job", "grader"}))
