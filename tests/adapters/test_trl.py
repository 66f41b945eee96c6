"""TRL's call: columns in, rewards and logs out; the trainers themselves are driven by `.ci/adapters`."""

from __future__ import annotations

from typing import Any

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
