"""The paths of `sample.output_json` that a grader reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graders_engine.language.scope import Step, spell
from graders_engine.preflight.grader_facts import GraderFacts

JSON, TEXT = "output_json", "output_text"


@dataclass(frozen=True, slots=True)
class OutputPath:
    """A path in the model's JSON.

    Attributes:
        steps: its steps below `output_json`.
        path: where in the grader it is read.
        needed: whether the reader fails without it.
        parsed: whether a python source parses the text itself.
    """

    steps: tuple[Step, ...]
    path: str
    needed: bool
    parsed: bool = False

    @property
    def name(self) -> str:
        """Its path as templates spell it."""
        return spell("sample", (JSON, *self.steps))


def output_paths(facts: GraderFacts) -> list[OutputPath]:
    """The paths that templates and python sources read, each once."""
    found: dict[tuple[Step, ...], OutputPath] = {}
    for one in _all(facts):
        known = found.get(one.steps)
        if known is None or (one.needed and not known.needed):
            found[one.steps] = one
    return list(found.values())


def _all(facts: GraderFacts) -> Iterator[OutputPath]:
    for path, variable in facts.variables:
        if variable.namespace == "sample" and variable.steps[:1] == (JSON,):
            yield OutputPath(variable.steps[1:], path, needed=True)
    for path, reads in facts.python:
        for read in reads.sample:
            parsed = read.path[0] == TEXT and len(read.path) > 1
            if read.path[0] == JSON or parsed:
                where = f"{path}.source".lstrip(".")
                yield OutputPath(read.path[1:], where, read.needed, parsed=parsed)
