"""TRL's call: columns in, rewards and logs out; the trainers themselves are driven by `.ci/adapters`."""

from __future__ import annotations

from typing import Any

import pytest

from graders_engine import NoReward
from graders_engine.adapters.trl import TRLReward


def conversation(text: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": text}]


def test_columns_and_the_prompt_are_the_item(string_check: dict[str, Any]) -> None:
    grader = {**string_check, "reference": "{{item.label}} {{item.prompt}}"}
    rewards = TRLReward(grader)(["cat p", "dog p"], ["p", "q"], label=["cat", "dog"])
    assert rewards == [1.0, 0.0]


def test_a_column_named_item_is_the_item_as_an_object_or_as_json_text(
    string_check: dict[str, Any],
) -> None:
    items = [{"label": "cat"}, '{"label": "dog"}']
    assert TRLReward(string_check)(["cat", "dog"], item=items) == [1.0, 1.0]


def test_of_a_conversation_the_last_answer_counts(string_check: dict[str, Any]) -> None:
    tool = {"role": "tool", "content": "cat", "tool_call_id": "1"}
    completions = [conversation("cat"), [*conversation("dog"), tool, *conversation("cat")]]
    assert TRLReward(string_check)(completions, label=["cat", "cat"]) == [1.0, 1.0]


LOOKS_UP = {"type": "python", "source": "def grade(sample, item):\n    return item['solution']"}


def test_code_that_fails_on_each_of_the_first_samples_raises_in_place_of_zeros() -> None:
    with pytest.raises(NoReward, match=r"each of the first 30 samples so: .*KeyError: 'solution'"):
        TRLReward(LOOKS_UP, sandbox="none")(["4"] * 30, answer=["4"] * 30)


def test_small_batches_are_served_with_a_warning_until_there_are_enough_samples(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reward = TRLReward(LOOKS_UP, sandbox="none")
    assert reward(["4"] * 8, answer=["4"] * 8) == [0.0] * 8
    assert reward(["4"] * 8, answer=["4"] * 8) == [0.0] * 8
    (told,) = caplog.messages
    assert "KeyError: 'solution' (grader.py, line 2)" in told
    with pytest.raises(NoReward, match="each of the first 24 samples"):
        reward(["4"] * 8, answer=["4"] * 8)


def test_code_that_fails_on_some_samples_is_served_and_each_kind_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    texts = ["solution", "a", "b"] * 10
    grader = {
        "type": "python",
        "source": "def grade(sample, item):\n"
        "    text = sample['output_text']\n"
        "    if text == 'c':\n"
        "        return 1 / 0\n"
        "    return item[text]",
    }
    reward = TRLReward(grader, sandbox="none")
    assert reward(texts, solution=[1.0] * 30) == [1.0, 0.0, 0.0] * 10
    assert reward(["c"] * 30, solution=[1.0] * 30) == [0.0] * 30
    assert [("KeyError" in told, "ZeroDivisionError" in told) for told in caplog.messages] == [
        (True, False),
        (False, True),
    ]


def test_a_number_for_invalid_samples_is_given_however_many_fail() -> None:
    reward = TRLReward(LOOKS_UP, sandbox="none", invalid=-1.0)
    assert reward(["4"] * 30, answer=["4"] * 30) == [-1.0] * 30
