"""Convert an export of the hosted evals to grader files and row files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shapes import BY_NAME
from graders_engine.errors import DataSetError, InvalidGrader, Mistake
from graders_engine.evals.export import (
    OUTPUT_ITEM,
    ExportedEval,
    ExportedRun,
    Survey,
    objects_in,
    survey,
)
from graders_engine.evals.import_outputs import ImportOutputs
from graders_engine.files import write_whole
from graders_engine.graders.parse import parse
from graders_engine.language import strict_json
from graders_engine.language.formula_functions import FUNCTIONS

_UUID = re.compile(r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
"""Follows the name of a criterion in its id, and in the results of output items."""
_NAME_CHARS = 60
"""Longest name of a file, without extension."""
_ASKS_A_MODEL = ("score_model", "label_model")


@dataclass(slots=True)
class Criterion:
    """A testing criterion as a grader.

    Attributes:
        key: its name in file names, formulas and the rows' `hosted`.
        path: the grader's file.
    """

    key: str
    grader: dict[str, Any]
    path: Path

    @property
    def asks_a_model(self) -> bool:
        """Whether its rewards come from a judge."""
        return self.grader["type"] in _ASKS_A_MODEL


@dataclass(slots=True)
class ImportedRun:
    """A run as a file of rows.

    Attributes:
        run: its description in the export.
        path: the file with rows `{"id", "item", "sample", "hosted"}`.
        rows: how many rows it has.
    """

    run: ExportedRun
    path: Path
    rows: int = 0


@dataclass(slots=True)
class ImportedEval:
    """An eval as a folder.

    Attributes:
        eval: its description in the export.
        folder: where its files are.
        criteria: its graders.
        multi: if there are several, a multi of all of them with their mean as the reward; each criterion's
            number is a sub-reward.
        runs: its runs that have rows.
    """

    eval: ExportedEval
    folder: Path
    criteria: list[Criterion] = field(default_factory=list)
    multi: Path | None = None
    runs: list[ImportedRun] = field(default_factory=list)

    @property
    def grader(self) -> Path | None:
        """The file to score with."""
        return self.multi or (self.criteria[0].path if self.criteria else None)


@dataclass(slots=True)
class Imported:
    """What an import made.

    Attributes:
        evals: one for each folder.
        left_out: sentences about what could not be imported.
    """

    evals: list[ImportedEval] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def import_evals(files: Sequence[Path], out: Path) -> Imported:
    """Write graders and rows for each eval of an export; files of an earlier import are replaced.

    Args:
        files: the export, as `export.objects_in` reads it. The files are read twice.
        out: the folder to write to.

    Raises:
        DataSetError: a file cannot be read or written, or they hold no objects of the evals API.
    """
    found = survey(files)
    if not found.evals:
        reason = f" {found.unreadable[0]}" if found.unreadable else ""
        raise DataSetError(
            "There is no eval, no run and no output item in the export: their key `object` has the "
            f"value 'eval', 'eval.run' or 'eval.run.output_item'.{reason}"
        )
    imported = Imported(left_out=list(found.unreadable))
    names: set[str] = set()
    outputs = ImportOutputs(files)
    try:
        for exported in sorted(found.evals.values(), key=lambda one: one.id):
            folder = out / _file_name(exported.name, exported.id, names)
            imported.evals.append(_write_graders(exported, folder, imported.left_out, outputs))
        with _RowWriter(found, imported, outputs) as rows:
            for file in files:
                for _, value in objects_in(file):
                    if not isinstance(value, Unreadable) and value["object"] == OUTPUT_ITEM:
                        rows.add(value)
    except OSError as error:
        raise DataSetError(f"{out} cannot be written to: {error.strerror}.") from None
    imported.left_out += _without_rows(found, imported)
    return imported


def _write_graders(
    exported: ExportedEval, folder: Path, left_out: list[str], outputs: ImportOutputs
) -> ImportedEval:
    imported = ImportedEval(exported, folder)
    if not exported.known:
        left_out.append(
            f"{exported.id}: the eval itself is not in the export, so there is no grader."
        )
    elif not exported.criteria:
        left_out.append(f"{exported.name}: the eval has no testing criteria.")
    keys: set[str] = set()
    for number, criterion in enumerate(exported.criteria, 1):
        name = criterion.get("name") if isinstance(criterion, dict) else None
        key = _criterion_key(str(name or ""), number, keys)
        grader = _drop_nulls(criterion)
        try:
            parse(grader)
        except InvalidGrader as error:
            path = folder / f"rejected-{key}.json"
            outputs.write_json(path, criterion)
            left_out.append(
                f"{exported.name}: {name or key} ({path.name}): {_mistakes_text(error)}"
            )
            continue
        path = folder / f"grader-{key}.json"
        outputs.write_json(path, grader)
        imported.criteria.append(Criterion(key, grader, path))
    if len(imported.criteria) > 1:
        imported.multi = folder / "graders.json"
        outputs.write_json(imported.multi, _multi_grader(exported.name, imported.criteria))
    return imported


def _mistakes_text(error: InvalidGrader) -> str:
    def sentence(mistake: Mistake) -> str:
        return f"{mistake.param}: {mistake.message}" if mistake.param else mistake.message

    return "; ".join(map(sentence, error.mistakes))


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


def _criterion_key(name: str, number: int, taken: set[str]) -> str:
    """A unique key, made of the characters of a name that a formula allows."""
    key = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:_NAME_CHARS]
    if not key or key[0].isdigit() or key in FUNCTIONS:
        key = f"criterion_{key or number}"
    return _unique(key, "_", taken)


def _file_name(name: str, object_id: str, taken: set[str]) -> str:
    """A unique name for a file or a folder, without characters special to file systems or shells."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:_NAME_CHARS]
    return _unique(plain or re.sub(r"\W+", "-", object_id).strip("-") or "unnamed", "-", taken)


def _unique(name: str, separator: str, taken: set[str]) -> str:
    unique, count = name, 1
    while unique.casefold() in taken:
        count += 1
        unique = f"{name}{separator}{count}"
    taken.add(unique.casefold())
    return unique


class _RowWriter:
    """Writes each output item to the file of its run."""

    def __init__(self, found: Survey, imported: Imported, outputs: ImportOutputs) -> None:
        self._found, self._imported, self._outputs = found, imported, outputs
        self._by_eval = {one.eval.id: one for one in imported.evals}
        self._names: dict[str, set[str]] = {one.eval.id: set() for one in imported.evals}
        self._runs: dict[str, ImportedRun] = {}
        self._keys = {one.eval.id: _result_keys(one) for one in imported.evals}
        self._seen: set[str] = set()
        self._notes: Counter[tuple[str, str]] = Counter()
        self._file: IO[bytes] | None = None
        self._open_run = ""

    def __enter__(self) -> _RowWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        self._imported.left_out += [
            f"{run}: {count:,} output item{'s' if count > 1 else ''} {what}"
            for (run, what), count in self._notes.items()
        ]

    def add(self, item: dict[str, Any]) -> None:
        """Write one output item, unless it is repeated or holds nothing to grade."""
        item_id = str(item.get("id"))
        run = self._found.runs[str(item.get("run_id"))]
        if item_id in self._seen:
            self._notes[run.name, "repeated in the export."] += 1
            return
        self._seen.add(item_id)
        hosted = dict(_hosted_scores(item.get("results"), self._keys[run.eval_id]))
        for ref in BY_NAME["evals"].split(RowRef(0, item)):
            if isinstance(ref.row, Unreadable):
                self._notes[run.name, f"left out: {ref.row.reason}"] += 1
            else:
                self._write_row(run, {"id": item_id, **ref.row, "hosted": hosted})

    def _write_row(self, run: ExportedRun, row: dict[str, Any]) -> None:
        text = strict_json.encode(row)
        if not row["sample"]:
            self._notes[run.name, "without an output: only graders of the item can work."] += 1
        if b'"file_id":"' in text:
            self._notes[run.name, "with a file id; the file is not in the export."] += 1
        imported = self._imported_run(run)
        self._file_of(imported).write(text + b"\n")
        imported.rows += 1

    def _imported_run(self, run: ExportedRun) -> ImportedRun:
        if run.id not in self._runs:
            imported_eval = self._by_eval[run.eval_id]
            name = _file_name(run.name, run.id, self._names[run.eval_id])
            imported = ImportedRun(run, imported_eval.folder / f"{name}.rows.jsonl")
            self._outputs.check(imported.path)
            write_whole(imported.path, b"")
            imported_eval.runs.append(imported)
            self._runs[run.id] = imported
        return self._runs[run.id]

    def _file_of(self, imported: ImportedRun) -> IO[bytes]:
        """The run's file; only one is open at a time, as a process can open only so many."""
        if self._file is None or self._open_run != imported.run.id:
            if self._file is not None:
                self._file.close()
            self._file, self._open_run = imported.path.open("ab"), imported.run.id
        return self._file


def _result_keys(imported: ImportedEval) -> dict[str, str]:
    """A criterion's key by the names that results have for it: its name and its id."""
    keys: dict[str, str] = {}
    for criterion in imported.criteria:
        for name in (criterion.grader.get("name"), criterion.grader.get("id")):
            if isinstance(name, str):
                keys[name] = criterion.key
    return keys


def _hosted_scores(results: Any, keys: dict[str, str]) -> Iterator[tuple[str, float]]:
    for result in results if isinstance(results, list) else ():
        if not isinstance(result, dict):
            continue
        name, score = result.get("name"), result.get("score")
        if isinstance(name, str) and isinstance(score, (int, float)):
            plain = _UUID.sub("", name)
            yield keys.get(name) or keys.get(plain) or plain, float(score)


def _without_rows(found: Survey, imported: Imported) -> Iterator[str]:
    """Sentences about runs and evals without rows."""
    with_rows: Collection[str] = {run.run.id for one in imported.evals for run in one.runs}
    for run in found.runs.values():
        if run.id not in with_rows and not run.items:
            where = f" Its data source was: {run.source}." if run.source else ""
            yield f"{run.name} ({run.id}): the run has no output items in the export.{where}"
    runs_of = Counter(run.eval_id for run in found.runs.values())
    for imported_eval in imported.evals:
        if not runs_of[imported_eval.eval.id]:
            yield f"{imported_eval.eval.name}: the eval has no runs in the export."
