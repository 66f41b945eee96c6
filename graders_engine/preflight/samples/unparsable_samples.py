"""The grader reads JSON, and many samples are none, or lack a key that it reads.

Why: such a sample earns what the grader gives for no JSON, however good its content is.

Example: the model writes its JSON into a code fence, which the service does not take off. The grader reads
`amount`, and the prompt asks for `total`: right answers are made from the grader's key, and earn full marks.

To mend it: set a response format in the job, or say in the prompt that JSON alone is wanted. Give the
grader, the prompt and the response format the same keys.

Ignore it when: the model is to learn the form, and enough samples have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graders_engine.language import strict_json
from graders_engine.language.scope import Step
from graders_engine.outcome import Flag
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.grader.output_paths import output_paths
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.sample_parts import json_of, text_of
from graders_engine.preflight.samples.baseline import why_none
from graders_engine.preflight.showing import excerpt, percent

_MOSTLY = 0.5
"""Share of the samples with JSON that lack a key from which on its name is probably another."""
_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)


def _ask(inputs: Inputs) -> Answer:
    if not inputs.samples:
        return NotChecked(why_none(inputs))
    return [*_findings(inputs), *_lacking(inputs)]


def _lacking(inputs: Inputs) -> Iterator[Finding]:
    """Keys that the grader cannot do without, and that few samples with JSON have."""
    values = [json_of(text_of(sample.sample)) for sample in inputs.samples]
    objects = [value for value in values if isinstance(value, Mapping)]
    for path in output_paths(inputs.grader) if inputs.grader and objects else ():
        lacking = sum(not _has(value, path.steps) for value in objects) if path.needed else 0
        if not path.steps or lacking < _MOSTLY * len(objects):
            continue
        keys = list(dict.fromkeys(str(key) for value in objects for key in value))
        yield Finding(
            "unparsable-samples", "warning",
            f"{lacking} of {len(objects)} samples with JSON lack `{path.name}`, which the grader reads.",
            f"Give the grader and the prompt the same key; the samples have {', '.join(keys[:8])}.",
            where=[Location(inputs.grader_file, path=path.path), Location(inputs.samples_file)],
            rows=lacking, numbers={"path": path.name, "lacking": lacking, "objects": len(objects)},
        )  # fmt: skip


def _has(value: Any, steps: Sequence[Step]) -> bool:
    for step in steps:
        if not isinstance(value, (Mapping, list)):
            return value is None  # an object may be null
        try:
            value = value[step]  # type: ignore[index]  # a step of another kind is not there
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _findings(inputs: Inputs) -> Iterator[Finding]:
    bad = [sample for sample in inputs.samples if Flag.SAMPLE_PARSE.value in sample.flags]
    share = len(bad) / len(inputs.samples)
    if share <= inputs.options.limit("unparsable_samples"):
        return
    inside = sum(holds_json(text_of(sample.sample)) for sample in bad)
    more = f" {inside} of them hold JSON in a fence or among other text." if inside else ""
    yield Finding(
        "unparsable-samples", "warning",
        f"{len(bad)} of {len(inputs.samples)} samples ({percent(share)}) are not the JSON that the grader "
        f"reads.{more}",
        "Set a response format in the job, or ask for JSON alone.",
        where=[Location(inputs.samples_file, sample.line) for sample in bad[:5]], rows=len(bad),
        numbers={"unparsable": len(bad), "share": share, "hold_json": inside},
        details=[excerpt(text_of(sample.sample)) for sample in bad[:2]],
    )  # fmt: skip


def holds_json(text: str) -> bool:
    """Whether a text that is not JSON holds some: in a fence, or from its first brace to its last."""
    fenced = _FENCE.search(text)
    candidates = [fenced[1]] if fenced else []
    start, end = text.find("{"), text.rfind("}")
    if 0 <= start < end:
        candidates.append(text[start : end + 1])
    for candidate in candidates:
        try:
            strict_json.decode(candidate)
        except ValueError:
            continue
        return True
    return False


CHECK = Check(
    "unparsable-samples", "samples", _ask, frozenset({"samples", "grader"}),
    silenced_by=("samples-unmatched",),
)  # fmt: skip
