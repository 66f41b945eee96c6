"""The items and samples of some rows of a results file, read from the data set."""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from graders_engine.dataset.results.data import data_path, open_data_of
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.rows.identity import item_of
from graders_engine.errors import DataSetError, InvalidRequest, InvalidRow
from graders_engine.outputs.row_scope import scope_reader
from graders_engine.outputs.unreadable import Unreadable
from graders_engine.urls import Location

MAX_CHARS, MIN_CHARS = 64_000, 2_000
"""Characters kept of an item or a sample: up to the first, and less if there are many, down to the second."""
BUDGET_BYTES = 5_000_000
"""All texts together have about as many bytes as this, or `MIN_CHARS` characters each."""
_scope_of = scope_reader(None, lambda: False)
_json = json.JSONEncoder(ensure_ascii=False, default=repr).encode
MOVED = "If the data set was moved, pass its path with --data."


def with_moved(error: Exception) -> str:
    """What is wrong with a data set, and the option that helps if it was moved, named once."""
    return str(error) if "--data" in str(error) else f"{error} {MOVED}"


class RowKey(NamedTuple):
    """What identifies a row: its line, and its number among the line's samples, or 0 without a list."""

    line: int
    sample: int


def keys_of(line: int, sample: int = 1) -> list[RowKey]:
    """The keys that the n-th sample of a line may have: the first may be the only one, without a list."""
    return [RowKey(line, sample), *([RowKey(line, 0)] if sample == 1 else [])]


class RowText(NamedTuple):
    """The texts of a row.

    Attributes:
        item: the start of the item, as readable text.
        sample: the start of the sample's text.
        item_chars: characters of the whole item.
        sample_chars: characters of the whole sample.
        id: the item's `id`; empty if it has none.
        has_sample: whether the sample could be read.
    """

    item: str = ""
    sample: str = ""
    item_chars: int = 0
    sample_chars: int = 0
    id: str = ""
    has_sample: bool = False

    def start(self, max_chars: int) -> RowText:
        """The same with at most so many characters of each text."""
        return self._replace(item=self.item[:max_chars], sample=self.sample[:max_chars])


_NO_TEXT = RowText()
_EQUAL_ITEMS = (
    "Rows have equal items, as the samples of one prompt do: with --group-by item they count as one draw, "
    "and the intervals are those of the prompts."
)
_EQUAL_SHARE = 0.1
"""Of the rows that are looked at; fewer equal items may be chance."""


@dataclass(frozen=True, slots=True)
class RowTexts:
    """The texts of some rows.

    Attributes:
        texts: by row.
        why_none: a sentence that says why the texts are missing; empty if they are not.
        left_out: rows without texts because those of others are long.
        equal_items: what is said of a run whose rows have equal items.
    """

    texts: dict[RowKey, RowText] = field(default_factory=dict)
    why_none: str = ""
    left_out: frozenset[RowKey] = frozenset()
    equal_items: str = _EQUAL_ITEMS

    def id_of(self, result: ResultLine) -> str:
        """The item's id, or that of the row, by which people know it; empty if there is none."""
        found = self.of(result).id
        if found or result.group is None or result.group == str(result.line):
            return found
        return result.group

    def of(self, result: ResultLine) -> RowText:
        """The texts of a row; empty if they are not known."""
        return self.texts.get(RowKey(result.line, result.sample), _NO_TEXT)

    @property
    def hints(self) -> list[str]:
        """What the items say of a run whose samples are not grouped: they may be those of prompts."""
        items = [
            (text.item, text.item_chars) for text in self.texts.values() if text.item_chars > 2
        ]
        again = len(items) - len(set(items))
        if not again or again < _EQUAL_SHARE * len(items):
            return []
        return [self.equal_items]


def texts_of(
    results: Collection[ResultLine],
    meta: Mapping[str, Any],
    data: Location | None = None,
    budget_bytes: int = BUDGET_BYTES,
    *,
    file: Path | None = None,
    others: Collection[ResultLine] = (),
) -> RowTexts:
    """Read the texts of these rows in one pass over the data set.

    Args:
        results: the rows.
        meta: what produced them; it says where the data set was and how its rows were read.
        data: where the data set is now, if it was moved.
        budget_bytes: length of all texts together from which on the last of `others` are left out, and
            without others less is kept of each.
        file: the results file, whose index shows that the rows are those that were graded.
        others: more rows, the most wanted first.
    """
    if data is None and (data := data_path(meta)) is None:
        return RowTexts(
            why_none="The results do not say where their data set is; pass its path with --data."
        )
    keys = {RowKey(result.line, result.sample) for result in results}
    wanted = _Others([RowKey(result.line, result.sample) for result in others], keys)
    try:
        texts = _read(find_rows(data, meta, keys, file), budget_bytes, wanted)
    except (DataSetError, InvalidRequest) as error:
        return RowTexts(why_none=with_moved(error))
    return RowTexts(texts, left_out=frozenset(wanted.left_out))


class _Others:
    """Rows whose texts are held while there is room for them.

    Args:
        order: the rows, the most wanted first.
        keys: of all rows that are read, to which these are added, and from which those go that are left out.

    Attributes:
        left_out: the rows that are left out.
    """

    def __init__(self, order: list[RowKey], keys: set[RowKey]) -> None:
        self._order = [key for key in order if key not in keys]
        self._rank = {key: rank for rank, key in enumerate(self._order)}
        self._keys = keys
        self._held: list[tuple[int, int]] = []
        self.left_out: set[RowKey] = set()
        keys.update(self._order)

    def add(self, key: RowKey, size: int) -> None:
        """The texts of a row are held; of the rows that are not among these, nothing is done."""
        if (rank := self._rank.get(key)) is not None:
            heapq.heappush(self._held, (-rank, size))

    def pop(self) -> tuple[RowKey, int] | None:
        """The least wanted row that is held, and the size of its texts; it and all after it are left out."""
        if not self._held:
            return None
        negative, size = heapq.heappop(self._held)
        gone, self._order = self._order[-negative:], self._order[:-negative]
        self.left_out.update(gone)
        self._keys.difference_update(gone)
        return gone[0], size


def _read(
    rows: Iterable[tuple[RowKey, Any]], budget_bytes: int, others: _Others
) -> dict[RowKey, RowText]:
    """The texts of the rows: the more there are, the less is kept, so that memory is bounded."""
    texts: dict[RowKey, RowText] = {}
    max_chars, held, last_item = MAX_CHARS, 0, ""
    for key, whole in whole_texts(rows):
        if key in others.left_out:  # of a line with samples that are not
            continue
        text = texts[key] = whole.start(max_chars)
        size = _bytes(text.sample) + (0 if whole.item is last_item else _bytes(text.item))
        last_item = whole.item
        held += size
        others.add(key, size)
        while held > budget_bytes and (last := others.pop()) is not None:
            del texts[last[0]]
            held -= last[1]
        while held > budget_bytes and max_chars > MIN_CHARS:
            max_chars //= 2
            texts = {key: text.start(max_chars) for key, text in texts.items()}
            items = {key.line: text.item for key, text in texts.items()}
            held = sum(map(_bytes, items.values()))
            held += sum(_bytes(text.sample) for text in texts.values())
    return texts


def whole_texts(rows: Iterable[tuple[RowKey, Any]]) -> Iterator[tuple[RowKey, RowText]]:
    """The whole texts of rows that are as `find_rows` gives them; samples of a line share the item's text."""
    last_item, item_text = object(), ""
    for key, row in rows:
        item, read = _parts(row)
        if item is not last_item:
            last_item, item_text = item, "" if item is None else readable(item)
        sample = read or ""
        has_sample = read is not None
        yield key, RowText(item_text, sample, len(item_text), len(sample), _id(item), has_sample)


def _id(item: Any) -> str:
    found = item.get("id") if isinstance(item, Mapping) else None
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def find_rows(
    data: Location, meta: Mapping[str, Any], keys: Collection[RowKey], file: Path | None = None
) -> Iterator[tuple[RowKey, Any]]:
    """The rows with these keys, as `compiled.scope_reader(None)` takes them.

    Args:
        data: the data set.
        meta: what produced the results.
        keys: of the rows.
        file: as for `texts_of`.

    Raises:
        DataSetError: the data set cannot be read, or it is not the one that `meta` describes.
        InvalidRequest: its rows have no known shape.
    """
    return ((key, row) for key, row, _ in find_counted(data, meta, keys, file))


def find_counted(
    data: Location, meta: Mapping[str, Any], keys: Collection[RowKey], file: Path | None = None
) -> Iterator[tuple[RowKey, Any, int]]:
    """As `find_rows`, each with how many samples its line has; 0 for a line without a list of them."""
    data_set = open_data_of(meta, data, results=file)
    lines = {key.line for key in keys}
    last = max(lines, default=0)
    for raw in data_set.records.read():
        if raw.line in lines:
            refs = data_set.shape.split(raw)
            for ref in refs:
                key = RowKey(ref.line, ref.sample)
                if key in keys:
                    yield key, ref.row, len(refs) if ref.sample else 0
        if raw.line >= last:
            return


def _parts(row: Any) -> tuple[Any, str | None]:
    """The item, None if there is none, and the text of the sample, None if it cannot be read."""
    if isinstance(row, Unreadable):
        return None, None
    try:
        scope = _scope_of(row)
    except InvalidRow:
        return row, None
    text = scope.output_text
    if "sample" in row and (calls := scope.sample_value("output_tools")):
        text = "\n\n".join(filter(None, (text, readable(calls))))
    return item_of(row), text


def readable(value: Any, margin: str = "") -> str:
    """A JSON value for people: one line for each key, strings without quotes and escapes."""
    if isinstance(value, str):
        return value.replace("\n", f"\n{margin}")
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return repr(value)
    inner = f"{margin}  "
    if isinstance(value, dict) and value:
        lines = [
            f"{key}: {part}"
            if ((kind := type(part)) is str and "\n" not in part)  # most parts
            or kind is int
            or (kind is float and math.isfinite(part))
            else _entry(f"{key}:", part, inner)
            for key, part in value.items()
        ]
    elif isinstance(value, list) and value:
        lines = [_entry("-", part, inner) for part in value]
    else:
        return _json(value)
    return f"\n{margin}".join(lines)


def _entry(head: str, value: Any, margin: str) -> str:
    text = readable(value, margin)
    below = "\n" in text and not (head == "-" and isinstance(value, dict))
    return f"{head}\n{margin}{text}" if below else f"{head} {text}"
