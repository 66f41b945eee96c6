"""The rows that the page can list, search and open, as JSON for its script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from graders_engine.dataset.results.digest import EXTREMES, FLAGGED, Digest
from graders_engine.dataset.results.line import ResultLine
from graders_engine.report.formatting import format_count, rows_name
from graders_engine.report.html.cards import KINDS, kind_of_row
from graders_engine.report.row_texts import RowTexts
from graders_engine.report.visible import one_line, shorten, start_of, visible
from graders_engine.report.width import short_names

BUDGET_BYTES = 5_000_000
"""Bytes of the rows on the page."""
COLUMNS, COLUMN_CHARS = 6, 24
"""Sub-rewards that have a column in the table, and characters of the head of a column."""
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
        columns_left_out: how many sub-rewards have no column in the table.
    """

    json: str
    held: int
    total: int
    unit: str
    cut: int
    columns_left_out: int

    @property
    def chosen(self) -> str:
        """Which rows are on the page, as a sentence."""
        total = format_count(self.total)
        if self.held == self.total:
            return f"All {total} {self.unit} of the run are on this page."
        return (
            f"{format_count(self.held)} of {total} {self.unit} are on this page: the first {FLAGGED} of each "
            f"flag, of {EXTREMES} prompts the lowest and of {EXTREMES} the highest reward, the "
            f"{EXTREMES} slowest, and all {self.unit} of prompts drawn at random, as many as fit."
        )


def row_data(
    digest: Digest, texts: RowTexts, why_no_texts: str = "", budget_bytes: int = BUDGET_BYTES
) -> RowData:
    """The rows of a run, as many as fit, in the order of the data set.

    Args:
        digest: the run.
        texts: of the rows that it keeps.
        why_no_texts: a sentence in place of the texts; empty if they are known.
        budget_bytes: how long the rows may be together.
    """
    unit = rows_name(grouped=digest.grouped)
    keys = list(digest.sub_rewards)
    writer = _Writer(keys, texts)
    encoded: list[tuple[tuple[int, int], bytes]] = []
    size = 0
    for result in digest.kept():
        row = writer.row(result)
        size += len(row) + writer.new_item_bytes
        if size > budget_bytes and encoded:
            break
        encoded.append(((result.line, result.sample), row))
    heads = short_names([one_line(key, 1000) for key in keys[:COLUMNS]], COLUMN_CHARS)
    content: dict[str, Any] = {
        "keys": list(map(visible, keys)),
        "columns": list(zip(heads, map(visible, keys), strict=False)),
        "kinds": KINDS,
        "timed": digest.is_slow,
        "unit": unit,
        "whyNoTexts": why_no_texts,
        "whole": len(encoded) == digest.tally.rows,
        "items": writer.items,
        "prompts": writer.prompts,
    }
    head = msgspec.json.encode(content).removesuffix(b"}")
    rows = b",\n".join(row for _, row in sorted(encoded))
    json = head.replace(b"<", b"\\u003c") + b',"rows":[\n' + rows + b"]}"
    left_out = max(len(keys) - COLUMNS, 0)
    return RowData(json.decode(), len(encoded), digest.tally.rows, unit, writer.cut, left_out)


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
        self._encode = msgspec.json.Encoder().encode
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
        answers = {**result.labels, **result.repeats}
        parts = result.sub_rewards
        values = (
            result.name,
            kind_of_row(result),
            result.reward,
            result.served,
            [parts.get(key) for key in self._keys] if parts else [],
            round(1000 * result.seconds, 3),
            {
                visible(flag): start_of(details, DETAIL_CHARS)
                for flag, details in result.flags.items()
            },
            self._item(text.item),
            visible(text.sample),
            whole,
            self._prompt(result),
            {visible(key): answers[key] for key in answers},
        )
        return self._encode(values).replace(b"<", b"\\u003c")

    def _prompt(self, result: ResultLine) -> int:
        """The number of a row's prompt among `prompts`."""
        number = self._prompt_numbers.setdefault(result.prompt, len(self.prompts))
        if number == len(self.prompts):
            group = result.group
            is_named = group is not None and group != str(result.line)
            self.prompts.append(shorten(str(group), ID_CHARS) if is_named else "")
        return number

    def _item(self, item: str) -> int:
        """The number of an item among `items`."""
        number = self._item_numbers.setdefault(item, len(self.items))
        self.new_item_bytes = 0
        if number == len(self.items):
            self.items.append(visible(item))
            self.new_item_bytes = len(self.items[-1].encode())
        return number
