"""Outputs as other providers and libraries keep them: read where they are unmistakable, else refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.errors import NoOutput, UnknownForm
from graders_engine.language.scope import Scope
from graders_engine.outcome import Flag
from graders_engine.outputs.forms import output_of, sample_scope

TEXT = {"type": "text", "text": "x"}
MESSAGE = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "x"}],
}
RESPONSE = {"object": "response", "status": "completed", "output": [MESSAGE]}
DELTA = {"type": "response.output_text.delta", "delta": "y"}
CHOICE = {"message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
CUT_OFF = {"incomplete_details": {"reason": "max_output_tokens"}}
GEMINI = {"content": {"role": "model", "parts": [{"text": "x"}]}}


def scope(output: Any) -> Scope:
    read = output_of(output)
    return sample_scope(sample={"output_text": read} if isinstance(read, str) else read)


@pytest.mark.parametrize(
    "output",
    [
        {"messages": [{"type": "human", "content": "q"}, {"type": "ai", "content": "x"}]},
        [
            {"type": "human", "content": "q"},
            {"type": "ai", "content": "y"},
            {"type": "tool", "content": "5"},
            {"type": "ai", "content": "x"},
        ],
        [{"type": "reasoning", "text": "y"}, TEXT],
        {"type": "response.completed", "response": RESPONSE},
        [DELTA, {"type": "response.completed", "response": RESPONSE}],
        {"output": [{**MESSAGE, "phase": "commentary"}, {**MESSAGE, "phase": "final_answer"}]},
        {"output": {"message": {"role": "assistant", "content": [{"reasoningContent": {}}, {"text": "x"}]}}},
        {"recordId": "1", "modelInput": {}, "modelOutput": {"role": "assistant", "content": [TEXT]}},
        {"role": "model", "parts": [{"text": "x"}]},
        {"role": "assistant", "parts": [{"type": "step-start"}, TEXT]},
        json.dumps({"choices": [CHOICE]}),
        json.dumps({"output": [MESSAGE]}),
    ],
)  # fmt: skip
def test_an_unmistakable_form_is_one_sample(output: Any) -> None:
    assert scope(output).output_text == "x"


def test_the_texts_of_one_request_of_the_harness_are_the_samples() -> None:
    assert output_of({"doc_id": 0, "doc": {}, "resps": [["x", "y"]], "filtered_resps": ["z"]}) == [
        "x",
        "y",
    ]


@pytest.mark.parametrize(
    "output",
    [
        {"model": "m", "response": "x", "done": False},
        [
            {"model": "m", "response": "x", "done": False},
            {"model": "m", "response": "", "done": True},
        ],
        [{"candidates": [GEMINI]}, {"candidates": [{**GEMINI, "finishReason": "STOP"}]}],
        {"candidates": [GEMINI], "modelVersion": "g"},
        [DELTA, DELTA],
        {"type": "content_block_delta", "delta": {"text": "x"}},
        {"content": "x", "stop": False},
        'data: {"choices": [{"delta": {"content": "x"}}]}\n\ndata: [DONE]\n',
        {"status": "succeeded", "version": "v", "output": ["x", "y"]},
    ],
)
def test_parts_of_a_stream_are_refused_by_name(output: Any) -> None:
    with pytest.raises(UnknownForm, match="join the texts of all parts first"):
        output_of(output)


@pytest.mark.parametrize(
    ("output", "count"),
    [
        ({"response": "x", "done": False, "turn": 1}, 1),
        ({"status": "succeeded", "output": ["x", "y"]}, 2),
        ({"candidates": [{**GEMINI, "finish_reason": 1}], "model_version": "g"}, 1),
    ],
)
def test_what_looks_like_a_part_of_a_stream_is_read(output: Any, count: int) -> None:
    read = output_of(output)
    assert len(read if isinstance(read, list) else [read]) == count


def test_a_text_beside_a_status_of_failure_has_an_error_beside_it() -> None:
    for output in ({"status": "error", "output": "x"}, {"success": False, "response": "x"}):
        assert output_of(output)["error"]


@pytest.mark.parametrize(
    "output",
    [
        {"status": "error", "output": ""},
        {"type": "result", "subtype": "success", "is_error": True, "result": "Overloaded"},
        {"success": False, "output": ""},
        {"object": "chat.completion", "choices": []},
        {"detail": "Not Found"},
        {"message": "Internal", "type": "error", "code": 500},
        {"status": "Error: 429", "response": {}},
    ],
)
def test_an_empty_output_of_a_failed_request_is_no_output(output: Any) -> None:
    with pytest.raises(NoOutput):
        scope(output)


@pytest.mark.parametrize(
    "output",
    [
        {"text": "x", "meta_info": {"finish_reason": {"type": "length"}}},
        {"choices": [{"message": {"role": "assistant", "content": "x"}, "stop_reason": "max_tokens"}]},
        {"content": "x", "stopped_limit": True},
        {"type": "ai", "content": "x", "response_metadata": CUT_OFF},
    ],
)  # fmt: skip
def test_each_sign_of_a_cut_off_text_is_told(output: Any) -> None:
    assert Flag.TRUNCATED_OBSERVATION in scope(output).flags()


@pytest.mark.parametrize(
    "output",
    [
        {"promptFeedback": {"blockReason": "SAFETY"}},
        {"candidates": [{"finishReason": "SAFETY"}]},
        {"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}]},
    ],
)
def test_an_answer_that_was_blocked_is_an_empty_one(output: Any) -> None:
    assert Flag.UNRESPONSIVE_REWARD in scope(output).flags()


@pytest.mark.parametrize(
    "text", ["{'output_text': 'x'}", "[{'role': 'assistant', 'content': 'x'}]"]
)
def test_a_sample_that_python_printed_is_refused(text: str) -> None:
    with pytest.raises(UnknownForm, match="what Python prints"):
        output_of(text)


CHECK = {
    "type": "string_check",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.a}}",
}


def test_a_list_of_samples_as_text_is_the_list() -> None:
    with Engine() as engine:
        rows = list(engine.score(CHECK, [{"a": "x", "samples": '["x", "y"]'}]))
    assert [row.reward for row in rows] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"a": "x", "sample": "{'output_text': 'x'}"}, "what Python prints"),
    ],
)
def test_a_row_that_would_be_misread_is_refused_by_name(row: dict[str, Any], words: str) -> None:
    with Engine() as engine:
        (outcome,) = engine.score(CHECK, [row])
    assert outcome.status == "invalid"
    assert words in str(outcome.flags)
