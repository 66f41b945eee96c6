"""The samples are too few to say much.

Why: whether a group has something to learn from shows only where a prompt has several samples, and
intervals over few prompts are wide: half a width of 0.25 with 10 prompts, of 0.13 with 50 (8 samples each).

Example: one sample for each of 20 prompts.

To mend it: sample 50 prompts 8 times each, or as many times as a group in training has answers.

Ignore it when: the intervals that are printed are narrow enough for you.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.samples.baseline import why_none

_PROMPTS = 30


def _ask(inputs: Inputs) -> Answer:
    return _findings(inputs) if inputs.samples else NotChecked(why_none(inputs))


def _findings(inputs: Inputs) -> Iterator[Finding]:
    counts = Counter(sample.prompt for sample in inputs.samples)
    single = sum(count == 1 for count in counts.values())
    size, least = inputs.options.group_size, min(counts.values())
    reasons = []
    if single:
        reasons.append(
            f"{single} of {len(counts)} prompts have one sample: their groups cannot be judged"
            if len(counts) > 1
            else "the one prompt has one sample: groups cannot be judged"
        )
    elif least < size:
        reasons.append(f"some prompts have {least} samples, and a group in training has {size}")
    if len(inputs.samples) < len(inputs.given):
        limit = " (--max-calls)" if inputs.plan.share < 1 else ""
        reasons.append(
            f"only {len(inputs.samples)} of {len(inputs.given)} samples were graded{limit}"
        )
    if len(counts) < _PROMPTS:
        are = f"are {len(counts)} prompts" if len(counts) > 1 else "is one prompt"
        reasons.append(f"there {are}: intervals are wide")
    if reasons:
        text = "; ".join(reasons)
        yield Finding(
            "too-few-samples", "info", f"{text[0].upper()}{text[1:]}.",
            f"Sample {_PROMPTS} to 50 prompts {size} times each.", where=[Location(inputs.samples_file)],
            numbers={
                "prompts": len(counts), "single": single, "fewest": least,
                "graded": len(inputs.samples), "samples": len(inputs.given),
            },
        )  # fmt: skip


CHECK = Check(
    "too-few-samples",
    "samples",
    _ask,
    frozenset({"samples", "grader"}),
    silenced_by=("samples-unmatched",),
)
