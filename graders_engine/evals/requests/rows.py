"""The rows of a run, checked against the schema of the eval's items."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from graders_engine.body_fields import InvalidBody
from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.formats import open_records
from graders_engine.errors import DataSetError, Mistake
from graders_engine.evals.requests.item_check import ItemCheck, TooSlow
from graders_engine.evals.requests.item_schema import ItemSchema
from graders_engine.graders import mistakes
from graders_engine.language import strict_json

MAX_REPORTED = 20
"""Mistakes in rows that are collected: a wrong schema has one in each row."""
CONTENT, FILE = "data_source.source.content", "data_source.source.id"


def check_content(rows: Sequence[Any], schema: ItemSchema) -> Iterator[bytes]:
    """The rows of a request as lines of JSON.

    Args:
        rows: JSON values, or their texts.
        schema: of an item.

    Raises:
        InvalidBody: with the mistakes of all rows; at the end, when every line was given.
    """
    with ItemCheck(schema) as check:
        yield from _checked(rows, check)


def _checked(rows: Sequence[Any], check: ItemCheck) -> Iterator[bytes]:
    found: list[Mistake] = []
    for position, row in enumerate(rows):
        path = f"{CONTENT}[{position}]"
        try:
            value = strict_json.decode(bytes(row)) if isinstance(row, msgspec.Raw) else row
            line = strict_json.encode(value)
        except ValueError as error:
            found.append(mistakes.invalid(path, f"it cannot be read as JSON: {error}."))
            continue
        if len(found) < MAX_REPORTED:
            found += _mistakes_or_refuse(value, path, check, CONTENT)
        yield line + b"\n"
    _refuse(found)


def check_file(path: Path, file_id: str, schema: ItemSchema) -> int:
    """Check the lines of a file; how many rows it has.

    Raises:
        InvalidBody: with the mistakes of the first lines that have any.
    """
    with ItemCheck(schema) as check:
        return _check_lines(path, file_id, check)


def _check_lines(path: Path, file_id: str, check: ItemCheck) -> int:
    found: list[Mistake] = []
    count = 0
    try:
        for ref in open_records(path, "jsonl").read():
            count += 1
            if isinstance(ref.row, Unreadable):
                found.append(
                    mistakes.invalid(FILE, f"line {ref.line} of '{file_id}': {ref.row.reason}")
                )
            else:
                about = f"line {ref.line} of '{file_id}'"
                found_here = _mistakes_or_refuse(ref.row, "", check, FILE)
                found += [_in_file(one, about) for one in found_here]
            if len(found) >= MAX_REPORTED:
                break
    except DataSetError as error:
        reason = str(error).replace(str(path), file_id)  # not where it is kept
        found.append(mistakes.invalid(FILE, f"'{file_id}' cannot be read: {reason}"))
    if not count and not found:
        found.append(mistakes.invalid(FILE, f"'{file_id}' has no rows."))
    _refuse(found)
    return count


def _refuse(found: Iterable[Mistake]) -> None:
    mistakes_found = list(found)
    if mistakes_found:
        raise InvalidBody(mistakes_found[:MAX_REPORTED])


def _in_file(mistake: Mistake, about: str) -> Mistake:
    return dataclasses.replace(
        mistake, message=f"Invalid '{FILE}': {about}: {mistake.message}", param=FILE
    )


def _mistakes_or_refuse(row: Any, path: str, check: ItemCheck, where: str) -> list[Mistake]:
    try:
        return _row_mistakes(row, path, check)
    except TooSlow as error:
        raise InvalidBody([mistakes.invalid(where, str(error))]) from None


def _row_mistakes(row: Any, path: str, check: ItemCheck) -> list[Mistake]:
    """The mistakes of one row; usually none."""
    if isinstance(row, dict):
        item, sample = row.get("item"), row.get("sample")
        if isinstance(item, dict) and (sample is None or isinstance(sample, dict)):
            where = _joined(path, "item")
            return [
                mistakes.invalid(f"{where}{inner}", f"{reason} (item_schema).")
                for inner, reason in check.faults(item)
            ]
        return [*_wrong_part(row, "item", path), *_wrong_part(row, "sample", path)]
    return [mistakes.invalid_type(path or "row", "an object", row)]


def _wrong_part(row: dict[str, Any], key: str, path: str) -> Iterator[Mistake]:
    value, where = row.get(key), _joined(path, key)
    if value is None and key == "item":
        yield mistakes.missing(where)
    elif value is not None and not isinstance(value, dict):
        yield mistakes.invalid_type(where, "an object", value)


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
