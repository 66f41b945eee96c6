"""Options that a model refuses are left out, remembered for it and told once; `drop` leaves them out too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from graders_engine import Engine
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.openai import OpenAIBackend
from tests.judges import judge_server as judge
from tests.judges.judge_server import JudgeServer, answer, error, judge_server
from tests.judges.rows import SCORE, judging, rows, scored


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


ALL_OPTIONS = {
    "temperature": 0, "top_p": 0.9, "seed": 1, "reasoning_effort": "low", "max_tokens": 9,
}  # fmt: skip


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_what_the_settings_drop_is_never_sent_and_part_of_the_signature(
    server: JudgeServer, api: str, caplog: pytest.LogCaptureFixture
) -> None:
    if api == "responses":
        server.answers(answer(judge.responded(judge.spoken(judge.verdict_text(1)))))
    dropped = ["top_p", "seed", "temperature", "reasoning_effort", "max_tokens", "store", "stream"]
    settings = EndpointSettings(base_url=server.url, api=api, drop=dropped)
    backend = OpenAIBackend(settings)
    assert scored(backend, {**SCORE, "sampling_params": ALL_OPTIONS}).reward == 1.0
    form = {"chat": {"messages", "response_format"}, "responses": {"input", "text"}}[api]
    assert server.asked[0].body.keys() == {"model", *form}
    assert backend.signature.endswith(
        ", without max_tokens, reasoning_effort, seed, store, stream, temperature, top_p"
    )
    assert not caplog.messages


def test_an_option_that_the_settings_send_in_any_case_is_not_tried_without_it(
    server: JudgeServer,
) -> None:
    server.answers(error(400, "Unsupported parameter: 'temperature'"))
    settings = EndpointSettings(base_url=server.url, extra_body={"temperature": 0.5})
    grader = {**SCORE, "sampling_params": {"temperature": 0.1}}
    assert scored(OpenAIBackend(settings), grader).status == "failed"
    assert [asked.body["temperature"] for asked in server.asked] == [0.5]


def test_an_option_that_worked_is_never_dropped_and_its_message_names_the_setting(
    server: JudgeServer, caplog: pytest.LogCaptureFixture
) -> None:
    complaint = error(400, "Unsupported parameter: 'temperature'")
    server.script = lambda asked: complaint if "odd" in asked.text else judge.verdict(1)
    grader = {**SCORE, "sampling_params": {"temperature": 0.1}}
    with Engine(judges=judging(server.url)) as engine:
        flags = [engine.run(grader, model_sample=text).flags for text in ("a", "odd", "b")]
    assert [bool(each) for each in flags] == [False, True, False]
    assert [asked.body["temperature"] for asked in server.asked] == [0.1, 0.1, 0.1]
    told = flags[1]["model_grader_server_error"]
    assert '`drop = ["temperature"]` under [endpoints.default] in graders.toml' in told
    assert not caplog.messages


def test_a_value_that_worked_stays_where_another_is_refused(server: JudgeServer) -> None:
    server.script = lambda asked: (
        error(400, "Unsupported value: 'temperature' does not support 0.2 with this model.")
        if asked.body.get("temperature", 1) != 1
        else judge.verdict(1)
    )
    with Engine(judges=judging(server.url)) as engine:
        for temperature in (1, 0.2, 0.3, 1):
            grader = {**SCORE, "sampling_params": {"temperature": temperature}}
            assert engine.run(grader, model_sample=str(temperature)).reward == 1.0
    assert [asked.body.get("temperature") for asked in server.asked] == [1, 0.2, None, None, 1]


def test_a_value_that_is_refused_although_it_worked_comes_with_both_remedies(
    server: JudgeServer,
) -> None:
    complaint = error(400, "Unsupported value: 'reasoning_effort' does not support 'low'.")
    server.answers(judge.verdict(1), complaint)
    grader = {**SCORE, "sampling_params": {"reasoning_effort": "low"}}
    with Engine(judges=judging(server.url)) as engine:
        assert engine.run(grader, model_sample="a").reward == 1.0
        told = engine.run(grader, model_sample="b").flags["model_grader_server_error"]
    assert (
        "Give the grader another value of reasoning_effort, or set "
        '`drop = ["reasoning_effort"]` under [endpoints.default]'
    ) in told


def test_an_option_of_the_endpoint_takes_the_place_of_the_graders_that_is_dropped(
    server: JudgeServer, caplog: pytest.LogCaptureFixture
) -> None:
    settings = EndpointSettings(
        base_url=server.url, drop=["max_tokens"], extra_body={"max_completion_tokens": 9}
    )
    grader = {**SCORE, "sampling_params": {"max_completions_tokens": 100}}
    assert scored(OpenAIBackend(settings), grader).status == "scored"
    body = server.asked[0].body
    assert (body.get("max_tokens"), body["max_completion_tokens"]) == (None, 9)
    assert not caplog.messages


def test_what_is_left_out_is_told_once_for_each_model_with_the_setting(
    server: JudgeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = tmp_path / "graders.toml"
    config.write_text(f'[endpoints.mine]\nbase_url = "{server.url}"\n[models]\n"*" = "x@mine"\n')
    server.script = lambda asked: (
        error(400, "top_p is not supported.") if "top_p" in asked.body else judge.verdict(1)
    )
    grader = {**SCORE, "sampling_params": {"top_p": 0.5}}
    with Engine(judges=JudgeSettings(config=config)) as engine:
        assert [row.reward for row in engine.score(grader, rows(30))] == [1.0] * 30
    [told] = caplog.messages
    assert told == (
        f"`top_p` is left out for x at {server.url}, which refuses it: top_p is not supported; "
        '`drop = ["top_p"]` under [endpoints.mine] in graders.toml leaves it out from the start'
    )
    assert len(server.asked) == 31


def test_the_seeds_of_repeats_are_left_out_where_they_are_refused(
    server: JudgeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.script = lambda asked: (
        judge.http(
            422, json.dumps({"detail": [{"loc": ["body", "seed"], "msg": "extra"}]}).encode()
        )
        if "seed" in asked.body
        else judge.verdict(1)
    )
    assert scored(server.url, repeats=5).reward == 1.0
    assert len(server.asked) <= 7
    assert len(caplog.messages) == 1


def test_kept_replies_that_were_asked_for_without_an_option_say_so_once(
    server: JudgeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.script = lambda asked: (
        error(400, "top_p is not supported") if "top_p" in asked.body else judge.verdict(1)
    )
    grader = {**SCORE, "sampling_params": {"top_p": 0.5}}
    for _ in range(2):
        with Engine(judges=judging(server.url, cache=tmp_path / "cache.sqlite")) as engine:
            assert [row.reward for row in engine.score(grader, rows(5))] == [1.0] * 5
    assert len(server.asked) == 6
    fresh, kept = caplog.messages
    assert "is left out for judge-1" in fresh
    assert kept == "kept replies of judge-1 were asked for without `top_p`, which it refuses"
