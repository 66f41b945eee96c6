"""The job's response format is not one that answers can be held to.

Its type is none that there is, its schema is missing, a keyword of the schema is not what JSON Schema says it
is, or the schema is larger than structured outputs allow.

Why: the service refuses the request; where it does not, answers have another form than you believe, and the
grader reads keys that are not there.

Example: `"schema": true`; `"type": ["nope"]`; `"$ref": "#/$defs/place"` in a schema without `$defs`; objects
that are nested 12 levels deep, where 10 are allowed.

To mend it: change what each line names. A schema that is too large becomes smaller with `$defs`, with fewer
levels, or with a text in place of a long `enum`. Sizes are errors with `--service openai` and `azure`.

Ignore it when: the request is for another service, which has other limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.grader.response_schema import raw_schema
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.schemas.form import PATH, format_faults, given_format
from graders_engine.preflight.schemas.keywords import SchemaMistake
from graders_engine.preflight.schemas.size import excesses, size_of

_ID = "invalid-response-format"
_MOST_SHOWN = 20
_MOST_COUNTED = 1_000


def _ask(inputs: Inputs) -> Answer:
    given = given_format(inputs.job)
    if given is None:
        return NotChecked("the job has no response_format")
    return [*_faulty(inputs, given), *_large(inputs, given)]


def _faulty(inputs: Inputs, given: Any) -> Iterator[Finding]:
    faults = list(islice(format_faults(given), _MOST_COUNTED))
    if not faults:
        return
    count = f"{len(faults):,}{' or more' if len(faults) == _MOST_COUNTED else ''}"
    one = len(faults) == 1
    yield Finding(
        _ID,
        "error",
        f"In the job's response format, {faults[0]}."
        if one
        else f"The job's response format has {count} mistakes.",
        "Change it: the service refuses it, or holds answers to something else."
        if one
        else "Change what each line names.",
        where=[Location(inputs.job_file, 0, _full(faults[0], given) if one else PATH)],
        numbers={"faults": [list(fault) for fault in faults[:_MOST_SHOWN]], "count": len(faults)},
        details=[] if one else _details(faults),
    )


def _details(faults: Sequence[SchemaMistake]) -> list[str]:
    more = len(faults) - _MOST_SHOWN
    rest = [f"and {more:,} more"] if more > 0 else []
    return [*map(str, faults[:_MOST_SHOWN]), *rest]


def _full(fault: SchemaMistake, given: Any) -> str:
    """The path of a fault in the request."""
    if fault.path.startswith("response_format"):
        return PATH + fault.path.removeprefix("response_format")
    nested = "json_schema" in given and not fault.path.startswith("json_schema")
    return f"{PATH}.{'json_schema.' if nested else ''}{fault.path}"


def _large(inputs: Inputs, given: Any) -> Iterator[Finding]:
    size = size_of(raw_schema(given))
    if clauses := list(excesses(size)):
        grave = size.is_cut or inputs.options.service != "none"
        yield Finding(
            _ID,
            "error" if grave else "warning",
            f"The schema of the job's response format is too large: {'; '.join(clauses)}.",
            "Make it smaller: these are the limits of structured outputs.",
            where=[Location(inputs.job_file, 0, PATH)],
            numbers={"objects": size.objects, "properties": size.properties, "values": size.values},
        )


CHECK = Check(_ID, "request", _ask, frozenset({"job"}))
