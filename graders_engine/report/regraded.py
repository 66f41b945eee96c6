"""How a row is graded again to be explained: without a judge, python or an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graders_engine.compiled import CompiledGrader
from graders_engine.errors import InvalidRow, UnavailableGrader
from graders_engine.outcome import RowOutcome

LONG_CHARS = 100_000
"""Texts of a row that are longer are not compared again only to be displayed."""
_NAMES = {"judge": "a judge", "python": "python", "endpoint": "an endpoint"}


@dataclass(frozen=True, slots=True)
class Needs:
    """What a grader asks for beyond this process."""

    judge: bool = False
    python: bool = False
    endpoint: bool = False

    @property
    def any(self) -> bool:
        """Whether it asks for anything."""
        return self.judge or self.python or self.endpoint

    @property
    def words(self) -> str:
        """What it asks for, in words."""
        return " and ".join(words for name, words in _NAMES.items() if getattr(self, name))


def needs_of(compiled: CompiledGrader) -> Needs:
    """What a grader asks for."""
    spec = compiled.spec
    leaves = [spec, *spec.parts().values()]
    endpoint = any(getattr(leaf, "type", "") == "endpoint" for leaf in leaves)
    return Needs(bool(spec.judge_models()), spec.runs_python(), endpoint)


def graded_again(compiled: CompiledGrader, needs: Needs, row: object) -> RowOutcome | str:
    """A row graded again without asking anybody; or a sentence that says why it is not.

    Args:
        compiled: the grader.
        needs: what it asks for.
        row: as it is graded.
    """
    if needs.any:
        return f"The grader needs {needs.words}."
    if compiled.spec.metrics() and _chars(compiled, row) > LONG_CHARS:
        return "The texts are long: comparing them again takes a while."
    try:
        if compiled.evaluator.waits:
            return "The grader needs an embedding model."
        return compiled.grade_row_now(0, row, compiled.scope_reader())
    except UnavailableGrader as error:
        return str(error)


def _chars(compiled: CompiledGrader, row: object) -> int:
    """About how many characters the texts of a row have."""
    try:
        scope = compiled.scope_reader()(row)
    except InvalidRow:
        return 0
    item = scope.item.values() if isinstance(scope.item, Mapping) else (scope.item,)
    return len(scope.output_text) + sum(len(value) for value in item if isinstance(value, str))
