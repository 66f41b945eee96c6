"""Single rows of a run as the page shows them: the lowest and highest with texts, the slowest, a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graders_engine.dataset.results.digest import EXTREMES, FLAGGED, SAMPLED, Digest
from graders_engine.dataset.results.line import ResultLine
from graders_engine.outcome import Status
from graders_engine.report.formatting import format_reward
from graders_engine.report.row_texts import RowTexts
from graders_engine.report.visible import cut, one_line

WORST, BEST, SLOWEST = 10, 5, 10
"""Rows with the lowest and with the highest rewards, and slowest rows, that have a place of their own."""
TEXT_CHARS = 1000
"""Characters of an item, and of a sample."""
SUMMARY_CHARS = 120
"""Characters of a sample in the line of a card that is closed."""
EXCERPT_CHARS = 60
"""Characters of a sample in a table."""
COLUMNS, LISTED = 6, 12
"""Sub-rewards that have a column in the table, and that are listed with a row's texts."""
PRINTED_ROWS = 40
"""Rows of the table that are printed on paper; `page.css` has the same number."""


@dataclass(frozen=True, slots=True)
class RowText:
    """One text of a row.

    Attributes:
        name: "Item" or "Sample".
        text: its start, safe to display.
        is_cut: whether `text` is not all of it.
    """

    name: str
    text: str
    is_cut: bool


@dataclass(frozen=True, slots=True)
class RowCard:
    """A row with its texts.

    Attributes:
        name: its line and sample.
        reward: the reward, or a dash.
        summary: the start of the sample, on one line.
        sub_rewards: (key, reward), at most `LISTED`.
        sub_rewards_left_out: how many more there are.
        flags: (flag, details).
        texts: the item and the sample; empty if neither is known.
    """

    name: str
    reward: str
    summary: str
    sub_rewards: list[tuple[str, str]]
    sub_rewards_left_out: int
    flags: list[tuple[str, str]]
    texts: list[RowText]


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table.

    Attributes:
        name: its line and sample.
        status: its status.
        reward: the reward, or a dash.
        sub_rewards: one for each column of sub-rewards, or a dash.
        ms: wall time of the grading, in milliseconds.
        flags: its flags, separated by commas.
        excerpt: the start of the sample, on one line.
    """

    name: str
    status: Status
    reward: str
    sub_rewards: list[str]
    ms: str
    flags: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Ends:
    """The rows with the lowest and with the highest rewards, the most extreme first."""

    lowest: list[RowCard]
    highest: list[RowCard]


@dataclass(frozen=True, slots=True)
class RowTable:
    """The rows of a run that can be searched and sorted: all of a small run, a choice of a large one.

    Attributes:
        part_columns: the columns of sub-rewards, each with its kind, as the templates have them.
        rows: in the order of the data set.
        total: rows of the run.
        extremes: how many of the lowest, of the highest and of the slowest rows are among `rows`.
        flagged: how many rows of each flag are.
        sampled: how many rows that were chosen at random are.
        printed: rows that are printed on paper.
    """

    part_columns: list[tuple[str, str]]
    rows: list[TableRow]
    total: int
    extremes: int = EXTREMES
    flagged: int = FLAGGED
    sampled: int = SAMPLED
    printed: int = PRINTED_ROWS

    @classmethod
    def of(cls, digest: Digest, texts: RowTexts) -> RowTable:
        """The table for a run."""
        keys = list(digest.sub_rewards)[:COLUMNS]
        rows = [_table_row(result, texts, keys) for result in digest.kept()]
        return cls([(one_line(key, 24), "number") for key in keys], rows, digest.tally.rows)


def ends(digest: Digest, texts: RowTexts) -> Ends:
    """The rows with the lowest and with the highest rewards."""
    return Ends(
        [_card(result, texts) for result in digest.worst.rows()[:WORST]],
        [_card(result, texts) for result in digest.best.rows()[:BEST]],
    )


def slowest(digest: Digest, texts: RowTexts) -> list[TableRow]:
    """The rows whose grading took longest, the slowest first."""
    return [_table_row(result, texts) for result in digest.slowest.rows()[:SLOWEST]]


def _card(result: ResultLine, texts: RowTexts) -> RowCard:
    item, sample = texts.of(result)
    return RowCard(
        name=result.name,
        reward=format_reward(result.reward),
        summary=one_line(sample, SUMMARY_CHARS),
        sub_rewards=[
            (one_line(key, 40), format_reward(value))
            for key, value in list(result.sub_rewards.items())[:LISTED]
        ],
        sub_rewards_left_out=max(len(result.sub_rewards) - LISTED, 0),
        flags=[(flag, one_line(details, 300)) for flag, details in result.flags.items()],
        texts=[_text("Item", item), _text("Sample", sample)] if item or sample else [],
    )


def _text(name: str, text: str) -> RowText:
    start, left_out = cut(text, TEXT_CHARS)
    return RowText(name, start, left_out > 0)


def _table_row(result: ResultLine, texts: RowTexts, keys: Sequence[str] = ()) -> TableRow:
    return TableRow(
        name=result.name,
        status=result.status,
        reward=format_reward(result.reward),
        sub_rewards=[format_reward(result.sub_rewards.get(key)) for key in keys],
        ms=f"{1000 * result.seconds:.3f}",
        flags=", ".join(flag.removesuffix("_error") for flag in result.flags),
        excerpt=one_line(texts.of(result)[1], EXCERPT_CHARS),
    )
