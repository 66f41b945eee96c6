"""What a grader says about itself, before any row is graded."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

from graders_engine.compiled import CompiledGrader
from graders_engine.graders import python_source
from graders_engine.graders.base import GraderSpec
from graders_engine.graders.endpoint import EndpointGrader
from graders_engine.graders.messages import ModelGrader
from graders_engine.graders.multi import MultiGrader
from graders_engine.graders.python import PythonGrader
from graders_engine.graders.static_range import part_range, range_of
from graders_engine.graders.templates import templates_in
from graders_engine.language.formula_range import Interval, PartRange
from graders_engine.language.template import Template, Variable
from graders_engine.preflight.python_reads import PythonReads, reads_of

CHANNELS = ("output_text", "output_json", "output_tools", "output_audio")
"""What of a sample graders read."""


class GraderFacts:
    """A compiled grader, and what is known of it without running it.

    Attributes:
        compiled: the grader.
    """

    def __init__(self, compiled: CompiledGrader) -> None:
        self.compiled = compiled

    @property
    def spec(self) -> GraderSpec:
        """The parsed grader."""
        return self.compiled.spec

    @property
    def name(self) -> str:
        """Its name, or its type if it has none."""
        return self.spec.name or self.compiled.type

    @functools.cached_property
    def leaves(self) -> tuple[tuple[str, GraderSpec], ...]:
        """(path, spec) of each grader in it that has no parts; the path is empty for a single grader."""
        return tuple(_leaves(self.spec, ""))

    @functools.cached_property
    def templates(self) -> tuple[tuple[str, Template], ...]:
        """(path, template) of each of its templates."""
        return tuple(templates_in(self.spec))

    @functools.cached_property
    def variables(self) -> tuple[tuple[str, Variable], ...]:
        """(path, variable) of each variable of its templates."""
        return tuple((path, one) for path, template in self.templates for one in template.variables)

    @functools.cached_property
    def python(self) -> tuple[tuple[str, PythonReads], ...]:
        """(path, what it reads) of each python source."""
        return tuple(
            (path, reads_of(spec.source))
            for path, spec in self.leaves
            if isinstance(spec, PythonGrader)
        )

    @functools.cached_property
    def swapped(self) -> frozenset[str]:
        """The paths of the python sources whose `grade` names its arguments in the wrong order."""
        return frozenset(
            f"{path}.source".lstrip(".")
            for path, spec in self.leaves
            if isinstance(spec, PythonGrader) and python_source.inspect(spec.source).swapped
        )

    @functools.cached_property
    def channels(self) -> frozenset[str]:
        """Those of `CHANNELS` that it reads; all of them where that is unknown."""
        found = {
            str(one.steps[0])
            for _, one in self.variables
            if one.namespace == "sample" and one.steps
        }
        for _, reads in self.python:
            found |= set(CHANNELS) if reads.whole_sample else set(reads.sample_keys)
        if any(isinstance(spec, EndpointGrader) for _, spec in self.leaves):
            found |= set(CHANNELS)
        if "choices" in found:
            found.add("output_text")
        return frozenset(found) & frozenset(CHANNELS)

    @functools.cached_property
    def names_calls(self) -> bool:
        """Whether a template reads tool calls, or a source names them: the whole sample says nothing."""
        by_template = any(
            one.namespace == "sample" and one.steps[:1] == ("output_tools",)
            for _, one in self.variables
        )
        return by_template or any("output_tools" in reads.sample_keys for _, reads in self.python)

    @functools.cached_property
    def judges(self) -> tuple[tuple[str, ModelGrader], ...]:
        """(path, spec) of each part that asks a judge."""
        return tuple((path, spec) for path, spec in self.leaves if isinstance(spec, ModelGrader))

    @functools.cached_property
    def multi(self) -> MultiGrader | None:
        """The grader as a multi; None if it is another."""
        return self.spec if isinstance(self.spec, MultiGrader) else None

    @functools.cached_property
    def part_ranges(self) -> Mapping[str, PartRange]:
        """What each part of a multi can give, by its key."""
        return {key: part_range(part) for key, part in self.spec.parts().items()}

    @functools.cached_property
    def part_widths(self) -> Mapping[str, Interval]:
        """What each part of a multi gives: as `part_ranges`, and 0 to 1 for python that returns these."""
        by_path = dict(self.python)
        found = {key: part.interval for key, part in self.part_ranges.items()}
        for key in found:
            reads = by_path.get(f"graders.{key}")
            if reads is not None and reads.rewards == (0.0, 1.0):
                found[key] = Interval(0.0, 1.0)
        return found

    @functools.cached_property
    def range(self) -> Interval | None:
        """The rewards that it can give, by its form alone; None if that is unknown (python, endpoint)."""
        return range_of(self.spec)


def _leaves(spec: GraderSpec, path: str) -> Iterator[tuple[str, GraderSpec]]:
    parts = spec.parts()
    if not parts:
        yield path, spec
    for key, part in parts.items():
        yield from _leaves(part, f"{path}.graders.{key}".lstrip("."))
