"""The rows of a run: a page of them with the numbers of the selection, and the selection as a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from graders_engine.dataset.rows.identity import item_of
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.language import strict_json
from graders_engine.report.row_texts import RowKey, RowText
from graders_engine.view.context import Reply, Request, View
from graders_engine.view.opened import OpenRun
from graders_engine.view.query import Query, parse_query
from graders_engine.view.row import plain_problem, recorded_json
from graders_engine.view.selection import SearchState, Selection
from graders_engine.view.texts import WAIT_S

PIECE_BYTES = 1 << 18
"""An export is sent in pieces of about this length."""
_NUMBER = re.compile(r"(?:row )?#?(\d{1,18})(?:#(\d{1,9}))?", re.IGNORECASE)


def rows_json(view: View, request: Request) -> dict[str, Any]:
    """A page of rows: `GET api/runs/{run}/rows`."""
    run = view.opened(request)
    query = parse_query(request.query)
    selection = run.rows(query)
    indexes = selection.indexes()
    excerpts, texts, problem = _texts(view, run, indexes, query)
    return {
        "keys": run.keys,
        "flags": run.flags,
        "selected_flags": run.columns.flag_counts(selection.order),
        "grouped": run.grouped,
        "all": run.summary_all().as_json(),
        "selection": selection.summary.as_json(),
        "count": selection.count,
        "page": selection.page,
        "pages": selection.pages,
        "per_page": query.per_page,
        "row": _open_row(run, selection, query.row),
        "named": _named(run, query.q),
        "rows": [
            {
                "row": run.name_of(index),
                "id": text.id,
                **recorded_json(run.result(index), run.keys),
                "length": text.sample_chars if text.has_sample else None,
                "excerpt": excerpt,
            }
            for index, text, excerpt in zip(indexes, texts, excerpts, strict=True)
        ],
        "search": None if selection.search is None else _search_json(view, run, selection.search),
        "data_problem": problem,
    }


def export(view: View, request: Request) -> Reply:
    """The selection, a line a row: `GET api/runs/{run}/export`."""
    run = view.opened(request)
    selection = run.rows(parse_query(request.query))
    if selection.search is not None:
        if not selection.search.done:
            raise InvalidRequest("The search has not ended yet: export when it has.")
        if selection.search.problem:
            problem = plain_problem(view, run, selection.search.problem)
            raise DataSetError(f"Not all rows were searched, so they are not exported. {problem}")
    if not run.data_texts.wait(WAIT_S):
        raise InvalidRequest("The data set is still being read: export when it has been.")
    name = f"{run.path.stem}-selection.jsonl"
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Reply(
        _lines(run, selection, request),
        headers={"content-disposition": disposition},
        media_type=b"application/x-ndjson",
    )


def _lines(run: OpenRun, selection: Selection, request: Request) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    has_texts = not run.data_problem  # either all lines have an item and an output, or none
    for index in selection.slice(0, selection.count):
        if request.gone:
            return
        line: dict[str, Any] = msgspec.to_builtins(run.result(index))
        row = run.row(index).row if has_texts else None
        if isinstance(row, dict):
            output = {key: row[key] for key in ("model_sample", "sample") if key in row}
            line |= {
                "item": item_of(row),
                "output": output.get("model_sample", output.get("sample")),
            }
        held.append(strict_json.encode(line) + b"\n")
        size += len(held[-1])
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _texts(
    view: View, run: OpenRun, indexes: list[int], query: Query
) -> tuple[list[dict[str, Any] | None], list[RowText], str]:
    """Excerpts, ids, and why there are none."""
    try:
        texts = run.texts(indexes)
        excerpts: list[dict[str, Any] | None] = [
            excerpt.as_json() for excerpt in run.excerpts(indexes, query)
        ]
    except DataSetError as error:
        problem = plain_problem(view, run, str(error))
        return [None] * len(indexes), [RowText()] * len(indexes), problem
    return excerpts, texts, plain_problem(view, run, run.data_problem)


def _search_json(view: View, run: OpenRun, search: SearchState) -> dict[str, Any]:
    return {**search.as_json(), "problem": plain_problem(view, run, search.problem)}


def _named(run: OpenRun, q: str) -> str | None:
    """The row whose number a search is, as in `12`, `#12`, `row 12` and `12#3`; None if it is none's."""
    match = _NUMBER.fullmatch(q.strip())
    if match is None:
        return None
    try:
        index = run.index_of(RowKey(int(match[1]), int(match[2] or 0)))
    except DataSetError:  # there are several
        return None
    return None if index is None else run.name_of(index)


def _open_row(run: OpenRun, selection: Selection, key: RowKey | None) -> dict[str, Any] | None:
    """The row that is open, and where it stands; None if the run has none such."""
    index = None if key is None else run.index_of(key)
    if index is None:
        return None
    return {"row": run.name_of(index), "index": selection.position(index)}
