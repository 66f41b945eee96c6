"""The job's request is not one that the service accepts.

Why: the service refuses the request, or takes no notice of a key that is misspelt, and trains with other
settings than you believe.

Example: `"hyperparameter": {…}` for `hyperparameters`; `"method": {"type": "reinforcement"}` without the
object `reinforcement`.

To mend it: change what each line names; the nearest key is suggested.

Ignore it when: the request is for another service, whose keys are its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.language.kinds import kind_of
from graders_engine.language.spelling import nearest
from graders_engine.preflight.check import Check
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.request.shape import CALLER_KEYS, METHODS, joined, objects_in

_NEEDED = ("model", "training_file")


def _ask(inputs: Inputs) -> Iterator[Finding]:
    job = inputs.job or {}
    if is_grader(job):
        yield Finding(
            "invalid-request", "error", "This is a grader, and not the request of a job.",
            "Pass it with --grader, or put it into `method.reinforcement.grader` of a request.",
            where=[Location(inputs.job_file)],
        )  # fmt: skip
        return
    for path, message, fix in [*_unknown(job), *_missing(job)]:
        yield Finding(
            "invalid-request", "error", message, fix, where=[Location(inputs.job_file, 0, path)]
        )


def is_grader(job: Mapping[str, Any]) -> bool:
    """Whether what was given for a request is a grader: it has a type, and nothing that a job needs."""
    return isinstance(job.get("type"), str) and not {"method", "training_file"} & set(job)


def _unknown(job: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for path, given, known in objects_in(job):
        for key in given:
            if key in known:
                continue
            named = [one for one in known if one not in CALLER_KEYS]
            near = nearest(str(key), named)
            fix = f"Did you mean `{near}`?" if near else f"The keys are {', '.join(named)}."
            where = f"`{path}`" if path else "the request"
            yield joined(path, str(key)), f"`{key}` is no key of {where}.", fix


def _missing(job: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for key in _NEEDED:
        given = job.get(key)
        if not isinstance(given, str) or not given:
            wrong = given not in (None, "")
            what = f"`{key}` is {kind_of(given)}, and not a text." if wrong else ""
            fix = f"Name the {key.replace('_', ' ')}."
            yield key, what or f"The request has no `{key}`.", fix
    yield from _method(job.get("method"))
    if job.get("hyperparameters") is not None:
        yield (
            "hyperparameters",
            "`hyperparameters` at the top is deprecated, and refused beside `method`.",
            "Move it into the object of the method.",
        )


def _method(method: Any) -> Iterator[tuple[str, str, str]]:
    if method is None:
        fix = 'Write `"method": {"type": "reinforcement", "reinforcement": {"grader": …}}`.'
        yield "method", "The request has no `method`: it would be a supervised job.", fix
        return
    if not isinstance(method, Mapping):
        yield "method", "`method` is not an object.", "Write an object with the key `type`."
        return
    kind = method.get("type")
    if kind not in METHODS:
        near = nearest(str(kind), METHODS)
        fix = f"Did you mean `{near}`?" if near else f"There are {', '.join(METHODS)}."
        yield "method.type", f"There is no method {kind!r}.", fix
        return
    settings = method.get(kind)
    if not isinstance(settings, Mapping):
        what = f"`method.type` is `{kind}`, but there is no object `method.{kind}`."
        yield f"method.{kind}", what, f"Put the settings into `method.{kind}`."
    elif kind == "reinforcement" and not settings.get("grader"):
        yield "method.reinforcement.grader", "The method has no grader.", "Put the grader there."
    for other in METHODS:
        if other != kind and method.get(other) is not None:
            path = joined("method", other)
            yield path, f"`{path}` stands beside the type `{kind}`.", "Leave one of them out."


CHECK = Check("invalid-request", "request", _ask, frozenset({"job"}))
