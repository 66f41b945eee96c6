"""Whether the paths in a grader's templates lead somewhere in each row of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Unpack

import msgspec

from graders_engine.compiled import CompiledGrader, Unreadable, scope_reader
from graders_engine.dataset.rows.misleading import EmptyReferences, misspelt_fields, repeated_keys
from graders_engine.dataset.rows.read import ReadOptions, open_data
from graders_engine.dataset.rows.records import Records, RowRef
from graders_engine.dataset.rows.shapes import Shape, without_outputs
from graders_engine.errors import GradingError, InvalidRow
from graders_engine.graders.templates import templates_in
from graders_engine.language.template import Variable
from graders_engine.urls import Location

MAX_PLACES = 5
"""Rows that are named of those in which a path fails."""
MAX_REASONS = 3
"""Different reasons that are kept of one path, and of the rows that cannot be read."""


class FailingRows(msgspec.Struct):
    """Rows with the same reason.

    Attributes:
        reason: in the same words for all of them.
        rows: how many they are.
        places: the first of them: a line of the data, or `19#5`, the fifth sample of line 19.
    """

    reason: str
    rows: int = 0
    places: list[str] = []

    def add(self, ref: RowRef) -> None:
        """Count one more."""
        self.rows += 1
        if len(self.places) < MAX_PLACES:
            self.places = [*self.places, _place(ref)]


def _add_failing(found: list[FailingRows], ref: RowRef, reason: str) -> None:
    """Count a row with the others of its reason; reasons after the first ones are not kept."""
    known = next((one for one in found if one.reason == reason), None)
    if known is None:
        known = FailingRows(reason)
        if len(found) < MAX_REASONS:
            found.append(known)
    known.add(ref)


class CheckedPath(msgspec.Struct):
    """A path in a grader's templates.

    Attributes:
        path: in template syntax, such as `item.answer`.
        used_in: the fields of the grader whose templates have it.
        failed: how many rows do not have it, each sample counted.
        places: the first of these: a line of the data, or `19#5`, the fifth sample of line 19.
        reason: why it fails in the first of them, with the nearest key if one is close.
        reasons: the first different reasons, each with its rows; the rows of further ones are in none.
    """

    path: str
    used_in: list[str]
    failed: int = 0
    places: list[str] = []
    reason: str = ""
    reasons: list[FailingRows] = []

    def fail(self, ref: RowRef, reason: str) -> None:
        """Count a row that does not have it."""
        self.failed += 1
        if len(self.places) < MAX_PLACES:
            self.places = [*self.places, _place(ref)]
            self.reason = self.reason or reason
        _add_failing(self.reasons, ref, reason)


class CheckedPaths(msgspec.Struct):
    """What became of the paths of a grader in the rows of a data set.

    Attributes:
        data: the data set.
        rows: how many rows there are, unreadable ones too; of a row with several samples, each sample counts.
        paths: every path that was looked for, in the order of the grader's fields.
        grouped: whether some row has a list of samples.
        samples: whether the rows have model outputs; if not, paths of `sample` were not looked for.
        unreadable: how many rows could not be read, and are in no path's count.
        unreadable_places: the first of these.
        unreadable_reason: why the first of them could not be read.
        unreadable_reasons: the first different reasons, each with its rows; more are in none.
        code: the fields of the grader with code that reads rows by itself, which is not checked.
        notes: what in the rows gives rewards that look right, though something else is meant.
    """

    data: str
    rows: int
    paths: list[CheckedPath]
    samples: bool
    grouped: bool = False
    unreadable: int = 0
    unreadable_places: list[str] = []
    unreadable_reason: str = ""
    unreadable_reasons: list[FailingRows] = []
    code: list[str] = []
    notes: list[str] = []

    @property
    def readable(self) -> int:
        """How many rows could be read, in which the paths were looked for."""
        return self.rows - self.unreadable

    @property
    def fit(self) -> bool:
        """Whether the data fits the grader: some rows, all of them readable, each with all paths of `item`.

        A path of `sample` may fail in some rows: that is the model's output, and what a grader measures. In
        all rows, it is a mistake of the grader.
        """
        return (
            self.rows > 0
            and not self.unreadable
            and not any(
                path.failed and (path.path.startswith("item") or path.failed == self.readable)
                for path in self.paths
            )
        )


def check_paths(
    compiled: CompiledGrader, data: Location | str | Records, **reading: Unpack[ReadOptions]
) -> CheckedPaths:
    """Follow each path in a grader's templates in every row of a data set; nothing is graded.

    Args:
        compiled: the grader.
        data: as for `read.open_data`. Rows without model outputs are read, too: as items.
        reading: how to read the data.

    Raises:
        InvalidRequest: the options contradict each other.
        DataSetError: the data cannot be read.
    """
    variables = _variables(compiled)
    reading["outputs_needed"] = False
    reading["items_alone"] = not compiled.reads_sample
    data_set = open_data(data, **reading)
    checked = CheckedPaths(
        str(data_set.records.path),
        0,
        [path for _, path in variables],
        samples=not without_outputs(data_set.shape),
        code=list(_code(compiled.given)),
    )
    if not checked.samples:
        variables = [(one, path) for one, path in variables if one.namespace == "item"]
        checked.paths = [path for _, path in variables]
    references = EmptyReferences(compiled)
    scope_of_row = scope_reader(None, lambda: False)
    for ref in _rows(data_set.records, data_set.shape):
        checked.rows += 1
        try:
            scope = scope_of_row(ref.row)
        except InvalidRow as error:
            checked.unreadable += 1
            checked.unreadable_reason = checked.unreadable_reason or str(error)
            if len(checked.unreadable_places) < MAX_PLACES:
                checked.unreadable_places = [*checked.unreadable_places, _place(ref)]
            _add_failing(checked.unreadable_reasons, ref, str(error))
            continue
        checked.grouped = checked.grouped or ref.sample > 0
        references.see(scope.item)
        for variable, path in variables:
            try:
                variable.value(scope)
            except GradingError as error:
                path.fail(ref, str(error))
    unit = "sample" if checked.grouped else "row"
    seen = f"the {references.rows:,} {unit}{'' if references.rows == 1 else 's'}"
    checked.notes = [*references.notes(seen)]
    checked.notes += misspelt_fields(compiled, data_set.records)
    checked.notes += repeated_keys(data_set.records)
    return checked


def _variables(compiled: CompiledGrader) -> list[tuple[Variable, CheckedPath]]:
    """One variable of each path, with the fields that have it."""
    found: dict[str, tuple[Variable, CheckedPath]] = {}
    for field, template in templates_in(compiled.spec):
        for variable in template.variables:
            _, checked = found.setdefault(variable.name, (variable, CheckedPath(variable.name, [])))
            if field not in checked.used_in:
                checked.used_in.append(field)
    return list(found.values())


def _code(grader: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Where python code, or a server, reads whole rows."""
    if grader.get("type") in ("python", "endpoint"):
        yield f"{path}{'source' if grader['type'] == 'python' else 'url'}"
    parts = grader.get("graders")
    if isinstance(parts, Mapping):
        for key, part in parts.items():
            yield from _code(part, f"graders.{key}.")
    elif isinstance(parts, list):
        for position, part in enumerate(parts):
            yield from _code(part, f"graders[{position}].")


def _rows(records: Records, shape: Shape) -> Iterator[RowRef]:
    for raw in records.read():
        if shape.plain or isinstance(raw.row, Unreadable):
            yield raw
        else:
            yield from shape.split(raw)


def _place(ref: RowRef) -> str:
    return f"{ref.line}#{ref.sample}" if ref.sample else str(ref.line)
