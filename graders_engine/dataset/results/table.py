"""Results as a table, Parquet or CSV, made from a results file."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from graders_engine.dataset.results.line import TABLES, ResultLine, results_in
from graders_engine.dataset.rows.source import require_module
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.files import temporary_for

GROUP_ROWS = 20_000
"""Rows of a row group, which are held in memory together."""
_LINES = (".jsonl", ".ndjson")
_HINTS = {
    ".json": " A .json file is one value, and results are one a line: use .jsonl.",
    ".gz": " Compress the file when the run is done.",
    ".zst": " Compress the file when the run is done.",
    ".tsv": " Use .csv.",
    ".xlsx": " Use .csv, which spreadsheets read.",
    ".pq": " Use .parquet.",
    ".html": " `graders report` makes a page of the results.",
}


def require_table_support(out: Path) -> None:
    """Check that results can be written in the format that a name asks for, before any are there.

    Raises:
        InvalidRequest: there is no such format.
        DataSetError: a package for it is not installed.
    """
    ending = out.suffix.lower()
    if ending == ".parquet":
        _pyarrow(out)
    elif re.fullmatch(r"\.[a-z]+[0-9]*", ending) and ending not in (*_LINES, *TABLES):
        hint = _HINTS.get(ending, "")
        raise InvalidRequest(
            f"{out}: results are .jsonl, .csv or .parquet, by their name's ending, and '{ending}' is none "
            f"of these.{hint}"
        )


def write_table(lines: Path, out: Path, keys: Sequence[str]) -> None:
    """Write a results file as a Parquet or CSV file, completely or not at all.

    The columns are the fields of `ResultLine`. In Parquet `sub_rewards` is a struct with a number for each
    key; in CSV there is a column for each, `sub_rewards.KEY`, other objects are JSON, and null is empty.

    Args:
        lines: the results file.
        out: the table.
        keys: the keys of a multi's graders.

    Raises:
        DataSetError: pyarrow is not installed, or the file cannot be written.
    """
    write = _write_csv if out.suffix.lower() == ".csv" else _write_parquet
    temporary = temporary_for(out)
    try:
        temporary.unlink(missing_ok=True)  # of a process that was killed
        try:
            write(lines, temporary, keys)
            temporary.replace(os.path.realpath(out))
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DataSetError(
            f"{out} cannot be written: {error.strerror or error}. The results are in {lines}."
        ) from None


def _write_csv(lines: Path, temporary: Path, keys: Sequence[str]) -> None:
    columns = [name for name in ResultLine.__struct_fields__ if name != "sub_rewards"]
    at, sample = columns.index("flags"), columns.index("sample")
    with temporary.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file:
        table = csv.writer(file)
        table.writerow([*columns[:at], *(f"sub_rewards.{key}" for key in keys), *columns[at:]])
        for _, result in results_in(lines):
            row = [_csv_cell(getattr(result, name)) for name in columns]
            row[sample] = result.sample or ""
            row[at:at] = [_csv_cell(result.sub_rewards.get(key)) for key in keys]
            table.writerow(row)


def _csv_cell(value: Any) -> Any:
    """A cell; null and an empty object are empty."""
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode() if value else ""
    return "" if value is None else value


def _write_parquet(lines: Path, temporary: Path, keys: Sequence[str]) -> None:
    pyarrow, parquet = _pyarrow(temporary)
    schema = _schema(pyarrow, keys)
    with parquet.ParquetWriter(temporary, schema) as writer:
        for rows in _row_groups(lines):
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))


def _pyarrow(out: Path) -> tuple[Any, Any]:
    return (
        require_module("pyarrow", "Parquet", out, "write"),
        require_module("pyarrow.parquet", "Parquet", out, "write"),
    )


def _row_groups(lines: Path) -> Iterator[list[dict[str, Any]]]:
    results = (result for _, result in results_in(lines))
    while rows := [_table_row(result) for result in islice(results, GROUP_ROWS)]:
        yield rows


def _table_row(result: ResultLine) -> dict[str, Any]:
    row = msgspec.structs.asdict(result)
    for name in ("usage", "saved"):
        row[name] = {model: msgspec.structs.asdict(used) for model, used in row[name].items()}
    return {name: list(part.items()) if name in _MAPS else part for name, part in row.items()}


_MAPS = ("flags", "usage", "repeats", "labels", "saved", "clamped", "left_out", "blames")


def _schema(pyarrow: Any, keys: Sequence[str]) -> Any:
    text, number, count = pyarrow.string(), pyarrow.float64(), pyarrow.int64()
    tokens = ("prompt_tokens", "total_tokens", "completion_tokens", "cached_tokens")
    usage = pyarrow.map_(text, pyarrow.struct([(name, count) for name in tokens]))
    sub_rewards = pyarrow.struct([(key, number) for key in keys])
    return pyarrow.schema(
        [
            ("line", count),
            ("reward", number),
            ("status", pyarrow.dictionary(pyarrow.int8(), text)),
            # Parquet has no struct without fields: the table of a single grader lacks the column.
            *([("sub_rewards", sub_rewards)] if keys else []),
            ("flags", pyarrow.map_(text, text)),
            ("seconds", number),
            ("blame", pyarrow.dictionary(pyarrow.int8(), text)),
            ("served", number),
            ("sample", count),
            ("group", text),
            ("usage", usage),
            ("repeats", pyarrow.map_(text, pyarrow.list_(number))),
            ("labels", pyarrow.map_(text, pyarrow.list_(text))),
            ("saved", usage),
            ("clamped", pyarrow.map_(text, number)),
            ("left_out", pyarrow.map_(text, pyarrow.list_(text))),
            ("blames", pyarrow.map_(text, text)),
        ]
    )
