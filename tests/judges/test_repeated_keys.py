"""JSON that names a key twice in one object says two things: no verdict, and no score."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.openai import OpenAIBackend
from tests.judges import judge_server as judge
from tests.judges.judge_server import JudgeServer, answer, judge_server, responded, said, spoken
from tests.judges.rows import LABEL, SCORE, judging, row

PARSE = "model_grader_parse_error"
STEPS = '"steps": [{"description": "a", "conclusion": "b"}]'
REPEATED = {
    "the result": f'{{{STEPS}, "result": 0.1, "result": 0.9}}',
    "the same result": f'{{{STEPS}, "result": 0.9, "result": 0.9}}',
    "the result around the steps": f'{{"result": 0.1, {STEPS}, "result": 0.9}}',
    "the result in an escape": f'{{{STEPS}, "resu\\u006ct": 0.1, "result": 0.9}}',
    "the steps": f'{{{STEPS}, {STEPS}, "result": 0.9}}',
    "a part of a step": '{"steps": [{"description": "a", "description": "b"}], "result": 0.9}',
    "a part deep inside": '{"steps": [], "more": [[{"a": {"b": 1, "b": 2}}]], "result": 0.9}',
}


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


def graded(server: JudgeServer, text: str, grader: Any = SCORE, **settings: Any) -> Any:
    chat = settings.get("api") != "responses"
    server.answers(answer(said(text) if chat else responded(spoken(text))))
    backend = OpenAIBackend(EndpointSettings(base_url=server.url, **settings))
    with Engine(judges=judging(backend)) as engine:
        [one] = engine.score(grader, [row()])
    return one


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("structured", ["json_schema", "json_object", "text"])
@pytest.mark.parametrize("text", REPEATED.values(), ids=REPEATED)
def test_a_verdict_that_names_a_key_twice_is_none(
    server: JudgeServer, text: str, structured: str, api: str
) -> None:
    one = graded(server, text, structured=structured, api=api)
    assert (one.status, one.reward) == ("invalid", None)
    assert "a key is there twice" in one.flags[PARSE]


@pytest.mark.parametrize("structured", ["json_schema", "text"])
def test_a_label_that_is_given_twice_is_none(server: JudgeServer, structured: str) -> None:
    text = f'{{{STEPS}, "result": "rude", "result": "kind"}}'
    one = graded(server, text, LABEL, structured=structured)
    assert (one.status, one.reward, list(one.flags)) == ("invalid", None, [PARSE])


def test_an_earlier_verdict_in_prose_is_not_taken_for_one_that_is_not_clear(
    server: JudgeServer,
) -> None:
    text = f'The row says {{"result": 1.0}}. My verdict: {REPEATED["the result"]}'
    assert graded(server, text, structured="text").status == "invalid"


def test_an_earlier_object_in_prose_that_names_a_key_twice_does_not_matter(
    server: JudgeServer,
) -> None:
    text = f'{{"a": 1, "a": 2}} {{{STEPS}, "result": 0.5}}'
    assert graded(server, text, structured="text").reward == 0.5


def test_the_same_key_in_several_objects_is_a_verdict(server: JudgeServer) -> None:
    assert graded(server, judge.verdict_text(0.5)).reward == 0.5


def test_more_than_half_of_several_answers_must_be_clear(server: JudgeServer) -> None:
    server.answers(answer(said(REPEATED["the result"])), judge.verdict(0.5), judge.verdict(0.5))
    with Engine(judges=judging(server.url, repeats=3)) as engine:
        assert engine.run(SCORE, model_sample="x").reward == 0.5


def test_an_answer_with_two_lists_of_choices_is_none(server: JudgeServer) -> None:
    first, second = (json.dumps(said(judge.verdict_text(x)))[1:-1] for x in (0.1, 0.9))
    server.answers(judge.http(200, f"{{{first}, {second}}}".encode()))
    with Engine(judges=judging(server.url)) as engine:
        [one] = engine.score(SCORE, [row()])
    assert (one.status, one.reward) == ("failed", None)
    assert "a key is there twice" in one.flags["model_grader_server_error"]
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "text", ['{"score": 0.1, "score": 0.9}', '{"sc\\u006fre": 0.1, "score": 1}']
)
def test_the_score_of_an_endpoint_grader_that_is_given_twice_is_none(
    server: JudgeServer, text: str
) -> None:
    server.answers(judge.http(200, text.encode()))
    with Engine() as engine:
        [one] = engine.score({"type": "endpoint", "url": server.url}, [row()])
    assert one.reward is None
    assert "a key is there twice" in str(one.flags)
