"""The grader reads the answer as JSON, but the job does not make the model answer in JSON.

Why: an answer with a sentence around its JSON, or in a code fence, is no JSON: it gets 0.0. A base
model often answers so, and then there is little to learn from.

Example: a template reads `{{sample.output_json.total}}`, and `method.reinforcement` has no
`response_format`.

To mend it: put a `response_format` of type `json_schema` beside the grader.

Ignore it when: the prompts ask for JSON, and the base model's samples show that it obeys.
"""

from __future__ import annotations

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.grader.output_paths import output_paths
from graders_engine.preflight.grader.response_schema import response_format
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.schemas.form import format_faults, given_format

_JSON_TYPES = ("json_schema", "json_object")


def _ask(inputs: Inputs) -> Answer:
    paths = output_paths(inputs.grader) if inputs.grader else []
    found = [one for one in paths if not one.parsed]
    if not found:
        return NotChecked("the grader does not read `sample.output_json`")
    if next(format_faults(given_format(inputs.job)), None) is not None:
        return NotChecked("the job's response_format is not valid (see invalid-response-format)")
    given = response_format(inputs.job)
    if given is not None and given.get("type") in _JSON_TYPES:
        return []
    says = "has no `response_format`" if given is None else f"asks for `{given.get('type')}`"
    return [
        Finding(
            "no-response-format",
            "warning",
            f"The grader reads `{found[0].name}`, but the job {says}: "
            "the model is not made to answer in JSON.",
            "Put a `response_format` of type `json_schema` into method.reinforcement.",
            where=[
                Location(inputs.job_file, 0, "method.reinforcement"),
                Location(inputs.grader_file, 0, found[0].path),
            ],
            numbers={"paths": [one.name for one in found]},
        )
    ]


CHECK = Check(
    "no-response-format",
    "grader",
    _ask,
    frozenset({"job", "grader"}),
    silenced_by=("invalid-grader", "invalid-response-format"),
)
