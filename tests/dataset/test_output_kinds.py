"""Outputs that could be read as another one than was meant, one table for each kind of answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.dataset.rows.read import open_data
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shapes import detect
from graders_engine.errors import InvalidRow
from graders_engine.outcome import RowOutcome
from tests.dataset.files import write_rows

CHECK: dict[str, Any] = {
    "type": "string_check",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.a}}",
}
OPTIONS = [{"label": "A", "text": "x"}, {"label": "B", "text": "y"}]
USER = {"role": "user", "content": "q"}
CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}


def said(text: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def completion(*texts: str) -> dict[str, Any]:
    return {"object": "chat.completion", "choices": [{"message": said(text)} for text in texts]}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as opened:
        yield opened


def grade(engine: Engine, output: Any) -> RowOutcome:
    """The one row that an output gives; it is the same as in a list, and by itself."""
    (listed,) = engine.score(CHECK, [{"item": {"a": "x"}, "samples": [output]}])
    (row,) = engine.score(CHECK, [{"item": {"a": "x"}, "samples": output}])
    assert (listed.status, listed.reward, listed.flags) == (row.status, row.reward, row.flags)
    return row


READ: list[Any] = [
    {"choices": OPTIONS, "output": "x"},
    {"choices": ["x", "y"], "response": "x"},
    {"choices": OPTIONS, "output_text": "x"},
    {"custom_id": "1", "response": "GOLD", "model_sample": "x"},
    {"text": "question", "sample": {"text": "x"}},
    {"output": "x", "generated_text": "x"},
    {"outputs": [said("x")], "messages": [USER]},
    [USER, said("", tool_calls=[CALL]), {"role": "tool", "content": "r"}, said("x")],
    [USER, said("y"), USER, {"role": "Assistant", "content": "x"}],
    [{"role": "human", "content": "q"}, {"role": "ai", "content": "x"}],
    {"custom_id": "1", "response": json.dumps(completion("x"))},
    {"custom_id": "1", "response": {"status_code": 200, "body": json.dumps(completion("x"))}},
    {"custom_id": "1", "output": json.dumps(completion("x"))},
    {"custom_id": "1", "result": {"type": "succeeded", "message": said([{"type": "text", "text": "x"}])}},
    {"candidates": [{"content": {"role": "model", "parts": [{"text": "x"}]}}]},
    {"output": {"message": said([{"text": "x"}])}, "stopReason": "end_turn"},
    {"type": "ai", "content": "x"},
    {"type": "ai", "data": {"content": "x"}},
    {"lc": 1, "type": "constructor", "kwargs": {"content": "x"}},
    {"messages": [USER, said("x")]},
    {"output_audio": None, "messages": [USER, said("x")]},
    {"choices": [MappingProxyType({"message": MappingProxyType(said("x"))})]},
    {"choices": ({"message": said("x")},)},
]  # fmt: skip


@pytest.mark.parametrize("output", READ)
def test_the_output_that_was_meant_is_read(engine: Engine, output: Any) -> None:
    row = grade(engine, output)
    assert (row.reward, row.flags) == (1.0, {})


REFUSED: list[tuple[Any, str]] = [
    ({"instruction": "q", "output": "x", "generated_text": "z"}, "`output` or `generated_text`"),
    ({"result": "correct", "response": "x"}, "`result` or `response`: they differ"),
    ({"message": said("x"), "text": "z"}, "they differ"),
    ({"model_sample": "x", "sample": "z"}, "`model_sample` or `sample`: they differ"),
    ([USER, said("x"), USER], "No message after the last one of the user"),
    ({"choices": OPTIONS}, "`choices[0]` has no `message`"),
    ({"output_text": "", "candidates": ["x"]}, "under `candidates` something"),
    ({"output_text": "", "answer": 7}, "under `answer` something"),
    ({"output_tools": [], "answer": "x"}, "under `answer` something"),
    ({"output_tools": [{"x": 1}], "answer": "x"}, "under `answer` something"),
    ({"output_text": None, "choices": None, "answer": "x"}, "under `answer` something"),
    ({"output_reasoning_summary": "hm", "candidates": ["x"]}, "under `candidates` something"),
    ({"content": "", "answer": "x"}, "under `answer` something"),
    ({"text": "", "candidates": ["x"]}, "under `candidates` something"),
    ({"custom_id": "1", "response": "", "answer": "x"}, "under `answer` something"),
    ({**completion(""), "answer": "x"}, "under `answer` something"),
    ({"__unreadable__": ["why", "sample"]}, "holds no output"),
]


@pytest.mark.parametrize(("output", "words"), REFUSED)
def test_an_output_that_may_be_another_one_is_refused_by_name(
    engine: Engine, output: Any, words: str
) -> None:
    row = grade(engine, output)
    assert (row.status, row.blame) == ("invalid", "row")
    assert words in row.flags["other_error"]


EMPTY: list[Any] = [
    {"custom_id": "1", "response": ""},
    [USER, said("x"), USER, said("")],
    [USER, said("x", tool_calls=[CALL]), USER, said(None)],
    {"model_sample": "", "text": "question"},
    {"output_text": "", "model": "m", "usage": {"total_tokens": 1}},
    {"prompt": "q", "response": ""},
]


@pytest.mark.parametrize("output", EMPTY)
def test_an_empty_answer_is_graded_and_told(engine: Engine, output: Any) -> None:
    row = grade(engine, output)
    assert (row.reward, list(row.flags)) == (0.0, ["unresponsive_reward_error"])


FAILED: list[tuple[Any, str]] = [
    ({"object": "chat.completion", "choices": [], "error": {"message": "boom"}}, "boom"),
    ({"choices": [{"message": said("part"), "error": {"message": "boom"}}]}, "boom"),
    ({"choices": [{"message": said(""), "finish_reason": "error"}]}, "reason is error"),
    ({"output_text": "", "error": {"message": "boom"}}, "boom"),
    ({"custom_id": "1", "response": {"status_code": "500", "body": {"x": 1}}}, "code is 500"),
    ({"custom_id": "1", "response": None}, "There is no output"),
    (
        {"result": {"type": "errored", "error": {"type": "error", "error": {"message": "boom"}}}},
        "boom",
    ),
    ({"custom_id": "1", "result": {"type": "expired"}}, "the request is expired"),
    ({"custom_id": "1", "result": {"type": "canceled"}}, "the request is canceled"),
]


@pytest.mark.parametrize(("output", "words"), FAILED)
def test_a_failed_request_is_no_zero(engine: Engine, output: Any, words: str) -> None:
    row = grade(engine, output)
    assert (row.status, row.blame) == ("failed", "infrastructure")
    assert words in row.flags["other_error"]


CUT_OFF: list[Any] = [
    {"text": "x", "finish_reason": "length"},
    {"generated_text": "x", "details": {"finish_reason": "length"}},
    {"response": "x", "done_reason": "length"},
    {"message": said("x"), "done_reason": "length"},
    {"completion": "x", "stop_reason": "max_tokens"},
    {"outputs": [{"text": "x", "finish_reason": "length"}]},
    {"text": "x", "finish_reason": "MAX_TOKENS"},
    {"choices": [{"message": said("x"), "finish_reason": "MAX_TOKENS"}]},
    {"output_text": "x", "finish_reason": "length"},
    {"content": "x", "stop_type": "limit"},
    {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "MAX_TOKENS"}]},
    {"output": {"message": said([{"text": "x"}])}, "stopReason": "max_tokens"},
]


@pytest.mark.parametrize("output", CUT_OFF)
def test_an_output_that_was_cut_off_is_told(engine: Engine, output: Any) -> None:
    (row,) = engine.score(CHECK, [{"item": {"a": "x"}, "samples": output}])
    assert (row.reward, list(row.flags)) == (1.0, ["truncated_observation_error"])


@pytest.mark.parametrize(
    "output",
    [
        {"type": "ai", "content": "", "tool_calls": [{"id": "1", "name": "f", "args": {}}]},
        {"text": "", "toolCalls": [{"toolCallId": "1", "toolName": "f", "input": {}}]},
        {"content": "", "tool_calls": [CALL]},
    ],
)
def test_tool_calls_beside_an_empty_text_are_read(engine: Engine, output: Any) -> None:
    check = {**CHECK, "input": "{{sample.output_tools[0].function.name}}", "reference": "f"}
    (row,) = engine.score(check, [{"item": {}, "samples": output}])
    assert (row.reward, row.flags) == (1.0, {})


@pytest.mark.parametrize("key", ["text", "completion", "output", "generated_text"])
def test_a_list_of_texts_is_several_samples(engine: Engine, key: str) -> None:
    rows = engine.score(CHECK, [{"item": {"a": "x"}, "samples": {key: ["x", "y"]}}])
    assert [row.reward for row in rows] == [1.0, 0.0]


ROWS: list[dict[str, Any]] = [
    {"question": "q", "a": "x", "choices": OPTIONS, "model_sample": "x"},
    {"item": {"a": "x"}, "choices": OPTIONS, "sample": {"text": "x"}},
    {"custom_id": "1", "response": "GOLD", "a": "x", "model_sample": "x"},
    {"item": {"a": "x"}, "response": completion("z"), "model_sample": "x"},
    {"item": {"a": "x"}, "response": completion("z"), "sample": {"output_text": "x"}},
    {"item": {"a": "x"}, "sample": "x"},
    {"item": {"a": "x"}, "model_sample": {"text": "x"}},
    {"a": "x", "model_sample": completion("x")},
    {"a": "x", "custom_id": "1", "response": json.dumps(completion("x"))},
    {"datasource_item": {"a": "x"}, "model_sample": "x"},
]


@pytest.mark.parametrize("row", ROWS)
def test_the_sample_that_a_row_names_is_graded(engine: Engine, row: dict[str, Any]) -> None:
    (ref,) = detect([row]).split(RowRef(1, row))
    (graded,) = engine.score_single(CHECK, [ref.row])
    assert (graded.reward, graded.flags) == (1.0, {})


def test_a_later_row_of_responses_may_name_its_sample(engine: Engine) -> None:
    shape = detect([{"a": "x", "response": completion("x")}])
    (ref,) = shape.split(RowRef(2, {"a": "x", "response": "GOLD", "model_sample": "x"}))
    assert [row.reward for row in engine.score_single(CHECK, [ref.row])] == [1.0]


def test_options_of_a_question_stay_in_the_item(engine: Engine) -> None:
    check = {**CHECK, "input": "{{item.choices[1].text}}", "reference": "y"}
    row = {"choices": OPTIONS, "model_sample": "x"}
    (ref,) = detect([row]).split(RowRef(1, row))
    assert [graded.reward for graded in engine.score_single(check, [ref.row])] == [1.0]


def test_several_choices_where_one_sample_is_wanted_are_refused(engine: Engine) -> None:
    (row,) = engine.score(CHECK, [{"item": {"a": "x"}, "sample": completion("x", "y")}])
    assert (row.status, row.blame) == ("invalid", "row")
    assert "2 choices" in row.flags["other_error"]
    assert "`samples`" in row.flags["other_error"]
    with pytest.raises(InvalidRow, match="2 choices"):
        engine.run(CHECK, item={"a": "x"}, sample=completion("x", "y"))


def test_a_text_of_the_first_completions_is_in_a_message_too(engine: Engine) -> None:
    check = {**CHECK, "input": "{{sample.choices[0].message.content}}"}
    sample = {"choices": [{"text": "x", "index": 0}]}
    assert engine.run(check, item={"a": "x"}, sample=sample).reward == 1.0


def test_kinds_of_text_are_text(engine: Engine) -> None:
    class Text(str): ...

    assert engine.run(CHECK, item={"a": "x"}, model_sample=Text("x")).reward == 1.0


HOSTED: list[tuple[dict[str, Any], str]] = [
    ({"sample": None, "status": "error"}, "failed"),
    ({"sample": {"outputs": [], "error": None}, "status": "failed"}, "failed"),
    ({"sample": {"outputs": [], "status": "error"}}, "failed"),
    ({"sample": {"outputs": []}}, "invalid"),
    ({"sample": {"outputs": None}}, "invalid"),
    ({"sample": None}, "invalid"),
    ({"sample": {"outputs": [said("")]}}, "scored"),
    ({"sample": {"outputs": [said("x")]}, "status": "fail"}, "scored"),
]
"""What stands beside the item of a hosted row, and the status of its outcome."""


@pytest.mark.parametrize(("beside", "status"), HOSTED)
@pytest.mark.parametrize(
    "named",
    [
        lambda item: {"datasource_item": item},
        lambda item: {"run_id": "r", "data_source_idx": 0, "item": item, "grades": {}},
    ],
)
def test_a_hosted_row_without_an_output_is_not_graded_as_empty(
    engine: Engine, beside: dict[str, Any], status: str, named: Any
) -> None:
    row = {**named({"a": "x"}), **beside}
    (ref,) = detect([row]).split(RowRef(1, row))
    (graded,) = engine.score_single(CHECK, [ref.row])
    assert graded.status == status
    if status == "invalid":
        assert "There is no output" in graded.flags["other_error"]


def test_rows_of_options_without_an_output_are_refused(tmp_path: Path) -> None:
    row = {"question": "q", "choices": OPTIONS, "a": "x"}
    with pytest.raises(Exception, match="neither `model_sample` nor `sample`"):
        open_data(write_rows(tmp_path / "rows.jsonl", [row]))


@pytest.mark.parametrize(
    ("beside", "nulls"),
    [
        ({"model_sample": None}, "`model_sample` is null"),
        ({"sample": None}, "`sample` is null"),
        ({"model_sample": None, "sample": None}, "`model_sample` and `sample` are null"),
    ],
)
def test_an_output_that_is_null_is_not_called_missing(
    engine: Engine, beside: dict[str, Any], nulls: str
) -> None:
    (graded,) = engine.score_single(CHECK, [{"item": {"a": "x"}, **beside}])
    assert graded.flags["other_error"] == f"There is no output: {nulls}."
