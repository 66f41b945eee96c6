"""Single rows of a run with their texts: those without a reward, the lowest, the highest; the slowest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from graders_engine.dataset.results.digest import Digest
from graders_engine.dataset.results.line import ResultLine
from graders_engine.report.formatting import (
    BLAME_MEANINGS,
    OF_SCORED,
    STATUS_MEANINGS,
    format_reward,
)
from graders_engine.report.row_texts import RowTexts
from graders_engine.report.visible import cut, one_line, shorten, start_of

UNREWARDED, WORST, BEST, SLOWEST = 12, 8, 5, 10
"""Rows without a reward, with the lowest and highest rewards, and slowest rows, of which each is shown."""
TEXT_CHARS = 1000
"""Characters of an item, and of a sample, on a card; the row's own view has more."""
SUMMARY_CHARS = 120
"""Characters of a sample in the line of a card that is closed."""
DETAIL_CHARS = 1000
"""Characters of a flag's details on a card."""
LISTED = 12
"""Sub-rewards on a card."""
KINDS: tuple[str, ...] = (
    "scored",
    *(str(blame) for blame in BLAME_MEANINGS if blame != "infrastructure"),
    "failed",
)
"""What a row is: scored, failed, or else who is to blame."""


@dataclass(frozen=True, slots=True)
class CardText:
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
class Card:
    """A row with its texts.

    Attributes:
        name: its line and sample.
        reward: the reward, or the status without one.
        summary: the start of the sample, or of a flag's details if there is none, on one line.
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
    texts: list[CardText]


@dataclass(frozen=True, slots=True)
class SlowRow:
    """A row whose grading took long: its name, milliseconds, reward, status, and the start of its sample."""

    name: str
    ms: str
    reward: str
    kind: str
    excerpt: str


def kind_of_row(result: ResultLine) -> str:
    """Which of `KINDS` a row is."""
    return result.status if result.blame is None or result.status == "failed" else result.blame


def kind_label(kind: str) -> str:
    """A row's status; of invalid rows, with who is to blame."""
    return kind if kind in STATUS_MEANINGS else f"invalid ({kind})"


def cards(digest: Digest, texts: RowTexts) -> Iterator[tuple[str, list[Card]]]:
    """The cards by heading; a heading without cards is left out."""
    of_scored = OF_SCORED if digest.tally.served else ""
    for heading, results in (
        ("Without a reward", _without_reward(digest)),
        (f"Lowest rewards{of_scored}", digest.worst.rows()[:WORST]),
        (f"Highest rewards{of_scored}", digest.best.rows()[:BEST]),
    ):
        if results:
            yield heading, [_card(result, texts) for result in results]


def slowest(digest: Digest, texts: RowTexts) -> list[SlowRow]:
    """The rows whose grading took longest, the slowest first; none if grading is fast."""
    if not digest.is_slow:
        return []
    return [
        SlowRow(
            result.name,
            f"{1000 * result.seconds:,.0f}",
            format_reward(result.counted),
            kind_label(kind_of_row(result)),
            one_line(texts.of(result).sample, SUMMARY_CHARS),
        )
        for result in digest.slowest.rows()[:SLOWEST]
    ]


def _without_reward(digest: Digest) -> list[ResultLine]:
    """The first rows of each flag by turns, one of a prompt."""
    lists = [_unrewarded(rows) for rows in digest.flagged.values()]
    chosen: dict[str | int, ResultLine] = {}
    for at in range(UNREWARDED):
        for rows in lists:
            if at < len(rows):
                chosen.setdefault(rows[at].prompt, rows[at])
    return list(chosen.values())[:UNREWARDED]


def _unrewarded(results: Iterable[ResultLine]) -> list[ResultLine]:
    """Those without a reward, the first of each prompt."""
    by_prompt: dict[str | int, ResultLine] = {}
    for result in results:
        if result.status != "scored":
            by_prompt.setdefault(result.prompt, result)
    return list(by_prompt.values())


def _card(result: ResultLine, texts: RowTexts) -> Card:
    text, parts, kind = texts.of(result), result.sub_rewards, kind_of_row(result)
    return Card(
        name=result.name,
        reward=format_reward(result.reward) if kind == "scored" else kind_label(kind),
        summary=one_line(
            text.sample or "; ".join(filter(None, result.flags.values())), SUMMARY_CHARS
        ),
        sub_rewards=[
            (shorten(key, 40), format_reward(value)) for key, value in list(parts.items())[:LISTED]
        ],
        sub_rewards_left_out=max(len(parts) - LISTED, 0),
        flags=[(flag, start_of(details, DETAIL_CHARS)) for flag, details in result.flags.items()],
        texts=[_text("Item", text.item), _text("Sample", text.sample)] if any(text) else [],
    )


def _text(name: str, text: str) -> CardText:
    start, left_out = cut(text, TEXT_CHARS)
    return CardText(name, start, left_out > 0)
