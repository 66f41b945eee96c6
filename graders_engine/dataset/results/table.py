"""Results as a Parquet file, made from a results file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from graders_engine.dataset.results.line import ResultLine, results_in
from graders_engine.dataset.rows.source import require_module
from graders_engine.errors import DataSetError
from graders_engine.files import temporary_for

GROUP_ROWS = 20_000
"""Rows of a row group, which are held in memory together."""


def write_table(lines: Path, out: Path, keys: Sequence[str]) -> None:
    """Write a results file as a Parquet file, completely or not at all.

    The columns are the fields of `ResultLine`; `sub_rewards` is a struct with a number for each key.

    Args:
        lines: the results file.
        out: the Parquet file.
        keys: the keys of a multi's graders.

    Raises:
        DataSetError: pyarrow is not installed, or the file cannot be written.
    """
    pyarrow = require_module("pyarrow", "Parquet", out)
    parquet = require_module("pyarrow.parquet", "Parquet", out)
    schema = _schema(pyarrow, keys)
    temporary = temporary_for(out)
    try:
        temporary.unlink(missing_ok=True)  # of a process that was killed
        try:
            with parquet.ParquetWriter(temporary, schema) as writer:
                for rows in _row_groups(lines):
                    writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
            temporary.replace(os.path.realpath(out))
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DataSetError(
            f"{out} cannot be written: {error.strerror or error}. The results are in {lines}."
        ) from None


def _row_groups(lines: Path) -> Iterator[list[dict[str, Any]]]:
    results = (result for _, result in results_in(lines))
    while rows := [_table_row(result) for result in islice(results, GROUP_ROWS)]:
        yield rows


def _table_row(result: ResultLine) -> dict[str, Any]:
    row = msgspec.structs.asdict(result)
    for name in ("usage", "saved"):
        row[name] = {model: msgspec.structs.asdict(used) for model, used in row[name].items()}
    return {name: list(part.items()) if name in _MAPS else part for name, part in row.items()}


_MAPS = ("flags", "usage", "repeats", "labels", "saved")


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
        ]
    )
