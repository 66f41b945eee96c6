"""Outputs in another order than the rows are never joined by position where a shared value shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine.errors import InvalidRequest
from tests.dataset.files import graded_by_gold as graded

WORDS = [f"word {n}" for n in range(5)]


def messages(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"about {text}"}]


def with_key(key: str, value: Any) -> dict[str, Any]:
    outer, _, inner = key.partition(".")
    return {outer: {inner: value} if inner else value}


def refusal(folder: Path, rows: list[Any], outputs: list[Any], **how: Any) -> str:
    with pytest.raises(InvalidRequest) as refused:
        graded(folder, rows, outputs, **how)
    return str(refused.value)


ALL_RIGHT = [("scored", 1.0, "")] * 5

NAMES = ["question", "prompt", "qid", "key", "ID", "metadata.id", "case_number", "Frage"]


@pytest.mark.parametrize("key", NAMES)
@pytest.mark.parametrize("wrapped", [False, True], ids=["flat rows", "rows with an item"])
def test_any_key_that_both_have_shows_another_order(
    key: str, wrapped: bool, tmp_path: Path
) -> None:
    rows: list[Any] = [{**with_key(key, f"{word}?"), "gold": word} for word in WORDS]
    rows = [{"item": row} for row in rows] if wrapped else rows
    outputs = [{**with_key(key, f"{word}?"), "output": word} for word in WORDS]
    assert graded(tmp_path, rows, outputs) == ALL_RIGHT
    message = refusal(tmp_path, rows, outputs[::-1])
    assert f"both have `{key}`, but in another order" in message
    assert f"--join-on {key}" in message
    assert graded(tmp_path, rows, outputs[::-1], join_on=key) == ALL_RIGHT


@pytest.mark.parametrize(
    "echo",
    [
        lambda word: {"messages": messages(word)},
        lambda word: {"messages": [*messages(word), {"role": "assistant", "content": word}]},
        lambda word: {"item": {"messages": messages(word), "gold": word}},
        lambda word: {"datasource_item": {"messages": messages(word), "gold": word}},
        lambda word: {"gold": word},
    ],
    ids=["messages", "messages with the answer", "the item", "the item of an eval", "the answer"],
)
def test_what_repeats_the_row_shows_another_order(echo: Any, tmp_path: Path) -> None:
    rows = [{"messages": messages(word), "gold": word} for word in WORDS]
    outputs = [{**echo(word), "output": word} for word in WORDS]
    assert graded(tmp_path, rows, outputs) == ALL_RIGHT
    assert "but in another order" in refusal(tmp_path, rows, outputs[::-1])


def test_prompts_that_stand_twice_show_another_order_too(tmp_path: Path) -> None:
    rows = [{"prompt": word, "gold": word} for word in WORDS for _ in range(2)]
    outputs = [{"prompt": word, "output": word} for word in WORDS for _ in range(2)]
    message = refusal(tmp_path, rows, outputs[::-1])
    assert "give rows and outputs an id" in message.lower()


def test_a_key_that_names_a_row_is_advised_before_one_that_cannot(tmp_path: Path) -> None:
    rows = [{"messages": messages(word), "gold": word, "question": f"{word}?"} for word in WORDS]
    outputs = [{**row, "output": row["gold"]} for row in reversed(rows)]
    assert "--join-on question" in refusal(tmp_path, rows, outputs)


def test_another_order_is_found_beyond_the_first_rows(tmp_path: Path) -> None:
    rows = [{"question": f"how much is {n}?", "gold": str(n)} for n in range(60)]
    outputs = [{"question": row["question"], "output": row["gold"]} for row in rows]
    for moved in (outputs[30:] + outputs[:30], outputs[30:], outputs[1:]):
        assert "`question`" in refusal(tmp_path, rows, moved)


def test_the_numbers_of_the_lines_do_not_hide_another_order(tmp_path: Path) -> None:
    rows = [{"id": n, "question": f"{word}?", "gold": word} for n, word in enumerate(WORDS)]
    outputs = [
        {"id": n, "question": f"{word}?", "output": word} for n, word in enumerate(WORDS[::-1])
    ]
    assert "`question`" in refusal(tmp_path, rows, outputs)


def test_the_same_questions_show_the_same_order_whatever_the_ids_are(tmp_path: Path) -> None:
    rows = [{"id": n, "question": f"{word}?", "gold": word} for n, word in enumerate(WORDS)]
    outputs = [
        {"id": n + 1, "question": f"{word}?", "output": word} for n, word in enumerate(WORDS)
    ]
    assert graded(tmp_path, rows, outputs) == ALL_RIGHT


def test_prompts_that_were_written_anew_are_no_reason_to_refuse(tmp_path: Path) -> None:
    rows = [{"prompt": f"Say {word}", "gold": word} for word in WORDS]
    outputs = [{"prompt": f"<user>Say {word}</user>", "output": word} for word in WORDS]
    assert graded(tmp_path, rows, outputs) == ALL_RIGHT


def test_values_that_a_few_rows_share_show_nothing(tmp_path: Path) -> None:
    rows = [{"level": "ab"[n % 2], "gold": word} for n, word in enumerate(WORDS * 2)]
    outputs = [{"level": "ba"[n % 2], "output": word} for n, word in enumerate(WORDS * 2)]
    assert graded(tmp_path, rows, outputs) == ALL_RIGHT * 2


def test_what_an_output_holds_is_not_compared_with_the_key_of_the_row(tmp_path: Path) -> None:
    rows = [{"output": word, "gold": word} for word in WORDS]
    outputs = [{"output": word} for word in WORDS]
    assert graded(tmp_path, rows, outputs) == ALL_RIGHT
    wrong = [reward for _, reward, _ in graded(tmp_path, rows, outputs[::-1])]
    assert wrong == [0.0, 0.0, 1.0, 0.0, 0.0]
    named = [{"pred": word, "text": f"{word}."} for word in WORDS]
    rows = [{"text": f"{word}.", "pred": "x", "gold": word} for word in WORDS]
    assert graded(tmp_path, rows, named, sample_field="pred") == ALL_RIGHT
    assert "--join-on text" in refusal(tmp_path, rows, named[::-1], sample_field="pred")


def test_a_later_answer_that_differs_is_no_sign_of_another_row(tmp_path: Path) -> None:
    rows = [{"answer": str(n), "gold": str(n)} for n in range(30)]
    outputs = [{"answer": str(n if n < 25 else 0), "text": str(n)} for n in range(30)]
    assert graded(tmp_path, rows, outputs) == [("scored", 1.0, "")] * 30


def test_a_later_pair_that_does_not_belong_together_is_invalid_by_name(tmp_path: Path) -> None:
    rows = [{"question": f"{n}?", "messages": messages(str(n)), "gold": str(n)} for n in range(30)]
    outputs = [{**row, "output": row["gold"]} for row in rows]
    del outputs[25]
    found = graded(tmp_path, rows, outputs)
    assert [status for status, _, _ in found] == ["scored"] * 25 + ["invalid"] * 5
    assert (
        "the `question` 26?, but the row has 25?: join them with --join-on question" in found[25][2]
    )
    outputs = [{"messages": output["messages"], "output": output["output"]} for output in outputs]
    assert "has another `messages` than the row" in graded(tmp_path, rows, outputs)[25][2]


def test_of_several_keys_one_that_is_equal_is_enough(tmp_path: Path) -> None:
    rows = [{"question": f"{n}?", "prompt": f"Say {n}", "gold": str(n)} for n in range(30)]
    outputs = [{**row, "output": row["gold"]} for row in rows]
    outputs[25]["prompt"] = "Say it again"
    assert graded(tmp_path, rows, outputs) == [("scored", 1.0, "")] * 30
