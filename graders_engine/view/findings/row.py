"""One line of a file that preflight has read: its texts, and what the report says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.lines import rows_of
from graders_engine.errors import InvalidRequest, Mistake
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.report.stored_preflight import StoredReport
from graders_engine.server.responses import ClientGone, Refused
from graders_engine.view.context import Request, View
from graders_engine.view.findings.files import named_file, report_at
from graders_engine.view.shown_values import MAX_CHARS, as_text, cut, fields_of

MAX_MESSAGES = 200
"""Messages of a prompt that are listed."""
_LINE = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)
_BLOCK = 1 << 20
_LOOK_EVERY = 4096
"""After so many lines it is looked at whether somebody still waits."""


def row_answer(view: View, request: Request) -> dict[str, Any]:
    """`GET api/preflight/row?report=…&file=…&line=…`."""
    source, asked = view.source(request), request.parameters
    report, name, line = (
        asked.get("report", ""),
        asked.get("file", ""),
        _line(asked.get("line", "")),
    )
    stored = report_at(source.report(report))
    if name not in stored.inputs or not stored.inputs[name].has_lines:
        raise Refused(404, Mistake("The report has no such file of rows.", "file", "not_found"))
    file = named_file(source, report, stored, name)
    runs = source.runs_over(file.path) if file.path is not None and file.is_same else []
    return {
        "report": report,
        "file": Path(name).name,
        "line": line,
        "problem": file.problem,
        **({} if file.path is None else _texts(file.path, line, request)),
        "findings": [
            {"id": one.id, "severity": one.severity, "message": source.plain(one.message)}
            for one in stored.counted
            if any((at.file, at.line) == (name, line) for at in one.where)
        ],
        **_beside(stored, name, line),
        "runs": runs[:5],
    }


def _line(text: str) -> int:
    if not _LINE.fullmatch(text):
        raise InvalidRequest("`line` is the number of a line, from 1.")
    return int(text)


def _beside(stored: StoredReport, name: str, line: int) -> dict[str, int | None]:
    """The lines of the same file that findings name, before and after one of them."""
    lines = {at.line for one in stored.counted for at in one.where if at.file == name and at.line}
    return {
        "previous": max((other for other in lines if other < line), default=None),
        "next": min((other for other in lines if other > line), default=None),
    }


def _texts(path: Path, line: int, request: Request) -> dict[str, Any]:
    """The texts of a row: its messages apart, where all of them are texts.

    Raises:
        Refused: there is no such line.
        DataSetError: the file cannot be read.
    """
    row, raw = _row_at(path, line, request)
    if isinstance(row, Unreadable):
        unread = f"This line is no row: {row.reason}"
        return {"unread": unread, "raw": None if raw is None else cut(raw)}
    messages = _messages(line, row)
    fields = [
        {"name": name, "kind": "text" if isinstance(value, str) else "json", **cut(as_text(value))}
        for name, value in fields_of(row)
        if not (messages and name == "messages")
    ]
    return {"messages": messages, "fields": fields}


def _messages(line: int, row: Any) -> list[dict[str, Any]]:
    """The messages of a prompt; empty if it has none, or one that is no text."""
    if not isinstance(row, Mapping) or "messages" not in row:
        return []
    texts = TrainingRow(line, row).texts
    is_whole = len(texts) == len(row["messages"]) and all(text for _, text in texts)
    if not is_whole or len(texts) > MAX_MESSAGES:
        return []
    return [{"role": role[:40], "text": text[:MAX_CHARS]} for role, text in texts]


def _row_at(path: Path, line: int, request: Request) -> tuple[Any, str | None]:
    """A row, and the text of its line where the file has lines.

    Raises:
        Refused: there is no such line.
        ClientGone: nobody waits for it any more.
    """
    records = open_records(path)
    if records.splittable:
        return _line_at(path, line, request)
    for count, ref in enumerate(records.read()):
        _look(request, count)
        if ref.line == line:
            return ref.row, None
        if ref.line > line:
            break
    raise _no_line(line)


def _line_at(path: Path, line: int, request: Request) -> tuple[Any, str]:
    """The same of plain JSONL, without reading the rows before it."""
    with path.open("rb") as file:
        number = 1
        for part in iter(partial(file.readline, _BLOCK), b"") if line > 1 else ():
            _look(request, number)
            number += part.endswith(b"\n")
            if number == line:
                break
        start = file.tell()
        ref = next(rows_of(file, lines_before=line - 1, at=start, lines=1), None)
        if number < line or ref is None:
            raise _no_line(line)
        file.seek(start)
        return ref.row, file.readline(_BLOCK).decode("utf-8", "replace").rstrip("\n")


def _look(request: Request, count: int) -> None:
    if count % _LOOK_EVERY == 0 and request.gone:
        raise ClientGone


def _no_line(line: int) -> Refused:
    message = f"The file has no line {line}, or it is empty."
    return Refused(404, Mistake(message, "line", "not_found"))
