"""An error that passes, or that is about one row, does not change how the other rows are asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from graders_engine import Engine
from tests.judges import judge_server as judge
from tests.judges.judge_server import Asked, JudgeServer, Reply, error, judge_server
from tests.judges.rows import SCORE, judging, rows

OPTIONS = {"temperature": 0, "seed": 1, "max_tokens": 9}
GRADER = {**SCORE, "sampling_params": OPTIONS}
ECHO = [{"role": "system", "content": "x"}]
PASSING = [
    (400, "Structured output generation failed: the model did not produce valid json_schema, try again"),
    (500, "Grammar backend crashed; json_schema is not supported while the server restarts"),
    (500, "Your temperature is not supported at the moment"),
    (400, "Invalid system prompt: policy engine timeout, try again"),
    (400, "You exceeded the rate limit; only 5 requests with response_format per minute"),
    (400, "Failed to parse model response as JSON schema: Unterminated string"),
    (400, "The system message is too long: must be at most 1000 characters"),
    (400, "blocked: forbidden word 'seed' and 'temperature' in your message"),
    (400, "Unsupported content. Only text is supported by this reasoning model."),
    (422, "`inputs` tokens + `max_new_tokens` must be <= 4097. Given: 4050 `inputs` tokens"),
    (400, "The sum of prompt length (5000) and max_tokens must be less than max_model_len 4096"),
    (400, f"Invalid request. Received Messages={ECHO}, response_format={{'type': 'json_schema'}}. Invalid"),
    (400, "Invalid image. Request: " + json.dumps({"messages": ECHO, "temperature": 0, "seed": 1})),
]  # fmt: skip


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


def forms(server: JudgeServer) -> list[tuple[object, ...]]:
    return [
        (
            asked.body.get("response_format", {}).get("type"),
            asked.body["messages"][0]["role"],
            asked.body.get("temperature"),
            asked.body.get("max_completion_tokens"),
        )
        for asked in server.asked
    ]


@pytest.mark.parametrize(("status", "message"), PASSING)
def test_no_row_is_asked_otherwise_after_an_error_that_passes(
    server: JudgeServer, status: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers(error(status, message), judge.verdict(1))
    with Engine(judges=judging(server.url), concurrency=1) as engine:
        list(engine.score(GRADER, rows(4)))
    assert set(forms(server)) == {("json_schema", "system", 0, 9)}
    assert not caplog.messages


@pytest.mark.parametrize("escaped", [json.dumps, repr, lambda text: text.replace('"', "&quot;")])
def test_an_escaped_row_in_an_error_is_a_quote(server: JudgeServer, escaped: object) -> None:
    text = '{"is": "response_format unsupported",\n"temperature": "not supported"}'
    server.answers(error(400, f"Could not process {escaped(text)}"), judge.verdict(1))  # type: ignore[operator]
    row = {"item": {}, "model_sample": text}
    with Engine(judges=judging(server.url), concurrency=1) as engine:
        list(engine.score(GRADER, [row, *rows(2)]))
    assert set(forms(server)) == {("json_schema", "system", 0, 9)}


def unclear(asked: Asked) -> bool:
    return bool(asked.body.get("response_format", {}).get("type") == "json_schema")


def test_an_unclear_error_counts_when_it_comes_twice(
    server: JudgeServer, caplog: pytest.LogCaptureFixture
) -> None:
    complaint = error(400, "json_schema failed")
    server.script = lambda asked: complaint if unclear(asked) else judge.verdict(1)
    with Engine(judges=judging(server.url), concurrency=1) as engine:
        assert [row.status for row in engine.score(GRADER, rows(5))] == ["scored"] * 5
    assert len(server.asked) == 5 + 2
    once, always = caplog.messages
    assert once.startswith("one request for judge-1")
    assert 'are sent with `structured = "json_object"`' in always


def test_an_unclear_error_that_does_not_come_again_is_told_with_the_one_request(
    server: JudgeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers(error(400, "json_schema failed"), judge.verdict(1))
    with Engine(judges=judging(server.url), concurrency=1) as engine:
        list(engine.score(GRADER, rows(5)))
    asked = [form for form, *_ in forms(server)]
    assert asked == ["json_schema", "json_object", *["json_schema"] * 4]
    [once] = caplog.messages
    assert "one request for judge-1" in once
    assert '`structured = "json_object"`, after this error: json_schema failed' in once


def test_an_error_that_stays_the_same_without_what_it_names_is_tried_once(
    server: JudgeServer,
) -> None:
    server.answers(error(400, "seed is not supported"))
    with Engine(judges=judging(server.url), concurrency=1) as engine:
        list(engine.score(GRADER, rows(10)))
    assert len(server.asked) == 10 + 1


def test_kept_replies_in_another_form_are_told_once(
    server: JudgeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def script(asked: Asked) -> Reply:
        if "response_format" in asked.body:
            return error(400, "response_format is not supported")
        roles = [message["role"] for message in asked.body["messages"]]
        return error(400, "System role not supported") if "system" in roles else judge.verdict(1)

    server.script = script
    for _ in range(2):
        caplog.clear()
        with Engine(judges=judging(server.url, cache=tmp_path / "cache.sqlite")) as engine:
            list(engine.score(GRADER, rows(3)))
    form, role = sorted(caplog.messages)
    assert form.startswith('kept replies of judge-1 were asked for with `structured = "text"`')
    assert role.startswith("kept replies of judge-1 were asked for with `system` messages as part")
