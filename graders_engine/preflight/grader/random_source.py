"""A python source leaves the reward to chance, or to the time of day.

Why: equal answers then get different rewards, and training follows the noise. The check `unstable`
grades the same answers again and says how much it is.

Example: `return score + random.uniform(0, 0.1)`; `random.sample(tests, 5)` without a seed.

To mend it: compute the same each time, or fix a seed: `random.Random(0).sample(tests, 5)`.

Ignore it when: `unstable` finds no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.grader.phrases import and_joined
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.python_reads import PythonReads
from graders_engine.preflight.source_flow.facts import Chance
from graders_engine.preflight.source_flow.sources import CLOCK, family, gives_names

_MODULES = ("random", "secrets", "numpy.random")
"""Modules whose import alone is worth a note."""


def _ask(inputs: Inputs) -> Answer:
    facts = inputs.grader
    if facts is None or not facts.python:
        return NotChecked("the grader runs no python")
    return _findings(inputs)


def _findings(inputs: Inputs) -> Iterator[Finding]:
    for path, reads in inputs.grader.python if inputs.grader else ():
        place = Location(inputs.grader_file, 0, f"{path}.source".lstrip("."))
        deciding = [found for found in reads.chance if found.decides]
        if deciding:
            yield _deciding(deciding, place)
        elif imported := _imported(reads):
            yield Finding(
                "random-source",
                "info",
                f"The source imports {and_joined(f'`{name}`' for name in imported)}, "
                "but the reward does not seem to depend on chance.",
                "Take the import out if nothing needs it.",
                where=[place],
                numbers={"modules": imported},
            )


def _deciding(deciding: Sequence[Chance], place: Location) -> Finding:
    calls = [f"`{found.source}` (line {found.line})" for found in deciding[:4]]
    what = "the time" if all(family(one.source) == CLOCK for one in deciding) else "chance"
    return Finding(
        "random-source",
        "warning",
        f"The reward depends on {what}: the source calls {and_joined(calls)}, and equal answers may get "
        "different rewards.",
        "Compute the same each time, or fix a seed, as in `random.Random(0)`.",
        where=[place],
        numbers={"calls": [found.source for found in deciding]},
    )


def _imported(reads: PythonReads) -> list[str]:
    names = dict.fromkeys(found.module for found in reads.imports if found.module in _MODULES)
    marks = {found.source.partition(".")[0] for found in reads.chance if gives_names(found.source)}
    return [name for name in names if name not in reads.seeded and name not in marks]


CHECK = Check(
    "random-source", "grader", _ask, frozenset({"grader"}), silenced_by=("invalid-grader",)
)
