"""The items and samples behind some lines of a results file, found again in the data set."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graders_engine.compiled import Unreadable, scope_reader
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.rows.read import open_data
from graders_engine.errors import DataSetError, InvalidRequest, InvalidRow

Place = tuple[int, int]
"""A row's line, and its place among the samples of that line."""


@dataclass(frozen=True, slots=True)
class RowTexts:
    """Texts of rows.

    Attributes:
        texts: by place, the item as JSON and the sample's text.
        why_none: a sentence that says why there are no texts; empty where there are.
    """

    texts: dict[Place, tuple[str, str]] = field(default_factory=dict)
    why_none: str = ""

    def of(self, result: ResultLine) -> tuple[str, str]:
        """The item and the sample of a row; empty where they are not known."""
        return self.texts.get((result.line, result.sample), ("", ""))


def texts_of(
    results: Collection[ResultLine],
    meta: Mapping[str, Any],
    data: Path | None = None,
    most: int = 2000,
) -> RowTexts:
    """Read the data set once for the texts of these rows.

    Args:
        results: the rows.
        meta: what gave them; it says where the data set was, and how its rows were read.
        data: where the data set is, when it was moved.
        most: characters kept of each text.
    """
    if data is None and (data := data_path(meta)) is None:
        return RowTexts(
            why_none="The results do not say where their data set is; name it with --data."
        )
    places = {(result.line, result.sample) for result in results}
    try:
        return RowTexts({place: _texts(row, most) for place, row in find(data, meta, places)})
    except (DataSetError, InvalidRequest) as error:
        return RowTexts(why_none=f"{error} If the data set was moved, name it with --data.")


def data_path(meta: Mapping[str, Any]) -> Path | None:
    """Where a run's data set was; None where nobody knows, or it came from standard input."""
    path = meta.get("data", {}).get("path")
    return None if path in (None, "-") else Path(path)


def find(
    data: Path, meta: Mapping[str, Any], places: Collection[Place]
) -> Iterator[tuple[Place, Any]]:
    """The rows at these places, as `compiled.scope_reader(None)` takes them.

    Raises:
        DataSetError: the data set cannot be read, or is another one than `meta` says.
        InvalidRequest: its rows have no shape that is known.
    """
    given, settings = meta.get("data", {}), meta.get("settings", {})
    outputs = given.get("outputs") or {}
    data_set = open_data(
        data,
        form=given.get("form"),
        shape=None if outputs else settings.get("shape"),
        sample_field=settings.get("sample_field"),
        outputs=outputs.get("path"),
        join_on=given.get("join_on"),
    )
    if any(
        given.get(key, found) != found for key, found in data_set.identity.items() if key in _OWN
    ):
        raise DataSetError(f"{data} is not the data set of these results: its bytes are others.")
    lines = {line for line, _ in places}
    last = max(lines, default=0)
    for raw in data_set.records.read():
        if raw.line in lines:
            for ref in data_set.shape.split(raw):
                if (ref.line, ref.sample) in places:
                    yield (ref.line, ref.sample), ref.row
        if raw.line >= last:
            return


_OWN = ("size", "head")
"""What a data set is known by, wherever it is."""


def _texts(row: Any, most: int) -> tuple[str, str]:
    if isinstance(row, Unreadable):
        return "", ""
    try:
        scope = scope_reader(None)(row)
    except InvalidRow:
        return readable(row)[:most], ""
    text = scope.output_text
    if not text and (calls := scope.sample_value("output_tools")):
        text = readable(calls)
    return readable(scope.item)[:most], text[:most]


def readable(value: Any, margin: str = "") -> str:
    """A JSON value for people: a line for each key, texts as they are."""
    if isinstance(value, str):
        return value.replace("\n", f"\n{margin}")
    if isinstance(value, dict) and value:
        named = ((str(key), part) for key, part in value.items())
    elif isinstance(value, list) and value:
        named = (("-", part) for part in value)
    else:
        return json.dumps(value, ensure_ascii=False, default=repr)
    return f"\n{margin}".join(_entry(name, part, f"{margin}  ") for name, part in named)


def _entry(name: str, value: Any, margin: str) -> str:
    text = readable(value, margin)
    head = name if name == "-" else f"{name}:"
    below = "\n" in text and not (name == "-" and isinstance(value, dict))
    return f"{head}\n{margin}{text}" if below else f"{head} {text}"
