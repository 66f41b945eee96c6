"""A value of the request lies outside of what the service accepts.

Why: the service refuses the request, or the job fails when it starts.

Example: `"n_epochs": 100`, of which 50 is the most; `"batch_size": true`, which is no number.

To mend it: take a value from the range that is named, or `auto`.

Ignore it when: the request is for another service with other ranges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.planned import hyperparameters
from graders_engine.preflight.request import shape

_PATH = "method.reinforcement.hyperparameters"


def _ask(inputs: Inputs) -> Answer:
    found, given = list(_findings(inputs)), (inputs.job or {}).get("hyperparameters")
    if not found and given is not None and not hyperparameters(inputs):
        return NotChecked("`hyperparameters` do not stand in the object of the method")
    return found


def _findings(inputs: Inputs) -> Iterator[Finding]:
    job = inputs.job or {}
    for path, message, fix in [*_hyperparameters(job), *_texts(job)]:
        where = [Location(inputs.job_file, 0, path)]
        yield Finding("value-out-of-range", "error", message, fix, where=where)


def _hyperparameters(job: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for path, given, _ in shape.objects_in(job):
        if path != _PATH:
            continue
        for name, value in given.items():
            wanted = shape.RANGES.get(name)
            if wanted is not None and not wanted.holds(value):
                yield f"{path}.{name}", f"`{name}` is {value!r}.", f"It must be {wanted}."
        effort = given.get("reasoning_effort")
        if effort is not None and effort not in shape.EFFORTS:
            fix = f"It must be one of {', '.join(shape.EFFORTS)}."
            yield f"{path}.reasoning_effort", f"`reasoning_effort` is {effort!r}.", fix


def _texts(job: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    suffix = job.get("suffix")
    if suffix is not None and (not isinstance(suffix, str) or len(suffix) > shape.MAX_SUFFIX):
        size = f"{len(suffix)} characters long" if isinstance(suffix, str) else "no text"
        yield (
            "suffix",
            f"`suffix` is {size}.",
            f"At most {shape.MAX_SUFFIX} characters are allowed.",
        )
    seed = job.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        yield "seed", f"`seed` is {seed!r}.", "It must be a whole number."
    metadata = job.get("metadata")
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        yield "metadata", "`metadata` is not an object.", "Write an object of texts."
        return
    if len(metadata) > shape.MAX_METADATA:
        fix = f"At most {shape.MAX_METADATA} are allowed."
        yield "metadata", f"`metadata` has {len(metadata)} keys.", fix
    for key, value in metadata.items():
        path = f"metadata.{key}"
        if not isinstance(value, str):
            yield path, f"`{path}` is {value!r}.", "The values of metadata are texts."
        elif len(value) > shape.MAX_VALUE or len(key) > shape.MAX_KEY:
            fix = f"Keys have at most {shape.MAX_KEY} characters, values {shape.MAX_VALUE}."
            yield path, f"`{path[:80]}` is too long.", fix


CHECK = Check("value-out-of-range", "request", _ask, frozenset({"job"}))
