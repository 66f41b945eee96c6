"""The format of a data set, detected from its name and its first bytes."""

from __future__ import annotations

import re
from pathlib import Path

from graders_engine.dataset.rows.documents import (
    first_line_is_json,
    refuse_document,
    refuse_table,
    require_array,
)
from graders_engine.dataset.rows.lines import BYTE_ORDER_MARK, JsonLines
from graders_engine.dataset.rows.records import Records
from graders_engine.dataset.rows.source import Source
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.files import STDIN
from graders_engine.urls import Location, Url, location

FORMS = ("jsonl", "json", "csv", "parquet")
"""One JSON text a line; one JSON array; a table with a header row; Parquet."""
_EXTENSIONS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSED = (".gz", ".zst")
_HTML = re.compile(rb"(<\?xml[^>]*>\s*)?<(!doctype\s+html|html[\s>])", re.IGNORECASE)
"""How an HTML page begins. Read as a table it would have rows."""


def open_records(path: Location | str, form: str | None = None) -> Records:
    """Open a data set.

    Args:
        path: a file; "-" is standard input; or a URL, such as `s3://bucket/rows.jsonl`.
        form: one of `FORMS`; if None, it is detected from the file's extension, or else from the first
            bytes. Compression (gzip, zstd) is always detected from the first bytes; every format but
            Parquet may be compressed.

    Raises:
        InvalidRequest: the format is unknown.
        DataSetError: the data set cannot be read, is an HTML page, or its format cannot be detected.
    """
    wanted = None if form is None else _uncompressed(form)
    if wanted is not None and wanted not in FORMS:
        raise InvalidRequest(f"There is no format '{form}'. There are: {', '.join(FORMS)}.")
    source = Source(location(path))
    _refuse_page(source)
    wanted = wanted or _detect_form(source)
    if wanted == "jsonl":
        refuse_document(source, _form_named(source))
        if form is None:
            refuse_table(source)
        return JsonLines(source)
    if wanted == "json":
        require_array(source)
        from graders_engine.dataset.rows.json_array import JsonArray

        return JsonArray(source)
    if wanted == "csv":
        from graders_engine.dataset.rows.csv_table import CsvTable

        return CsvTable(source)
    from graders_engine.dataset.rows.parquet import ParquetTable

    return ParquetTable(source)


def _refuse_page(source: Source) -> None:
    if not _HTML.match(source.head.removeprefix(BYTE_ORDER_MARK).lstrip()):
        return
    if isinstance(source.path, Url):
        raise DataSetError(
            f"{source.path} is an HTML page, and no rows: a page to log in perhaps, or one that shows the "
            "file in a browser. Name the URL of the file itself."
        )
    raise DataSetError(
        f"{_file_name(source.path)} is an HTML page, and no rows: perhaps a page to log in was downloaded in "
        "place of the file."
    )


def _file_name(path: Location) -> str:
    return "Standard input" if path == STDIN else str(path)


def _uncompressed(form: str) -> str:
    for ending in _COMPRESSED:
        form = form.removesuffix(ending)
    return form


def _form_named(source: Source) -> str:
    """The format that the file's name says it has; empty for none."""
    return _EXTENSIONS.get(Path(_uncompressed(source.path.name.lower())).suffix, "")


def _detect_form(source: Source) -> str:
    head = source.head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if head.startswith(b"PAR1"):
        return "parquet"
    named = _form_named(source)
    if named == "json" and not head.startswith(b"["):
        return "jsonl"
    if named == "jsonl" and head.startswith(b"[") and not first_line_is_json(head):
        return "json"
    if named:
        return named
    if head.startswith(b"["):
        return "json"
    if not head or head.startswith((b"{", b'"')):
        return "jsonl"
    raise DataSetError(_unknown_format(source.path))


def _unknown_format(path: Location) -> str:
    if path.suffix.lower() in (".tsv", ".tab"):
        return f"{path} is named as a table with tabs: save it with commas, as a .csv file."
    return (
        f"The format of {_file_name(path)} cannot be detected from its name or its first bytes. Name that of "
        f"--data with --format ({', '.join(FORMS)}), or give the file one of the endings "
        f"{', '.join(_EXTENSIONS)}."
    )
