"""What the model answered with nothing stays in the mean, and what is no answer has no score."""

from __future__ import annotations

from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.outcome import RowOutcome
from tests.dataset.no_answer_cases import EMPTY, NONE, REFUSED

IS_EMPTY = {
    "type": "string_check",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "",
}


def graded(sample: Any) -> RowOutcome:
    with Engine() as engine:
        (row,) = engine.score(IS_EMPTY, [{"item": {"a": 1}, "sample": sample}])
    return row


@pytest.mark.parametrize("name", EMPTY)
def test_an_answer_of_nothing_is_graded_as_the_empty_text(name: str) -> None:
    assert (graded(EMPTY[name]).status, graded(EMPTY[name]).reward) == ("scored", 1.0)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_graded_as_its_text(name: str) -> None:
    assert (graded(REFUSED[name]).status, graded(REFUSED[name]).reward) == ("scored", 0.0)


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_answer_has_no_reward_and_says_what_is_missing(name: str) -> None:
    sample, words = NONE[name]
    row = graded(sample)
    assert (row.status in ("invalid", "failed"), row.reward) == (True, None)
    assert row.blame in ("row", "infrastructure")
    assert words in row.flags["other_error"]
