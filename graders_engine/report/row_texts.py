"""The items and samples of some rows of a results file, read from the data set."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from graders_engine.compiled import Unreadable, scope_reader
from graders_engine.dataset.results.data import data_path, open_data_of
from graders_engine.dataset.results.line import ResultLine
from graders_engine.errors import DataSetError, InvalidRequest, InvalidRow


class RowKey(NamedTuple):
    """What identifies a row: its line, and its number among the line's samples, or 0 without a list."""

    line: int
    sample: int


def keys_of(line: int, sample: int = 1) -> list[RowKey]:
    """The keys that the n-th sample of a line may have: the first may be the only one, without a list."""
    return [RowKey(line, sample), *([RowKey(line, 0)] if sample == 1 else [])]


@dataclass(frozen=True, slots=True)
class RowTexts:
    """The texts of some rows.

    Attributes:
        texts: the item, as readable text, and the sample's text of each row.
        why_none: a sentence that says why the texts are missing; empty if they are not.
    """

    texts: dict[RowKey, tuple[str, str]] = field(default_factory=dict)
    why_none: str = ""

    def of(self, result: ResultLine) -> tuple[str, str]:
        """The item and the sample of a row; empty if they are not known."""
        return self.texts.get(RowKey(result.line, result.sample), ("", ""))


def texts_of(
    results: Collection[ResultLine],
    meta: Mapping[str, Any],
    data: Path | None = None,
    max_chars: int = 2000,
) -> RowTexts:
    """Read the texts of these rows in one pass over the data set.

    Args:
        results: the rows.
        meta: what produced them; it says where the data set was and how its rows were read.
        data: where the data set is now, if it was moved.
        max_chars: characters kept of each text.
    """
    if data is None and (data := data_path(meta)) is None:
        return RowTexts(
            why_none="The results do not say where their data set is; pass its path with --data."
        )
    keys = {RowKey(result.line, result.sample) for result in results}
    try:
        rows = find_rows(data, meta, keys)
        return RowTexts({key: _texts(row, max_chars) for key, row in rows})
    except (DataSetError, InvalidRequest) as error:
        return RowTexts(why_none=f"{error} If the data set was moved, pass its path with --data.")


def find_rows(
    data: Path, meta: Mapping[str, Any], keys: Collection[RowKey]
) -> Iterator[tuple[RowKey, Any]]:
    """The rows with these keys, as `compiled.scope_reader(None)` takes them.

    Raises:
        DataSetError: the data set cannot be read, or it is not the one that `meta` describes.
        InvalidRequest: its rows have no known shape.
    """
    data_set = open_data_of(meta, data)
    lines = {key.line for key in keys}
    last = max(lines, default=0)
    for raw in data_set.records.read():
        if raw.line in lines:
            for ref in data_set.shape.split(raw):
                key = RowKey(ref.line, ref.sample)
                if key in keys:
                    yield key, ref.row
        if raw.line >= last:
            return


def _texts(row: Any, max_chars: int) -> tuple[str, str]:
    """The item and the sample of a row."""
    if isinstance(row, Unreadable):
        return "", ""
    try:
        scope = scope_reader(None)(row)
    except InvalidRow:
        return readable(row)[:max_chars], ""
    text = scope.output_text
    if not text and (calls := scope.sample_value("output_tools")):
        text = readable(calls)
    return readable(scope.item)[:max_chars], text[:max_chars]


def readable(value: Any, margin: str = "") -> str:
    """A JSON value for people: one line for each key, strings without quotes and escapes."""
    if isinstance(value, str):
        return value.replace("\n", f"\n{margin}")
    if isinstance(value, dict) and value:
        entries = ((str(key), part) for key, part in value.items())
    elif isinstance(value, list) and value:
        entries = (("-", part) for part in value)
    else:
        return json.dumps(value, ensure_ascii=False, default=repr)
    return f"\n{margin}".join(_entry(name, part, f"{margin}  ") for name, part in entries)


def _entry(name: str, value: Any, margin: str) -> str:
    text = readable(value, margin)
    head = name if name == "-" else f"{name}:"
    below = "\n" in text and not (name == "-" and isinstance(value, dict))
    return f"{head}\n{margin}{text}" if below else f"{head} {text}"
