"""Files that hold rows in another way than one JSON text a line, or one array: what to say of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from typing import Any

from graders_engine.dataset.rows.lines import BYTE_ORDER_MARK
from graders_engine.dataset.rows.source import DAMAGE, Source
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.language import strict_json
from graders_engine.outputs.several import SAMPLES_IN
from graders_engine.urls import Location

_MAX_BYTES = 64 << 20
"""Of a larger file, it is not looked for the key that holds the rows."""
_SHOWN_NAMES = 4
_ASKED = frozenset(("input", "target"))
"""Keys of a row of a log, which an output has not."""
_HOLDING_ROWS = (
    "data", "results", "rows", "items", "records", "examples", "samples", "entries", "instances", "dataset",
    "train", "test", "test_results", "testResults", "evalResults",
)  # fmt: skip
"""Keys under which documents keep their rows."""


def first_line_is_json(head: bytes) -> bool:
    """Whether the lines are JSON texts, judged by the first line; True if `head` does not hold all of it."""
    line, newline, _ = head.partition(b"\n")
    return _is_json(line) or not newline


def refuse_document(source: Source, named: str) -> None:
    """Check that a file of lines is not one document, or several on several lines each.

    Args:
        source: the file.
        named: the format that its name says it has.

    Raises:
        DataSetError: it is, by its first bytes; or its name ends in .json, and they are no line of JSON.
    """
    head = source.head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if not head.startswith(b"{") or first_line_is_json(head):
        return
    path = source.path
    first = head.partition(b"\n")[0].strip()
    if first.endswith(b",") and _is_json(first[:-1]):
        raise DataSetError(
            f"The lines of {path} end in commas, which JSONL does not have: remove them, as by "
            f"sed 's/,[[:space:]]*$//' {path.name} > rows.jsonl"
        )
    if first == b"{" or _begins_with_object(head):
        if within := rows_within([_document(source)]):
            raise DataSetError(wrapped(path, within))
        raise DataSetError(
            f"Objects of {path} stand on several lines each: write one row a line, as by "
            f"jq -c . {path.name} > rows.jsonl"
        )
    if named == "json":
        raise DataSetError(
            f"{path} is neither a JSON array nor JSONL: the rows must be the objects of one JSON array, "
            "or there must be one on each line."
        )


def refuse_table(source: Source) -> None:
    """Check that a file that is named as JSONL is not a CSV table.

    Raises:
        DataSetError: by its first two lines, it is.
    """
    text = source.head.removeprefix(BYTE_ORDER_MARK).decode(errors="replace")
    lines = [line.strip() for line in text.split("\n")[:-1] if line.strip()][:2]
    if len(lines) < 2 or any(line[0] in '{["' or _is_json(line.encode()) for line in lines):
        return
    try:
        records = list(csv.reader(lines))
    except csv.Error:
        return
    header = records[0]
    if len(records) == 2 and len(header) == len(records[1]) > 1 and all(header):
        more = ["…"] if len(header) > _SHOWN_NAMES else []
        names = ", ".join([*(name[:40] for name in header[:_SHOWN_NAMES]), *more])
        raise DataSetError(
            f"{source.path} is no JSONL: it looks like a CSV table with the header {names}: "
            "name it .csv, or pass --format csv to `score` and `validate`."
        )


def require_array(source: Source) -> None:
    """Check that a file that is to be read as JSON begins as an array does.

    Raises:
        DataSetError: it does not.
    """
    head = source.head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if head and not head.startswith(b"["):
        raise DataSetError(
            f"{source.path} is no JSON array: it does not begin with [. For rows that stand on a line each, "
            "the format is jsonl."
        )


def rows_within(raw_rows: Sequence[Any]) -> str:
    """The path at which a single row that is a whole document has rows, such as `data`; empty without one."""
    document = raw_rows[0] if len(raw_rows) == 1 else None
    if not isinstance(document, Mapping):
        return ""
    for key in _HOLDING_ROWS:
        value = document.get(key)
        if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            return key
        if isinstance(value, Mapping) and (inner := rows_within([value])):
            return f"{key}.{inner}"
    return ""


def wrapped(path: Location, within: str) -> str:
    """What to say of a document that has rows at a path."""
    return (
        f"{path} is one object, with rows under `{within}`: write them one a line, as by "
        f"jq -c '.{within}[]' {path.name} > rows.jsonl"
    )


def require_rows(raw_rows: Sequence[Any], path: Location, field: str | None = None) -> None:
    """Check that the data is no table written by columns, no log of an evaluation, no array on one line.

    Args:
        raw_rows: the first rows; only where there is a single one can it be something else.
        path: of the data.
        field: the field with the output, if it is named.

    Raises:
        InvalidRequest: it is.
    """
    only = raw_rows[0] if len(raw_rows) == 1 else None
    if isinstance(only, list) and any(isinstance(one, Mapping) for one in only):
        raise InvalidRequest(f"{path} is a JSON array on one line: pass --format json.")
    if isinstance(only, Mapping) and field is None and _is_log(only):
        raise InvalidRequest(wrapped(path, "samples"))
    if isinstance(only, Mapping) and len(only) > 1 and not {field, *SAMPLES_IN}.isdisjoint(only):
        lengths = {len(value) if isinstance(value, list) else -1 for value in only.values()}
        if len(lengths) == 1 and lengths.isdisjoint({-1, 0}):
            raise InvalidRequest(
                f"{path} has one row, with {lengths.pop()} values under each of {', '.join(map(str, only))}: "
                "a table by columns. Write one row a line, as pandas does with "
                'to_json(FILE, orient="records", lines=True). A single row with so many samples is '
                '{"item": {…}, "samples": […]}.'
            )


def _is_log(only: Mapping[str, Any]) -> bool:
    """Whether a row is a log as Inspect AI writes it: its samples are rows, each with what was asked."""
    samples = only.get("samples")
    return (
        isinstance(samples, list)
        and bool(samples)
        and all(
            isinstance(one, Mapping) and "output" in one and not _ASKED.isdisjoint(one)
            for one in samples
        )
    )


def _is_json(text: bytes) -> bool:
    try:
        strict_json.decode(text)
    except ValueError:
        return False
    return True


def _document(source: Source) -> Any:
    """The file as a single JSON text; None if it is none, or large, or can be read once only."""
    if not source.reopened or (source.size or 0) > _MAX_BYTES:
        return None
    try:
        with source.open() as (stream, _):
            return strict_json.decode(stream.read(_MAX_BYTES).removeprefix(BYTE_ORDER_MARK))
    except (ValueError, *DAMAGE):
        return None


def _begins_with_object(head: bytes) -> bool:
    """Whether the first bytes begin with a whole object, on several lines."""
    try:
        text = head.decode(errors="ignore")
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and "\n" in text[:end]
