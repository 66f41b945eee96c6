"""Answers of APIs that are kept as JSON text, as in the cells of tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.errors import InvalidRow
from graders_engine.outputs.forms import output_of, sample_scope

CHECK: dict[str, Any] = {
    "type": "string_check",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.a}}",
}
ITEM = {"a": "x"}
MESSAGE = {"role": "assistant", "content": "x", "refusal": None}
COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE}],
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "output": [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
    ],
}
ANSWERS: list[dict[str, Any]] = [
    COMPLETION,
    {"object": "text_completion", "choices": [{"text": "x", "index": 0}]},
    RESPONSE,
    {"id": "b", "custom_id": "r", "response": {"status_code": 200, "body": COMPLETION}},
    {"id": "b", "custom_id": "r", "response": {"status_code": 200, "body": RESPONSE}},
    MESSAGE,
    {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "x"}],
        "stop_reason": "end_turn",
    },
    {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "x"}]}}],
        "usageMetadata": {},
    },
]
ERRORS: list[dict[str, Any]] = [
    {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit"}},
    {"custom_id": "r", "response": None, "error": {"message": "boom", "code": "x"}},
    {"id": "r", "object": "response", "status": "failed", "output": [], "error": {"message": "b"}},
]
OWN: list[Any] = [
    {"answer": 1},
    {"object": "response", "text": "x"},
    {"object": "chat.completion"},
    {"choices": ["a", "b"]},
    {"choices": [{"message": "a"}]},
    {"error": "no such city"},
    {"error": {"message": "no such city"}},
    {"custom_id": "7", "response": "x"},
    {"output_text": "x"},
    {"role": "assistant", "content": "x"},
    ["x"],
]
"""JSON that a model may have written itself."""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as opened:
        yield opened


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("key", ["model_sample", "sample", "samples"])
def test_a_response_as_text_is_read_as_the_response(
    engine: Engine, answer: dict[str, Any], indent: int | None, key: str
) -> None:
    text = json.dumps(answer, indent=indent) + "\n"
    given = [text] if key == "samples" else text
    for row in ({"item": ITEM, key: given}, {**ITEM, key: given}):
        (outcome,) = engine.score(CHECK, [row])
        assert outcome.reward == 1.0, outcome


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_response_as_text_in_a_field_is_read_as_the_response(
    engine: Engine, answer: dict[str, Any]
) -> None:
    rows = [{**ITEM, "answer": json.dumps(answer)}]
    (outcome,) = engine.score(CHECK, rows, sample_field="answer")
    assert outcome.reward == 1.0
    assert output_of(json.dumps(answer)) == output_of(answer)


@pytest.mark.parametrize("answer", ERRORS)
def test_an_error_of_an_api_as_text_is_no_output(engine: Engine, answer: dict[str, Any]) -> None:
    (outcome,) = engine.score(CHECK, [{"item": ITEM, "model_sample": json.dumps(answer)}])
    assert (outcome.status, outcome.blame) == ("failed", "infrastructure")
    with pytest.raises(InvalidRow):
        output_of(json.dumps(answer))


@pytest.mark.parametrize("own", OWN)
def test_json_of_the_model_stays_text(engine: Engine, own: Any) -> None:
    text = json.dumps(own)
    (outcome,) = engine.score(CHECK, [{"item": {"a": text}, "model_sample": text}])
    assert (outcome.reward, output_of(text)) == (1.0, text)


@pytest.mark.parametrize("text", ['{"object": "response", ', '{"object": "response"} x', "{", " "])
def test_a_text_that_is_no_whole_object_stays_text(engine: Engine, text: str) -> None:
    (outcome,) = engine.score(CHECK, [{"item": {"a": text}, "model_sample": text}])
    assert outcome.reward == 1.0


@pytest.mark.parametrize("sample", [{"output_text": "x"}, {"choices": COMPLETION["choices"]}])
def test_a_sample_object_as_text_under_sample_is_read(
    engine: Engine, sample: dict[str, Any]
) -> None:
    for row in (
        {"item": ITEM, "sample": json.dumps(sample)},
        {**ITEM, "sample": json.dumps(sample)},
    ):
        (outcome,) = engine.score(CHECK, [row])
        assert outcome.reward == 1.0


def test_a_model_sample_on_the_wire_is_always_text() -> None:
    text = json.dumps(COMPLETION)
    assert sample_scope(ITEM, model_sample=text).output_text == text
