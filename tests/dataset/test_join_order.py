"""Outputs that share no key with the rows are not joined by position where they show another order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine.errors import InvalidRequest
from tests.dataset.files import graded_by_gold as graded

WORDS = [f"word {n}" for n in range(4)]
ASKED = [f"what is meant by {word}?" for word in WORDS]
ALL_RIGHT = [("scored", 1.0, "")] * 4


@pytest.mark.parametrize("key", ["idx", "index", "doc_id"])
def test_outputs_that_number_themselves_are_in_ascending_order(key: str, tmp_path: Path) -> None:
    rows = [{"gold": word} for word in WORDS]
    outputs = [{key: n, "text": word} for n, word in enumerate(WORDS)]
    assert graded(tmp_path, rows, outputs) == ALL_RIGHT
    moved = [outputs[n] for n in (2, 0, 3, 1)]
    as_text = [{**output, key: str(output[key])} for output in moved]
    for other in (moved, as_text):
        with pytest.raises(
            InvalidRequest, match=f"numbered by `{key}`, and not in ascending order"
        ):
            graded(tmp_path, rows, other)


@pytest.mark.parametrize(
    "numbers",
    [[0, 0, 0, 0], [3, 3, 1, 1], [1, None, 0, 2], ["b", "a", "d", "c"], [310, 120, 95, 7]],
)
def test_what_does_not_number_each_output_says_nothing_of_their_order(
    numbers: list[Any], tmp_path: Path
) -> None:
    outputs = [{"idx": n, "text": word} for n, word in zip(numbers, WORDS, strict=True)]
    assert graded(tmp_path, [{"gold": word} for word in WORDS], outputs) == ALL_RIGHT


@pytest.mark.parametrize("wrapped", [False, True], ids=["flat rows", "rows with an item"])
def test_prompts_under_another_key_show_another_order(wrapped: bool, tmp_path: Path) -> None:
    rows: list[Any] = [
        {"question": one, "gold": word} for one, word in zip(ASKED, WORDS, strict=True)
    ]
    rows = [{"item": row} for row in rows] if wrapped else rows
    outputs = [{"prompt": one, "text": word} for one, word in zip(ASKED, WORDS, strict=True)]
    assert graded(tmp_path, rows, outputs) == ALL_RIGHT
    with pytest.raises(InvalidRequest, match="--join-on question=prompt"):
        graded(tmp_path, rows, outputs[::-1])


def test_a_prompt_in_its_place_outweighs_other_texts_that_are_not(tmp_path: Path) -> None:
    rows = [
        {"question": one, "next": ASKED[n - 3], "gold": word}
        for n, (one, word) in enumerate(zip(ASKED, WORDS, strict=True))
    ]
    outputs = [
        {"prompt": one, "found": ASKED[n - 1], "text": word}
        for n, (one, word) in enumerate(zip(ASKED, WORDS, strict=True))
    ]
    assert graded(tmp_path, rows, outputs) == ALL_RIGHT
