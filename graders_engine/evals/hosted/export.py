"""Read an export of the hosted evals: evals, runs and output items, however they are spread over files.

Output items are those of the API, or lines of the file that the dashboard downloads, which have no `object`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.documents import first_line_is_json
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.lines import BYTE_ORDER_MARK
from graders_engine.dataset.rows.source import Source
from graders_engine.errors import DataSetError
from graders_engine.evals.hosted.documents import documents
from graders_engine.outputs.hosted import is_export

EVAL, RUN, OUTPUT_ITEM = "eval", "eval.run", "eval.run.output_item"
"""Values of the key `object` (API reference: evals)."""
_OBJECTS = (EVAL, RUN, OUTPUT_ITEM)
_INCOMPLETE = (
    "The line is not one of the dashboard's export, which have a text `run_id`, an object `item`, and "
    "`sample` or `grades`."
)
_UNKNOWN = "There is no eval, no run and no output item in it."
_UNKNOWN_BESIDE = "An object in a list of them is no eval, no run and no output item."
_EXTENSIONS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".json.zst", ".jsonl.zst")
_MAX_DEPTH = 8
"""How many lists and objects may be around the objects of an export."""


@dataclass(slots=True)
class ExportedEval:
    """A hosted eval.

    Attributes:
        name: its name; the id if it has no name.
        criteria: its testing criteria, unchanged.
        known: whether the export holds the eval itself, not just references to it.
        downloaded: whether all that is known of it is a run that the dashboard downloaded.
        score_names: of an eval that is not known, for each of its criteria the name of its scores.
    """

    id: str
    name: str
    criteria: list[Any] = field(default_factory=list)
    known: bool = True
    downloaded: bool = False
    score_names: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ExportedRun:
    """A run of an eval.

    Attributes:
        eval_id: of its eval; empty while it is not known.
        name: its name; the id if it has no name.
        source: the type of its data source: `jsonl` with its kind, `completions`, `responses`, …
        items: how many output items of it the export holds.
        total: how many it had when it was exported; None if it does not say.
        scores: the names of their hosted scores, in their order.
    """

    id: str
    eval_id: str
    name: str
    source: str = ""
    items: int = 0
    total: int | None = None
    scores: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Survey:
    """The content of an export, except the output items.

    Attributes:
        evals: by id.
        runs: by id, including the runs of output items for which the export has no object.
        unreadable: sentences about what could not be read.
        lost: how many lines or objects that were.
    """

    evals: dict[str, ExportedEval] = field(default_factory=dict)
    runs: dict[str, ExportedRun] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    lost: int = 0

    def score_names(self, eval_id: str) -> Iterator[str]:
        """The names of the hosted scores of an eval's runs, each once."""
        runs = (run for run in self.runs.values() if run.eval_id == eval_id)
        yield from dict.fromkeys(name for run in runs for name in run.scores)


def files_of(paths: Sequence[Path], exclude: Path) -> list[Path]:
    """The files of an export: the files among `paths`, and the JSON files in the folders among them.

    Args:
        paths: files and folders.
        exclude: a folder to leave out: files written by an earlier import are not an export.

    Raises:
        DataSetError: a path does not exist, or there are no JSON files at all.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DataSetError(f"There is no such file or folder: {path}.")
        if path.is_file():
            files.append(path)
            continue
        excluded = exclude.resolve()
        files += sorted(
            file
            for file in path.rglob("*")
            if file.is_file()
            and file.name.lower().endswith(_EXTENSIONS)
            and excluded not in file.resolve().parents
        )
    if not files:
        raise DataSetError("There is no JSON or JSONL file in these paths.")
    return files


def survey(files: Sequence[Path]) -> Survey:
    """Read the evals and the runs of an export, and count the output items.

    Raises:
        DataSetError: a file cannot be read.
    """
    found = Survey()
    lost: dict[tuple[Path, str], list[int]] = {}
    for file in files:
        for number, value in objects_in(file):
            if isinstance(value, Unreadable):
                counted = lost.setdefault((file, value.reason), [number, 0])
                counted[1] += 1
            elif is_output_item(value):
                _count_item(found, value)
            elif value["object"] == EVAL:
                _add_eval(found, value)
            else:
                _add_run(found, value)
    for (file, reason), (first, count) in lost.items():
        found.lost += count
        more = f" (and {count - 1:,} more like it)" if count > 1 else ""
        found.unreadable.append(f"{file}, line {first}{more}: {reason}")
    for run in found.runs.values():
        if run.eval_id and run.eval_id not in found.evals:
            found.evals[run.eval_id] = ExportedEval(run.eval_id, run.eval_id, known=False)
    return found


def nothing_in(found: Survey) -> str:
    """The sentence about an export without any objects."""
    reason = f" {found.unreadable[0]}" if found.unreadable else ""
    return (
        "There is no eval, no run and no output item in the export: their key `object` has the "
        "value 'eval', 'eval.run' or 'eval.run.output_item', and the lines that the dashboard downloads "
        f"have `run_id`, `data_source_idx`, `item` and `grades`.{reason}"
    )


def _add_eval(found: Survey, value: dict[str, Any]) -> None:
    eval_id = str(value.get("id"))
    criteria = value.get("testing_criteria")
    found.evals[eval_id] = ExportedEval(
        eval_id,
        str(value.get("name") or eval_id),
        criteria if isinstance(criteria, list) else [],
    )


def _add_run(found: Survey, value: dict[str, Any]) -> None:
    run_id = str(value.get("id"))
    data_source = value.get("data_source")
    source = ""
    if isinstance(data_source, dict):
        inner = data_source.get("source")
        kinds = (data_source.get("type"), inner.get("type") if isinstance(inner, dict) else None)
        source = " ".join(dict.fromkeys(kind for kind in kinds if isinstance(kind, str)))
    run = found.runs.setdefault(run_id, ExportedRun(run_id, "", run_id))
    run.eval_id, run.source = str(value.get("eval_id")), source
    run.name = str(value.get("name") or run_id)
    run.total = total_of(value)


def total_of(run: dict[str, Any]) -> int | None:
    """How many output items a run counts; None if it does not say."""
    counts = run.get("result_counts")
    total = counts.get("total") if isinstance(counts, dict) else None
    return total if isinstance(total, int) else None


def _count_item(found: Survey, value: dict[str, Any]) -> None:
    run_id = str(value.get("run_id"))
    run = found.runs.setdefault(run_id, ExportedRun(run_id, "", run_id))
    eval_id = value.get("eval_id")
    if not run.eval_id and (eval_id is not None or not is_downloaded(value)):
        run.eval_id = str(eval_id)
    run.items += 1
    for name, _ in scores_in(value):
        run.scores[name] = None


def is_output_item(value: dict[str, Any]) -> bool:
    """Whether an object of an export is an output item, in either form."""
    return value.get("object") == OUTPUT_ITEM or is_downloaded(value)


def is_downloaded(value: dict[str, Any]) -> bool:
    """Whether an object of an export is a line that the dashboard downloaded."""
    return value.get("object") not in _OBJECTS and is_export(value)


def item_number(item: dict[str, Any]) -> Any:
    """The number of an output item in its data source."""
    return item.get("data_source_idx" if is_downloaded(item) else "datasource_item_id")


def scores_in(item: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, value) of each hosted score of an output item; the value is as it was found."""
    if is_downloaded(item):
        grades = item.get("grades")
        yield from grades.items() if isinstance(grades, dict) else ()
        return
    results = item.get("results")
    for result in results if isinstance(results, list) else ():
        if isinstance(result, dict) and isinstance(result.get("name"), str):
            yield result["name"], result.get("score")


def objects_in(file: Path) -> Iterator[tuple[int, Any]]:
    """(line, eval, run or output item) of a file, wherever they are in its JSON texts; or an `Unreadable`.

    A line of the dashboard without its run or its item is unreadable.

    Raises:
        DataSetError: the file cannot be read.
    """
    for number, value in _json_texts(file):
        if isinstance(value, Unreadable):
            yield number, value
        elif not (found := [*_objects_within(value)]):
            if not _is_empty_page(value):
                yield number, Unreadable(_UNKNOWN)
        else:
            yield from ((number, _readable(one)) for one in found)


def _readable(found: dict[str, Any] | Unreadable) -> dict[str, Any] | Unreadable:
    if isinstance(found, Unreadable) or found.get("object") in _OBJECTS or is_export(found):
        return found
    return Unreadable(_INCOMPLETE)


def _is_page(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.get("object") == "list"
        and isinstance(value.get("data"), list)
    )


def _is_empty_page(value: Any) -> bool:
    return _is_page(value) and not value["data"]


def _objects_within(value: Any, depth: int = 0) -> Iterator[dict[str, Any] | Unreadable]:
    """The objects of the evals API in a value, also within lists, list pages and other objects.

    What stands beside them in a list, or in a list page, and is none of them, is unreadable.
    """
    is_page = _is_page(value)
    if is_page:
        value = value["data"]
    elif isinstance(value, dict) and (
        value.get("object") in _OBJECTS or "data_source_idx" in value
    ):
        yield value
        return
    if depth == _MAX_DEPTH:
        return
    inner = [
        [*_objects_within(part, depth + 1)]
        for part in (value.values() if isinstance(value, dict) else value)
        if isinstance(part, (dict, list)) and not _is_empty_page(part)
    ]
    is_of_objects = is_page or (isinstance(value, list) and any(inner))
    for found in inner:
        yield from found or ([Unreadable(_UNKNOWN_BESIDE)] if is_of_objects else ())


def _json_texts(file: Path) -> Iterator[tuple[int, Any]]:
    source = Source(file)
    head = source.head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if head.startswith(b"[") or first_line_is_json(head):
        form = "json" if head.startswith(b"[") and not first_line_is_json(head) else "jsonl"
        yield from ((ref.line, ref.row) for ref in open_records(file, form).read())
        return
    with source.open() as (stream, _):
        yield from documents(stream)
