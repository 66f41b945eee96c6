"""The grader reads a key that the job's response format does not have, or does not require.

Why: with a schema the model writes exactly the keys that it names. What the grader reads beside
them is never there, or not always, and the answer gets 0.0 however right it is.

Example: the grader compares `{{sample.output_json.answer}}`, and the schema names `result`. It is
an error if the schema allows no other keys, and a warning if it does, or if the key is not
`required`.

To mend it: use one name in both, and list it in `required`.

Ignore it when: a source reads the key with `get` and does well without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graders_engine.language.scope import spell
from graders_engine.language.spelling import nearest
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked, Severity
from graders_engine.preflight.grader.output_paths import JSON, OutputPath, output_paths
from graders_engine.preflight.grader.phrases import and_joined
from graders_engine.preflight.grader.response_schema import (
    Presence,
    is_list_at,
    keys_at,
    presence,
    response_format,
    schema_in,
)
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.schemas.form import format_faults, given_format

_SCHEMA = "method.reinforcement.response_format"


def _ask(inputs: Inputs) -> Answer:
    found = [one for one in output_paths(inputs.grader) if one.steps] if inputs.grader else []
    if not found:
        return NotChecked("the grader reads no key of `sample.output_json`")
    schema = schema_in(response_format(inputs.job))
    if schema is None:
        return NotChecked(_why_no_schema(given_format(inputs.job)))
    return _findings(inputs, found, schema)


def _why_no_schema(given: Any) -> str:
    if given is None:
        return "the job has no response_format"
    if next(format_faults(given), None) is not None:
        return "the job's response_format is not valid (see invalid-response-format)"
    return f"the job's response_format is `{given['type']}`, without a schema"


def _findings(
    inputs: Inputs, found: Sequence[OutputPath], schema: Mapping[str, Any]
) -> Iterator[Finding]:
    kinds = {one: presence(schema, one.steps) for one in found}
    any_there = any(how in ("required", "optional") for how, _ in kinds.values())
    groups: dict[tuple[Presence, Severity], list[OutputPath]] = {}
    for one, (how, at) in kinds.items():
        severity = _severity(one, how, any_there=any_there)
        shorter = any(
            other.steps == one.steps[: len(other.steps)] and kinds[other] == (how, at)
            for other in found
            if len(other.steps) < len(one.steps)
        )
        if severity and not shorter:
            groups.setdefault((how, severity), []).append(one)
    for (how, severity), paths in groups.items():
        yield _finding(inputs, schema, how, severity, paths)


def _severity(one: OutputPath, how: Presence, *, any_there: bool) -> Severity | None:
    if how == "required":
        return None
    if one.needed:
        return "error" if how == "absent" else "warning"
    if how == "optional":
        return None  # `get` is there for answers without the key
    return "info" if any_there else "warning"


_SAYS: Mapping[Presence, str] = {
    "absent": "not in the schema of the job's response format, which allows no other keys",
    "open": "not in the schema of the job's response format",
    "optional": "in the schema of the job's response format, but not in `required`",
}


def _finding(
    inputs: Inputs,
    schema: Mapping[str, Any],
    how: Presence,
    severity: Severity,
    paths: Sequence[OutputPath],
) -> Finding:
    names = and_joined(f"`{one.name}`" for one in paths)
    verb = "is" if len(paths) == 1 else "are"
    it = "it" if len(paths) == 1 else "them"
    effect = {"absent": f"no answer has {it}", "open": f"an answer need not have {it}"}.get(
        how, f"an answer may leave {it} out"
    )
    return Finding(
        "not-in-schema",
        severity,
        f"{names} {verb} {_SAYS[how]}: {effect}.",
        _fix(schema, how, paths[0]),
        where=[
            *(Location(inputs.grader_file, 0, one.path) for one in paths[:3]),
            Location(inputs.job_file, 0, _SCHEMA),
        ],
        numbers={"paths": [one.name for one in paths]},
    )


def _fix(schema: Mapping[str, Any], how: Presence, one: OutputPath) -> str:
    if how == "optional":
        return "List it in `required`."
    _, at = presence(schema, one.steps)
    if isinstance(one.steps[at], str) and is_list_at(schema, one.steps[:at]):
        element = (*one.steps[:at], 0, *one.steps[at:])
        return f"Say which element is read, as in `{spell('sample', (JSON, *element))}`."
    keys = keys_at(schema, one.steps[:at])
    if near := nearest(str(one.steps[at]), keys):
        return f"Did you mean `{spell('sample', (JSON, *one.steps[:at], near))}`?"
    listed = f" (it has {and_joined(f'`{key}`' for key in keys[:8])})" if keys else ""
    return f"Name it in the schema{listed}, or read what the schema has."


CHECK = Check(
    "not-in-schema",
    "grader",
    _ask,
    frozenset({"job", "grader"}),
    silenced_by=("invalid-grader", "invalid-response-format"),
)
