"""Which form a data set has, by its name and its first bytes."""

from __future__ import annotations

from pathlib import Path

from graders_engine.dataset.rows.lines import BYTE_ORDER_MARK, JsonLines
from graders_engine.dataset.rows.records import Records
from graders_engine.dataset.rows.source import Source
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.language import strict_json

FORMS = ("jsonl", "json", "csv", "parquet")
"""What a data set may be: one JSON text a line, one JSON array, a table with a header row, Parquet."""
_ENDINGS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_PACKED = (".gz", ".zst")


def open_records(path: Path | str, form: str | None = None) -> Records:
    """Open a data set.

    Args:
        path: a file; "-" is standard input.
        form: one of `FORMS`; found by the name's ending, or else by the first bytes, when left out.
            Compression (gzip, zstd) is always found by the first bytes; all but Parquet may have it.

    Raises:
        InvalidRequest: there is no such form.
        DataSetError: the data set cannot be read, or its form cannot be told.
    """
    wanted = None if form is None else _plain(form)
    if wanted is not None and wanted not in FORMS:
        raise InvalidRequest(f"There is no form '{form}'. There are: {', '.join(FORMS)}.")
    source = Source(Path(path))
    wanted = wanted or _form_of(source)
    if wanted == "jsonl":
        return JsonLines(source)
    if wanted == "json":
        from graders_engine.dataset.rows.json_array import JsonArray

        return JsonArray(source)
    if wanted == "csv":
        from graders_engine.dataset.rows.csv_table import CsvTable

        return CsvTable(source)
    from graders_engine.dataset.rows.parquet import ParquetTable

    return ParquetTable(source)


def _plain(form: str) -> str:
    for ending in _PACKED:
        form = form.removesuffix(ending)
    return form


def _form_of(source: Source) -> str:
    head = source.head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if head.startswith(b"PAR1"):
        return "parquet"
    named = _ENDINGS.get(Path(_plain(source.path.name.lower())).suffix)
    if named == "json" and not head.startswith(b"["):
        _refuse_document(source.path, head)
        return "jsonl"
    if named == "jsonl" and head.startswith(b"[") and not first_line_is_json(head):
        return "json"
    if named is not None:
        return named
    if head.startswith(b"["):
        return "json"
    if not head or head.startswith((b"{", b'"')):
        return "jsonl"
    raise DataSetError(
        f"Neither the name nor the first bytes of {source.path} ('-' is standard input) tell which "
        f"form of data it is: name it, one of {', '.join(FORMS)}."
    )


def first_line_is_json(head: bytes) -> bool:
    """Whether lines are JSON texts, as far as the first bytes tell: the first line is, or is longer."""
    line, newline, _ = head.partition(b"\n")
    try:
        strict_json.decode(line)
    except ValueError:
        return not newline  # longer than what was looked at
    return True


def _refuse_document(path: Path, head: bytes) -> None:
    if head.startswith(b"{") and not first_line_is_json(head):
        raise DataSetError(
            f"{path} is neither an array nor one object a line: its rows must be the objects of one "
            "JSON array, or stand one on each line."
        )
