"""Nothing in the grader reads the model's answer, so no answer changes the reward.

Why: in training each answer of a group then earns the same, and nothing is learned. Graders written
for a data set that already holds answers look like this: they read `{{item.response}}`, and the
sample not at all.

Example: `def grade(sample, item): return float(item["output"] == item["label"])`, or a multi whose
formula names only parts that do not read the sample.

To mend it: read the answer from `{{sample.output_text}}`, or `sample["output_text"]` in python.

Ignore it when: never for training. For scoring a data set that holds the answers it is as it should
be.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.language.formula_range import NoValue, interval_of
from graders_engine.preflight.check import Check
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.grader.phrases import and_joined
from graders_engine.preflight.grader_facts import GraderFacts
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.showing import number


def _ask(inputs: Inputs) -> Iterator[Finding]:
    facts = inputs.grader
    if facts is None:
        return
    if not facts.compiled.reads_sample:
        yield _unread(inputs, "Nothing in the grader reads the sample", "")
    elif facts.multi is not None and not any(
        facts.multi.graders[key].reads_sample() for key in facts.multi.calculate_output.names
    ):
        keys = facts.multi.calculate_output.names
        named = f"names {and_joined(f'`{key}`' for key in keys)} only" if keys else "names no part"
        others = [key for key, part in facts.multi.graders.items() if part.reads_sample()]
        read = and_joined(f"`{key}`" for key in others)
        what = f"The formula {named}, and of the parts only {read} reads the sample"
        yield _unread(inputs, what, "calculate_output")
    elif (value := _only_value(facts)) is not None:
        what = f"The formula is {number(value)} for all rewards of its parts"
        yield _unread(inputs, what, "calculate_output")


def _unread(inputs: Inputs, what: str, path: str) -> Finding:
    facts = inputs.grader
    fix = (
        "Write a formula that depends on a part that reads the sample."
        if path
        else "Read the answer where the grader compares: `{{sample.output_text}}` in a template, "
        '`sample["output_text"]` in python.'
    )
    return Finding(
        "sample-unread",
        "error",
        f"{what}: no answer changes the reward.",
        fix,
        where=[Location(inputs.grader_file, 0, path or _first_path(facts))],
    )


def _first_path(facts: GraderFacts | None) -> str:
    if facts is None or facts.multi is not None:
        return ""
    return "source" if facts.python else next((path for path, _ in facts.templates), "")


def _only_value(facts: GraderFacts) -> float | None:
    """The formula's value if it is the same for all that its parts can give; None if not, or unknown."""
    if facts.multi is None:
        return None
    formula = facts.multi.calculate_output
    ranges = {key: part.interval for key, part in facts.part_ranges.items()}
    try:
        whole = interval_of(formula.tree, formula, ranges)
    except NoValue:
        return None
    found = facts.range
    few = all(facts.part_ranges[key].values for key in formula.names)
    if few and found is not None and found.width == 0:
        return found.low
    return whole.low if whole.width == 0 else None


CHECK = Check(
    "sample-unread", "grader", _ask, frozenset({"grader"}), silenced_by=("invalid-grader",)
)
