"""The bodies of requests, as an endpoint gets them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.openai import OpenAIBackend
from tests.judges import judge_server as judge
from tests.judges.judge_server import JudgeServer, answer, judge_server, responded, said, spoken
from tests.judges.rows import LABEL, SCORE, judging

SCHEMA = {
    "type": "object",
    "properties": {
        "steps": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "description": {"type": "string"},
                    "conclusion": {"type": "string"},
                },
                "required": ["description", "conclusion"],
                "additionalProperties": False,
            },
        },
        "result": {"type": "number"},
    },
    "required": ["steps", "result"],
    "additionalProperties": False,
}
BLOCKS: list[Any] = [
    "Look: {{item.what}}",
    {"type": "input_text", "text": "and {{sample.output_text}}", "file_id": None},
    {"type": "input_image", "image_url": "{{item.image}}", "detail": "high", "file_id": None},
    {"type": "input_image", "image_url": "https://example.com/{{item.what}}.png"},
    {"type": "input_audio", "input_audio": {"data": "{{item.sound}}", "format": "wav"}},
]
ITEM = {"what": "cat", "image": "data:image/png;base64,iVBORw0=", "sound": "UklGRg=="}
EVERY_ROLE = [
    {"role": "developer", "content": "Be strict."},
    {"role": "system", "content": ["Be ", "kind."]},
    {"role": "user", "content": BLOCKS},
    {"role": "assistant", "content": {"type": "output_text", "text": "Seen."}},
    {"role": "user", "content": {"type": "input_text", "text": "{{sample.output_json.n}}"}},
]
EVERY_PARAMETER = {
    "max_completions_tokens": 77,
    "reasoning_effort": "low",
    "seed": 3,
    "temperature": 0.0,
    "top_p": 1.0,
}


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


def sent(server: JudgeServer, grader: dict[str, Any], api: str = "chat", **more: Any) -> Any:
    """The body of the one request that a row takes."""
    reply = responded(spoken(judge.verdict_text(1))) if api == "responses" else None
    server.answers(answer(reply or said(judge.verdict_text(1))))
    backend = OpenAIBackend(EndpointSettings(base_url=server.url, api=api, **more))
    with Engine(judges=judging(backend)) as engine:
        response = engine.run(grader, item=ITEM, model_sample='{"n": [1, "ü"]}')
    assert response.reward == 1.0
    [asked] = server.asked
    assert asked.path == {"chat": "/v1/chat/completions", "responses": "/v1/responses"}[api]
    assert asked.headers["content-type"] == "application/json"
    return asked.body


def test_a_chat_request_with_everything(server: JudgeServer) -> None:
    grader = {**SCORE, "input": EVERY_ROLE, "sampling_params": EVERY_PARAMETER}
    assert sent(server, grader) == {
        "model": "judge-1",
        "messages": [
            {"role": "developer", "content": "Be strict."},
            {"role": "system", "content": "Be kind."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look: cat"},
                    {"type": "text", "text": 'and {"n": [1, "ü"]}'},
                    {"type": "image_url", "image_url": {"url": ITEM["image"], "detail": "high"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
                    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                ],
            },
            {"role": "assistant", "content": "Seen."},
            {"role": "user", "content": '[1, "ü"]'},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": SCHEMA},
        },
        "max_completion_tokens": 77,
        "reasoning_effort": "low",
        "seed": 3,
        "temperature": 0.0,
        "top_p": 1.0,
    }


def test_a_responses_request_with_everything(server: JudgeServer) -> None:
    grader = {**SCORE, "input": EVERY_ROLE, "sampling_params": EVERY_PARAMETER}
    assert sent(server, grader, "responses") == {
        "model": "judge-1",
        "input": [
            {"role": "developer", "content": "Be strict."},
            {"role": "system", "content": "Be kind."},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look: cat"},
                    {"type": "input_text", "text": 'and {"n": [1, "ü"]}'},
                    {"type": "input_image", "image_url": ITEM["image"], "detail": "high"},
                    {
                        "type": "input_image",
                        "image_url": "https://example.com/cat.png",
                        "detail": "auto",
                    },
                    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                ],
            },
            {"role": "assistant", "content": "Seen."},
            {"role": "user", "content": '[1, "ü"]'},
        ],
        "text": {
            "format": {"type": "json_schema", "name": "verdict", "strict": True, "schema": SCHEMA}
        },
        "store": False,
        "stream": False,
        "max_output_tokens": 77,
        "reasoning": {"effort": "low"},
        "temperature": 0.0,
        "top_p": 1.0,
    }


def test_the_schema_asks_for_the_steps_before_the_result(server: JudgeServer) -> None:
    schema = sent(server, SCORE)["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == ["steps", "result"]
    assert list(schema["properties"]["steps"]["items"]["properties"]) == [
        "description",
        "conclusion",
    ]


def test_a_label_is_asked_for_by_its_list_without_doubles(server: JudgeServer) -> None:
    grader = {**LABEL, "labels": ["a", "b", "a"], "passing_labels": ["b"]}
    server.answers(judge.verdict("b"))
    with Engine(judges=judging(server.url)) as engine:
        assert engine.run(grader, model_sample="x").reward == 1.0
    schema = server.asked[0].body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["result"] == {"type": "string", "enum": ["a", "b"]}


@pytest.mark.parametrize(
    "spelling", ["max_completions_tokens", "max_completion_tokens", "max_tokens"]
)
@pytest.mark.parametrize("key", ["sampling_params", "sampling_parameters"])
def test_all_spellings_of_the_token_limit_are_sent_as_one(
    server: JudgeServer, spelling: str, key: str
) -> None:
    body = sent(server, {**SCORE, key: {spelling: 5, "temperature": None}})
    assert body["max_completion_tokens"] == 5
    assert set(body) == {"model", "messages", "response_format", "max_completion_tokens"}


def test_parameters_left_out_are_not_sent(server: JudgeServer) -> None:
    assert set(sent(server, SCORE)) == {"model", "messages", "response_format"}


def test_parameters_left_out_are_not_sent_in_the_responses_form(server: JudgeServer) -> None:
    assert set(sent(server, SCORE, "responses")) == {"model", "input", "text", "store", "stream"}


def test_more_keys_of_every_request(server: JudgeServer) -> None:
    body = sent(server, SCORE, extra_body={"top_k": 3, "provider": {"order": ["x"]}})
    assert body["top_k"] == 3
    assert body["provider"] == {"order": ["x"]}


def test_what_cannot_stand_in_utf_8_is_sent_escaped(server: JudgeServer) -> None:
    with Engine(judges=judging(server.url)) as engine:
        assert engine.run(SCORE, model_sample="half \ud800 \u2028").reward == 1.0
    assert server.asked[0].body["messages"][1]["content"] == "Rate this answer: half \ud800 \u2028"
