"""Convert an export of the hosted evals to grader files and row files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from graders_engine.compiled import Unreadable
from graders_engine.errors import DataSetError, InvalidGrader, Mistake
from graders_engine.evals.hosted.dashboard import GivenGrader, complete
from graders_engine.evals.hosted.export import (
    ExportedEval,
    Survey,
    is_output_item,
    nothing_in,
    objects_in,
    survey,
)
from graders_engine.evals.hosted.import_outputs import ImportOutputs
from graders_engine.evals.hosted.imported import Criterion, Imported, ImportedEval
from graders_engine.evals.hosted.names import file_name, formula_key, short, without_uuid
from graders_engine.evals.hosted.row_writer import RowWriter
from graders_engine.graders.parse import parse
from graders_engine.language.as_served import Strictness


def import_evals(files: Sequence[Path], out: Path, given: Sequence[GivenGrader] = ()) -> Imported:
    """Write graders and rows for each eval of an export; files of an earlier import are replaced.

    Args:
        files: the export, as `export.objects_in` reads it. The files are read twice.
        out: the folder to write to.
        given: graders for the rows of evals that are not in the export.

    Raises:
        DataSetError: a file cannot be read or written, or they hold no objects of the evals API.
    """
    found = survey(files)
    if not found.evals and not found.runs:
        raise DataSetError(nothing_in(found))
    imported = Imported(left_out=[*found.unreadable, *complete(found, given)], lost=found.lost)
    names: set[str] = set()
    outputs = ImportOutputs(files)
    try:
        for exported in sorted(found.evals.values(), key=lambda one: one.id):
            folder = out / file_name(exported.name, exported.id, names)
            imported.evals.append(_write_graders(exported, folder, imported.left_out, outputs))
        with RowWriter(found, imported, outputs) as rows:
            for file in files:
                for _, value in objects_in(file):
                    if not isinstance(value, Unreadable) and is_output_item(value):
                        rows.add(value)
    except OSError as error:
        raise DataSetError(f"{out} cannot be written to: {error.strerror}.") from None
    imported.left_out += _without_rows(found, imported)
    return imported


def _write_graders(
    exported: ExportedEval, folder: Path, left_out: list[str], outputs: ImportOutputs
) -> ImportedEval:
    imported = ImportedEval(exported, folder)
    if exported.known and not exported.criteria:
        left_out.append(f"{exported.name}: the eval has no testing criteria.")
    keys: set[str] = set()
    for number, criterion in enumerate(exported.criteria, 1):
        names = _names(criterion, exported.score_names[number - 1 : number])
        key = formula_key(without_uuid(names[0]) if names else "", number, keys)
        grader = _drop_nulls(criterion)
        refused = _mistakes(grader, "strict")
        if lenient := bool(refused):
            refused = _mistakes(grader, "as_served")
        if refused:
            path = folder / f"rejected-{key}.json"
            outputs.write_json(path, criterion)
            reason = _why_rejected(criterion, refused)
            left_out.append(
                f"{exported.name}: {short(names[0]) if names else key} ({path.name}): {reason}"
            )
            continue
        path = folder / f"grader-{key}.json"
        outputs.write_json(path, grader)
        imported.criteria.append(Criterion(key, grader, path, names, lenient))
    if len(imported.criteria) > 1 and all(
        one.grader["type"] != "multi" for one in imported.criteria
    ):
        imported.multi = folder / "graders.json"
        outputs.write_json(imported.multi, _multi_grader(exported.name, imported.criteria))
    return imported


def _names(criterion: Any, score_names: Sequence[str]) -> tuple[str, ...]:
    """What hosted scores may be named that a criterion gave: those found for it, its name, its id."""
    own = [criterion.get("name"), criterion.get("id")] if isinstance(criterion, dict) else []
    return (
        *score_names,
        *map(without_uuid, score_names),
        *(one for one in own if isinstance(one, str)),
    )


def _mistakes(grader: Any, templates: Strictness) -> Sequence[Mistake]:
    try:
        parse(grader, templates=templates)
    except InvalidGrader as error:
        return error.mistakes
    return ()


_ELSEWHERE = (
    "azure_ai_evaluator is an evaluator that is built into Azure AI Foundry and runs only there: there is no "
    "grader for it, and its hosted scores stay in the rows"
)


def _why_rejected(criterion: Any, refused: Sequence[Mistake]) -> str:
    if isinstance(criterion, dict) and criterion.get("type") == "azure_ai_evaluator":
        return f"{_ELSEWHERE}."
    return "; ".join(f"{one.param}: {one.message}" if one.param else one.message for one in refused)


def _multi_grader(name: str, criteria: list[Criterion]) -> dict[str, Any]:
    return {
        "type": "multi",
        "name": name,
        "graders": {criterion.key: criterion.grader for criterion in criteria},
        "calculate_output": f"({' + '.join(one.key for one in criteria)}) / {len(criteria)}",
    }


def _drop_nulls(value: Any) -> Any:
    """A value as the SDK received it: it writes null for missing fields."""
    if isinstance(value, dict):
        return {key: _drop_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_drop_nulls(part) for part in value]
    return value


def _without_rows(found: Survey, imported: Imported) -> Iterator[str]:
    """Sentences about runs and evals without rows."""
    with_rows: Collection[str] = {run.run.id for one in imported.evals for run in one.runs}
    for run in found.runs.values():
        if run.id not in with_rows and not run.items:
            where = f" Its data source was: {run.source}." if run.source else ""
            yield f"{run.name} ({run.id}): the run has no output items in the export.{where}"
        elif run.total is not None and run.items < run.total:
            yield (
                f"{run.name} ({run.id}): the export has {run.items:,} of its {run.total:,} output items."
            )
    runs_of = Counter(run.eval_id for run in found.runs.values())
    for imported_eval in imported.evals:
        if not runs_of[imported_eval.eval.id]:
            yield f"{imported_eval.eval.name}: the eval has no runs in the export."
