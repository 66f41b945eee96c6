"""An export of the hosted evals made grader files and row files."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.shapes import BY_NAME
from graders_engine.errors import DataSetError, InvalidGrader, Mistake
from graders_engine.evals.export import OUTPUT_ITEM, Eval, Run, Survey, objects_in, survey
from graders_engine.graders.parse import parse
from graders_engine.language import strict_json
from graders_engine.language.formula import FUNCTIONS

_UUID = re.compile(r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
"""What the id of a criterion, and its name in the results of output items, have behind its name."""
_NAME_CHARS = 60
"""Longest name of a file, without ending."""
_ASKS_A_MODEL = ("score_model", "label_model")


@dataclass(slots=True)
class Criterion:
    """A testing criterion that became a grader.

    Attributes:
        key: what stands for it in file names, formulas and the rows' `hosted`.
        grader: the grader.
        path: the file that holds it.
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
    """A run that became a file of rows.

    Attributes:
        run: what the export says of it.
        path: the rows: `{"id", "item", "sample", "hosted"}`.
        rows: how many.
    """

    run: Run
    path: Path
    rows: int = 0


@dataclass(slots=True)
class ImportedEval:
    """An eval that became a folder.

    Attributes:
        eval: what the export says of it.
        folder: where its files are.
        criteria: its graders.
        multi: where it has several, one with all of them as parts and their mean as the reward: a run of
            it gives each criterion's number as a sub-reward.
        runs: its runs that have rows.
    """

    eval: Eval
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
        evals: folder by folder.
        left_out: sentences about what could not be carried over.
    """

    evals: list[ImportedEval] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def import_evals(files: Sequence[Path], out: Path) -> Imported:
    """Write graders and rows for each eval of an export; files of an earlier import are replaced.

    Args:
        files: the export, in the form of `evals_export.objects_in`. They are read twice.
        out: the folder to write to.

    Raises:
        DataSetError: a file cannot be read or written, or there is nothing of the evals API in them.
    """
    found = survey(files)
    if not found.evals:
        shown = f" {found.unreadable[0]}" if found.unreadable else ""
        raise DataSetError(
            "There is no eval, no run and no output item in the export: their key `object` says "
            f"'eval', 'eval.run' or 'eval.run.output_item'.{shown}"
        )
    imported = Imported(left_out=list(found.unreadable))
    names: set[str] = set()
    try:
        for own in sorted(found.evals.values(), key=lambda one: one.id):
            folder = out / _file_name(own.name, own.id, names)
            imported.evals.append(_write_graders(own, folder, imported.left_out))
        with _Rows(found, imported) as rows:
            for file in files:
                for _, value in objects_in(file):
                    if not isinstance(value, Unreadable) and value["object"] == OUTPUT_ITEM:
                        rows.add(value)
    except OSError as error:
        raise DataSetError(f"{out} cannot be written to: {error.strerror}.") from None
    imported.left_out += _without_rows(found, imported)
    return imported


def _write_graders(own: Eval, folder: Path, left_out: list[str]) -> ImportedEval:
    made = ImportedEval(own, folder)
    if not own.known:
        left_out.append(f"{own.id}: the eval itself is not in the export, so there is no grader.")
    elif not own.criteria:
        left_out.append(f"{own.name}: the eval has no testing criteria.")
    keys: set[str] = set()
    for number, criterion in enumerate(own.criteria, 1):
        name = criterion.get("name") if isinstance(criterion, dict) else None
        key = _key(str(name or ""), number, keys)
        grader = _without_nulls(criterion)
        try:
            parse(grader)
        except InvalidGrader as error:
            path = folder / f"rejected-{key}.json"
            _write_json(path, criterion)
            left_out.append(f"{own.name}: {name or key} ({path.name}): {_mistakes(error)}")
            continue
        path = folder / f"grader-{key}.json"
        _write_json(path, grader)
        made.criteria.append(Criterion(key, grader, path))
    if len(made.criteria) > 1:
        made.multi = folder / "graders.json"
        _write_json(made.multi, _multi(own.name, made.criteria))
    return made


def _mistakes(error: InvalidGrader) -> str:
    def one(mistake: Mistake) -> str:
        return f"{mistake.param}: {mistake.message}" if mistake.param else mistake.message

    return "; ".join(map(one, error.mistakes))


def _multi(name: str, criteria: list[Criterion]) -> dict[str, Any]:
    return {
        "type": "multi",
        "name": name,
        "graders": {criterion.key: criterion.grader for criterion in criteria},
        "calculate_output": f"({' + '.join(one.key for one in criteria)}) / {len(criteria)}",
    }


def _without_nulls(value: Any) -> Any:
    """A value as the SDK got it: its dumps write null for what was not there."""
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_without_nulls(part) for part in value]
    return value


def _key(name: str, number: int, taken: set[str]) -> str:
    """A key for a formula: of the name what may stand there, and no other criterion's."""
    key = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:_NAME_CHARS]
    if not key or key[0].isdigit() or key in FUNCTIONS:
        key = f"criterion_{key or number}"
    return _untaken(key, "_", taken)


def _file_name(name: str, own_id: str, taken: set[str]) -> str:
    """A name for a file or a folder: nothing in it that a file system or a shell could take amiss."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:_NAME_CHARS]
    return _untaken(plain or re.sub(r"\W+", "-", own_id).strip("-") or "unnamed", "-", taken)


def _untaken(name: str, joint: str, taken: set[str]) -> str:
    unique, count = name, 1
    while unique.casefold() in taken:
        count += 1
        unique = f"{name}{joint}{count}"
    taken.add(unique.casefold())
    return unique


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


class _Rows:
    """Writes each output item into its run's file, as they come."""

    def __init__(self, found: Survey, imported: Imported) -> None:
        self._found, self._imported = found, imported
        self._by_eval = {made.eval.id: made for made in imported.evals}
        self._names: dict[str, set[str]] = {made.eval.id: set() for made in imported.evals}
        self._runs: dict[str, ImportedRun] = {}
        self._keys = {made.eval.id: _result_keys(made) for made in imported.evals}
        self._seen: set[str] = set()
        self._notes: Counter[tuple[str, str]] = Counter()
        self._file: IO[bytes] | None = None
        self._open = ""

    def __enter__(self) -> _Rows:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        self._imported.left_out += [
            f"{run}: {count} output item{'s' if count > 1 else ''} {what}"
            for (run, what), count in self._notes.items()
        ]

    def add(self, item: dict[str, Any]) -> None:
        """Write one output item, unless it was there before or holds nothing to grade."""
        own_id = str(item.get("id"))
        run = self._found.runs[str(item.get("run_id"))]
        if own_id in self._seen:
            self._notes[run.name, "stood in the export a second time."] += 1
            return
        self._seen.add(own_id)
        hosted = dict(_scores(item.get("results"), self._keys[run.eval_id]))
        for piece in BY_NAME["evals"].pieces(item, 0):
            if isinstance(piece.row, Unreadable):
                self._notes[run.name, f"left out: {piece.row.reason}"] += 1
            else:
                self._write(run, {"id": own_id, **piece.row, "hosted": hosted})

    def _write(self, run: Run, row: dict[str, Any]) -> None:
        text = strict_json.encode(row)
        if not row["sample"]:
            self._notes[run.name, "without an output: only graders of the item can work."] += 1
        if b'"file_id":"' in text:
            self._notes[run.name, "with a file by its id; the file is not in the export."] += 1
        made = self._made(run)
        self._to(made).write(text + b"\n")
        made.rows += 1

    def _made(self, run: Run) -> ImportedRun:
        if run.id not in self._runs:
            own = self._by_eval[run.eval_id]
            name = _file_name(run.name, run.id, self._names[run.eval_id])
            made = ImportedRun(run, own.folder / f"{name}.rows.jsonl")
            own.folder.mkdir(parents=True, exist_ok=True)
            made.path.write_bytes(b"")
            own.runs.append(made)
            self._runs[run.id] = made
        return self._runs[run.id]

    def _to(self, made: ImportedRun) -> IO[bytes]:
        """The run's file: one is open at a time, as there may be more runs than files may be open."""
        if self._file is None or self._open != made.run.id:
            if self._file is not None:
                self._file.close()
            self._file, self._open = made.path.open("ab"), made.run.id
        return self._file


def _result_keys(made: ImportedEval) -> dict[str, str]:
    """From what results call a criterion to its key: its id, its name, its name without the id's end."""
    keys: dict[str, str] = {}
    for criterion in made.criteria:
        for name in (criterion.grader.get("name"), criterion.grader.get("id")):
            if isinstance(name, str):
                keys[name] = criterion.key
    return keys


def _scores(results: Any, keys: dict[str, str]) -> Iterator[tuple[str, float]]:
    for result in results if isinstance(results, list) else ():
        if not isinstance(result, dict):
            continue
        name, score = result.get("name"), result.get("score")
        if isinstance(name, str) and isinstance(score, (int, float)):
            plain = _UUID.sub("", name)
            yield keys.get(name) or keys.get(plain) or plain, float(score)


def _without_rows(found: Survey, imported: Imported) -> Iterator[str]:
    """Sentences about runs and evals that no rows came from."""
    with_rows: Collection[str] = {made.run.id for own in imported.evals for made in own.runs}
    for run in found.runs.values():
        if run.id not in with_rows and not run.items:
            where = f" Its data source was: {run.source}." if run.source else ""
            yield f"{run.name} ({run.id}): the run has no output items in the export.{where}"
    runs_of = Counter(run.eval_id for run in found.runs.values())
    for own in imported.evals:
        if not runs_of[own.eval.id]:
            yield f"{own.eval.name}: the eval has no runs in the export."
