"""The rows that the page can list, search and open, as JSON for its script."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec

from graders_engine.dataset.results.digest import EXTREMES, FLAGGED, Digest
from graders_engine.dataset.results.line import ResultLine
from graders_engine.language.formula import Formula
from graders_engine.language.span import SourceError
from graders_engine.report.formatting import format_count, rows_name
from graders_engine.report.html.cards import kind_of_row
from graders_engine.report.row_texts import BUDGET_BYTES, RowKey, RowTexts
from graders_engine.report.visible import shorten, visible_json

ID_CHARS = 200
"""Characters of a prompt's id."""
DETAIL_CHARS = 20_000
"""Characters of a flag's details."""


@dataclass(frozen=True, slots=True)
class RowData:
    """The rows on the page: all of a run if they fit, else a choice.

    Attributes:
        json: the data of the script; it has no "<", so nothing in it ends the element around it. A row has
            the values that `_Writer` writes.
        held: how many rows are on the page.
        total: rows of the run.
        unit: what they are called: "rows" or "samples".
        cut: how many of the rows have a text that is cut.
    """

    json: str
    held: int
    total: int
    unit: str
    cut: int

    @property
    def whole(self) -> bool:
        """Whether all rows of the run are on the page."""
        return self.held == self.total

    @property
    def chosen(self) -> str:
        """Which rows are on the page, as a sentence."""
        total = format_count(self.total)
        if self.whole:
            return f"All {total} {self.unit} of the run are in this file."
        return (
            f"{format_count(self.held)} of {total} {self.unit} are in this file, as many as fit in this "
            f"order: the first {FLAGGED} of each flag, of {EXTREMES} prompts the lowest and of {EXTREMES} "
            f"the highest reward, the {EXTREMES} slowest, all {self.unit} of prompts drawn at random."
        )


def row_data(
    digest: Digest,
    texts: RowTexts,
    grader: Mapping[str, Any],
    why_no_texts: str = "",
    *,
    viewed: str = "",
    budget_bytes: int = BUDGET_BYTES,
) -> RowData:
    """The rows of a run, as many as fit, in the order of the data set.

    Args:
        digest: the run.
        texts: of the rows that it keeps.
        grader: its JSON, of which the types of the parts and the formula are taken.
        why_no_texts: a sentence in place of the texts; empty if they are known.
        viewed: the command that shows all rows; empty if there is none.
        budget_bytes: how long the rows may be together.
    """
    unit = rows_name(grouped=digest.grouped)
    keys = list(digest.sub_rewards)
    writer = _Writer(keys, texts)
    encoded: list[tuple[tuple[int, int], bytes]] = []
    size = 0
    for result in digest.kept():
        if RowKey(result.line, result.sample) in texts.left_out:
            break
        row = writer.row(result)
        size += len(row) + writer.new_item_bytes
        if size > budget_bytes and encoded:
            break
        encoded.append(((result.line, result.sample), row))
    more = {
        "timed": digest.is_slow,
        "unit": unit,
        "viewed": viewed,
        "whole": len(encoded) == digest.tally.rows,
    }
    whole = writer.data([row for _, row in sorted(encoded)], grader, why_no_texts, more)
    return RowData(whole, len(encoded), digest.tally.rows, unit, writer.cut)


def rows_json(
    results: Sequence[ResultLine],
    texts: RowTexts,
    grader: Mapping[str, Any],
    why_no_texts: str = "",
) -> str:
    """Some rows of a run as `RowData.json` has them.

    Args:
        results: the rows.
        texts: of them.
        grader: as for `row_data`.
        why_no_texts: the same.
    """
    writer = _Writer(list(dict.fromkeys(key for row in results for key in row.sub_rewards)), texts)
    return writer.data([writer.row(result) for result in results], grader, why_no_texts)


def _json(value: Any) -> bytes:
    """A value as JSON without "<" and without characters that hide or change the reading direction."""
    try:
        encoded = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # half a character
        encoded = json.dumps(value, separators=(",", ":"))
    return visible_json(encoded).replace("<", "\\u003c").encode()


def _types(grader: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """The type of the grader of each key; of a grader without parts, its own."""
    parts = grader.get("graders")
    if not isinstance(parts, Mapping):
        return [str(grader.get("type", ""))]
    found = (parts.get(key) for key in keys)
    return [str(part.get("type", "")) if isinstance(part, Mapping) else "" for part in found]


def _formula(grader: Mapping[str, Any], keys: Sequence[str]) -> list[str] | None:
    """A multi's formula in pieces: every second one is a key."""
    source = grader.get("calculate_output")
    if not isinstance(source, str):
        return None
    try:
        formula = Formula.compile(source, None)
    except SourceError:  # of another version
        return None
    if not set(formula.names) <= set(keys):
        return None
    pieces, end = [], 0
    for use in formula.uses:
        pieces += [source[end : use.start], use.text]
        end = use.end
    return [*pieces, source[end:]]


class _Writer:
    """Writes rows as JSON.

    Args:
        keys: of the sub-rewards, in the order in which a row has them.
        texts: of the rows.

    Attributes:
        items: the texts of the items, each once.
        prompts: their ids; empty for a prompt whose only name is its line.
        new_item_bytes: how long the last row's item is; 0 if an earlier row has the same.
        cut: how many rows have a text that is cut.
    """

    def __init__(self, keys: Sequence[str], texts: RowTexts) -> None:
        self._keys, self._texts = keys, texts
        self._item_numbers: dict[str, int] = {}
        self._prompt_numbers: dict[str | int, int] = {}
        self.items: list[str] = []
        self.prompts: list[str] = []
        self.new_item_bytes = self.cut = 0

    def row(self, result: ResultLine) -> bytes:
        """A row as a JSON array."""
        text = self._texts.of(result)
        whole = [
            chars if chars > len(start) else 0
            for chars, start in ((text.item_chars, text.item), (text.sample_chars, text.sample))
        ]
        self.cut += any(whole)
        parts = result.sub_rewards
        values = (
            result.name,
            kind_of_row(result),
            result.reward,
            result.counted,  # what the hosted API serves of other rows says nothing of the model
            [parts.get(key) for key in self._keys] if parts else [],
            round(result.seconds, 6),
            {flag: _start(details, DETAIL_CHARS) for flag, details in result.flags.items()},
            self._item(text.item),
            text.sample,
            whole,
            self._prompt(result),
            {**result.labels, **result.repeats},
        )
        return _json(values)

    def data(
        self,
        rows: Sequence[bytes],
        grader: Mapping[str, Any],
        why_no_texts: str,
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        """The rows with all that the script needs of them."""
        content = {
            "keys": self._keys,
            "types": _types(grader, self._keys),
            "formula": _formula(grader, self._keys),
            "whyNoTexts": why_no_texts,
            **more,
            "items": self.items,
            "prompts": self.prompts,
        }
        head = _json(content).removesuffix(b"}")
        return (head + b',"rows":[\n' + b",\n".join(rows) + b"]}").decode()

    def _prompt(self, result: ResultLine) -> int:
        """The number of a row's prompt among `prompts`."""
        number = self._prompt_numbers.setdefault(result.prompt, len(self.prompts))
        if number == len(self.prompts):
            self.prompts.append(shorten(self._texts.id_of(result), ID_CHARS))
        return number

    def _item(self, item: str) -> int:
        """The number of an item among `items`."""
        number = self._item_numbers.setdefault(item, len(self.items))
        self.new_item_bytes = 0
        if number == len(self.items):
            self.items.append(item)
            self.new_item_bytes = len(_json(item))
        return number


def _start(details: str, max_chars: int) -> str:
    return details if len(details) <= max_chars else f"{details[:max_chars]}…"
