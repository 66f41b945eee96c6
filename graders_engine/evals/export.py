"""What an export of the hosted evals holds: evals, runs and output items, in files of any arrangement."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.formats import first_line_is_json, open_records
from graders_engine.dataset.rows.lines import BYTE_ORDER_MARK, why_not_json
from graders_engine.dataset.rows.source import Source
from graders_engine.errors import DataSetError

EVAL, RUN, OUTPUT_ITEM = "eval", "eval.run", "eval.run.output_item"
"""What the key `object` says (API reference: evals)."""
_ENDINGS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".json.zst", ".jsonl.zst")
_MAX_DEPTH = 8
"""Levels of wrapping around the objects of an export."""
_BLANKS = re.compile(r"\s*")


@dataclass(slots=True)
class Eval:
    """A hosted eval.

    Attributes:
        id: its id.
        name: its name; the id where it has none.
        criteria: its testing criteria, as they are.
        known: whether the export holds the eval itself, and not just what refers to it.
    """

    id: str
    name: str
    criteria: list[Any] = field(default_factory=list)
    known: bool = True


@dataclass(slots=True)
class Run:
    """A run of an eval.

    Attributes:
        id: its id.
        eval_id: of its eval.
        name: its name; the id where it has none.
        source: the type of its data source: `jsonl` with its kind, `completions`, `responses`, …
        items: its output items in the export.
    """

    id: str
    eval_id: str
    name: str
    source: str = ""
    items: int = 0


@dataclass(slots=True)
class Survey:
    """What is in an export, but for the output items.

    Attributes:
        evals: by id.
        runs: by id; an output item's run is there even when the export has no object for it.
        unreadable: sentences about what could not be read.
    """

    evals: dict[str, Eval] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


def files_of(paths: Sequence[Path], but_in: Path) -> list[Path]:
    """The files of an export: those named, and the JSON files in folders that are.

    Args:
        paths: files and folders.
        but_in: a folder that is left out: what an earlier import wrote is no export.

    Raises:
        DataSetError: one does not exist, or there is no JSON file at all.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DataSetError(f"There is no such file or folder: {path}.")
        if path.is_file():
            files.append(path)
            continue
        own = but_in.resolve()
        files += sorted(
            file
            for file in path.rglob("*")
            if file.is_file()
            and file.name.lower().endswith(_ENDINGS)
            and own not in file.resolve().parents
        )
    if not files:
        raise DataSetError("There is no JSON or JSONL file in what was named.")
    return files


def survey(files: Sequence[Path]) -> Survey:
    """Read the evals and the runs of an export, and count the output items.

    Raises:
        DataSetError: a file cannot be read.
    """
    found = Survey()
    for file in files:
        for number, value in objects_in(file):
            if isinstance(value, Unreadable):
                found.unreadable.append(f"{file}, line {number}: {value.reason}")
            elif value["object"] == EVAL:
                _add_eval(found, value)
            elif value["object"] == RUN:
                _add_run(found, value)
            else:
                _count_item(found, value)
    for run in found.runs.values():
        if run.eval_id not in found.evals:
            found.evals[run.eval_id] = Eval(run.eval_id, run.eval_id, known=False)
    return found


def _add_eval(found: Survey, value: dict[str, Any]) -> None:
    own_id = str(value.get("id"))
    criteria = value.get("testing_criteria")
    found.evals[own_id] = Eval(
        own_id,
        str(value.get("name") or own_id),
        criteria if isinstance(criteria, list) else [],
    )


def _add_run(found: Survey, value: dict[str, Any]) -> None:
    own_id = str(value.get("id"))
    data_source = value.get("data_source")
    source = ""
    if isinstance(data_source, dict):
        inner = data_source.get("source")
        kinds = (data_source.get("type"), inner.get("type") if isinstance(inner, dict) else None)
        source = " ".join(dict.fromkeys(kind for kind in kinds if isinstance(kind, str)))
    items = found.runs[own_id].items if own_id in found.runs else 0
    name = str(value.get("name") or own_id)
    found.runs[own_id] = Run(own_id, str(value.get("eval_id")), name, source, items)


def _count_item(found: Survey, value: dict[str, Any]) -> None:
    run_id = str(value.get("run_id"))
    run = found.runs.setdefault(run_id, Run(run_id, str(value.get("eval_id")), run_id))
    run.items += 1


def objects_in(file: Path) -> Iterator[tuple[int, Any]]:
    """(line, eval, run or output item) of a file, wherever in its JSON texts they stand; or an `Unreadable`.

    Raises:
        DataSetError: the file cannot be read.
    """
    for number, value in _texts(file):
        if isinstance(value, Unreadable):
            yield number, value
        else:
            for known in _known(value):
                yield number, known


def _known(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The objects of the evals API in a value, also within lists, list pages and wrappers of any make."""
    if isinstance(value, dict):
        if value.get("object") in (EVAL, RUN, OUTPUT_ITEM):
            yield value
            return
        value = list(value.values())
    if isinstance(value, list) and depth < _MAX_DEPTH:
        for part in value:
            if isinstance(part, (dict, list)):
                yield from _known(part, depth + 1)


def _texts(file: Path) -> Iterator[tuple[int, Any]]:
    source = Source(file)
    head = source.head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if head.startswith(b"[") or first_line_is_json(head):
        form = "json" if head.startswith(b"[") and not first_line_is_json(head) else "jsonl"
        yield from ((number, value) for number, _, value in open_records(file, form).read())
        return
    with source.open() as (stream, _):
        content = stream.read().removeprefix(BYTE_ORDER_MARK)
    yield from _documents(content)


def _documents(content: bytes) -> Iterator[tuple[int, Any]]:
    """JSON texts one after the other, each over several lines; what follows a broken one cannot be found."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        yield content.count(b"\n", 0, error.start) + 1, Unreadable(why_not_json(error, "text"))
        return
    decoder = json.JSONDecoder()
    at = _BLANKS.match(text).end()  # type: ignore[union-attr] # it matches nothing, too
    while at < len(text):
        number = text.count("\n", 0, at) + 1
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            yield number, Unreadable(f"The text is not JSON: {error}.")
            return
        except RecursionError:
            yield number, Unreadable("The text is not JSON: it nests too deep.")
            return
        yield number, value
        at = _BLANKS.match(text, end).end()  # type: ignore[union-attr] # it matches nothing, too
