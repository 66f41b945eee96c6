"""Write the output items of an export as rows, a file for each run."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from math import isfinite
from typing import IO, Any

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shapes import BY_NAME
from graders_engine.evals.hosted.export import (
    ExportedRun,
    Survey,
    is_downloaded,
    item_number,
    scores_in,
)
from graders_engine.evals.hosted.import_outputs import ImportOutputs
from graders_engine.evals.hosted.imported import ROWS, Criterion, Imported, ImportedRun
from graders_engine.evals.hosted.names import file_name, unique, without_uuid
from graders_engine.files import write_whole
from graders_engine.language import strict_json


class RowWriter:
    """Writes each output item to the file of its run. Used as a `with` block.

    Args:
        found: the survey of the export.
        imported: gets the runs, and at the end sentences about what was left out.
        outputs: where files may be written.
    """

    def __init__(self, found: Survey, imported: Imported, outputs: ImportOutputs) -> None:
        self._found, self._imported, self._outputs = found, imported, outputs
        self._by_eval = {one.eval.id: one for one in imported.evals}
        self._names: dict[str, set[str]] = {one.eval.id: set() for one in imported.evals}
        self._runs: dict[str, ImportedRun] = {}
        self._keys: dict[str, dict[str, str]] = {}
        self._seen_ids: set[str] = set()
        self._seen_rows: dict[bytes, bool] = {}
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._notes: Counter[tuple[str, str]] = Counter()
        self._file: IO[bytes] | None = None
        self._open_run = ""

    def __enter__(self) -> RowWriter:
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
        run = self._found.runs[str(item.get("run_id"))]
        downloaded = is_downloaded(item)
        item_id = "" if downloaded else str(item.get("id"))
        if item_id and item_id in self._seen_ids:
            self._notes[run.name, "repeated in the export."] += 1
            return
        self._seen_ids.add(item_id)
        for ref in BY_NAME["evals"].split(RowRef(0, item)):
            if self._repeated(item, ref.row, downloaded=downloaded):
                self._notes[run.name, "repeated in the export."] += 1
            elif isinstance(ref.row, Unreadable):
                self._notes[run.name, f"left out: {ref.row.reason}"] += 1
            else:
                hosted = dict(self._hosted(run, item))
                row_id = item_id or self._numbered(run, item)
                self._write_row(run, {"id": row_id, **ref.row, "hosted": hosted})

    def _repeated(self, item: dict[str, Any], row: Any, *, downloaded: bool) -> bool:
        """Whether the same row was there before; of rows of the API, only in the dashboard's form.

        Rows of the API have ids, so equal ones among them are not the same.
        """
        content = row.reason if isinstance(row, Unreadable) else row
        identity = [item.get("run_id"), item_number(item), content]
        key = hashlib.blake2b(strict_json.encode(identity), digest_size=16).digest()
        before = self._seen_rows.get(key)
        self._seen_rows[key] = downloaded or bool(before)
        return before is not None and (downloaded or before)

    def _numbered(self, run: ExportedRun, item: dict[str, Any]) -> str:
        """An id of a row that has none: the number of its item."""
        number = str(item_number(item))
        self._numbers[run.id, number] += 1
        times = self._numbers[run.id, number]
        return number if times == 1 else f"{number}-{times}"

    def _hosted(self, run: ExportedRun, item: dict[str, Any]) -> Iterator[tuple[str, float]]:
        """The hosted scores by key; `passed` and `passes` are no scores."""
        if run.id not in self._keys:
            self._keys[run.id] = score_keys(self._by_eval[run.eval_id].criteria, run.scores)
        for name, score in scores_in(item):
            if score is None:  # the criterion failed there
                continue
            number = _finite(score)
            if number is None:
                self._notes[run.name, "with a hosted score that is no number."] += 1
            else:
                yield self._keys[run.id][name], number

    def _write_row(self, run: ExportedRun, row: dict[str, Any]) -> None:
        text = strict_json.encode(row)
        if not row.get("sample"):
            self._notes[run.name, "without an output: only graders of the item can work."] += 1
        elif isinstance(row["sample"], dict) and row["sample"].get("error"):
            self._notes[run.name, "with an error beside the output, which is kept."] += 1
        if b'"file_id":"' in text:
            self._notes[run.name, "with a file id; the file is not in the export."] += 1
        imported = self._imported_run(run)
        self._file_of(imported).write(text + b"\n")
        imported.rows += 1
        imported.scores.update(dict.fromkeys(row["hosted"]))

    def _imported_run(self, run: ExportedRun) -> ImportedRun:
        if run.id not in self._runs:
            imported_eval = self._by_eval[run.eval_id]
            name = file_name(run.name, run.id, self._names[run.eval_id])
            imported = ImportedRun(run, imported_eval.folder / f"{name}{ROWS}")
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


def _finite(score: Any) -> float | None:
    """A score as a number; None for what is none, such as a truth value."""
    if type(score) not in (int, float):
        return None
    try:
        number = float(score)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def score_keys(criteria: Iterable[Criterion], names: Iterable[str]) -> dict[str, str]:
    """By the name that a hosted score has, its key in `hosted`: that of its criterion, if there is one.

    Args:
        criteria: the graders.
        names: the names of the scores; two criteria may have the same name, with a UUID after it.
    """
    keys: dict[str, str] = {}
    free = list(criteria)
    for spell in (str, without_uuid):
        for name in names:
            named = next((one for one in free if spell(name) in one.names), None)
            if name not in keys and named is not None:
                keys[name] = named.key
                free.remove(named)
    taken = {key.casefold() for key in keys.values()} | {one.key.casefold() for one in free}
    for name in names:
        if name not in keys:
            keys[name] = unique(without_uuid(name), "_", taken)
    return keys
