"""What an endpoint does not know is found out and remembered; keys are sent and never written down."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import Engine, InvalidRequest
from graders_engine.cli.main import graders
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.openai import OpenAIBackend
from graders_engine.models.retry import retry_after_s
from tests.judges import judge_server as judge
from tests.judges.judge_server import JudgeServer, answer, error, judge_server, said
from tests.judges.rows import SCORE, judging, row, scored

KEY = "sk-secret-0123456789"
GRADER = {
    **SCORE,
    "input": [{"role": "developer", "content": "Be strict."}, SCORE["input"][1]],
    "sampling_params": {"max_tokens": 9},
}


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


def knows_all_but(*unknown: str) -> Any:
    """An endpoint that says what it does not know in the words of real ones."""
    prose = f"Well: {judge.verdict_text(0.5)}" if "json_object" in unknown else None

    def reply(asked: judge.Asked) -> judge.Reply:
        body = asked.body
        form = body.get("response_format", {}).get("type")
        if "max_completion_tokens" in unknown and "max_completion_tokens" in body:
            return error(400, "Unsupported parameter: 'max_completion_tokens'")
        if "developer" in unknown and body["messages"][0]["role"] == "developer":
            return error(422, "messages[0].role: developer is none of the roles")
        if form in unknown:
            return error(400, f"This response_format type is unavailable: {form}")
        return answer(said(prose or judge.verdict_text(0.5)))

    return reply


@pytest.mark.parametrize(
    ("unknown", "form", "limit", "roles"),
    [
        ([], "json_schema", "max_completion_tokens", ["developer", "user"]),
        (["json_schema"], "json_object", "max_completion_tokens", ["system", "developer", "user"]),
        (["json_schema", "json_object"], None, "max_completion_tokens", ["system", "developer", "user"]),
        (["max_completion_tokens"], "json_schema", "max_tokens", ["developer", "user"]),
        (["developer"], "json_schema", "max_completion_tokens", ["system", "user"]),
        (
            ["json_schema", "json_object", "max_completion_tokens", "developer"],
            None, "max_tokens", ["system", "user"],
        ),
    ],
)  # fmt: skip
def test_each_thing_that_an_endpoint_does_not_know_costs_one_request(
    server: JudgeServer, unknown: list[str], form: str | None, limit: str, roles: list[str]
) -> None:
    server.script = knows_all_but(*unknown)
    with Engine(judges=judging(server.url)) as engine:
        for n in range(3):
            response = engine.run(GRADER, model_sample=str(n))
            assert (response.reward, response.flags) == (0.5, {})
    assert len(server.asked) == len(unknown) + 3
    body = server.asked[-1].body
    assert body.get("response_format", {}).get("type") == form
    assert body[limit] == 9
    assert [message["role"] for message in body["messages"]] == roles
    # Where the schema cannot be sent, its words are.
    told = "must match this JSON Schema" in body["messages"][0]["content"]
    assert told == (form != "json_schema")


def test_what_was_found_out_holds_for_one_model(server: JudgeServer) -> None:
    server.script = lambda asked: knows_all_but(
        *(["json_schema"] if asked.body["model"] == "old" else [])
    )(asked)
    with Engine(judges=judging(server.url)) as engine:
        for model in ("old", "judge-1", "old", "judge-1"):
            assert engine.run({**GRADER, "model": model}, model_sample="x").reward == 0.5
    forms = [asked.body.get("response_format", {}).get("type") for asked in server.asked]
    assert forms == ["json_schema", "json_object", "json_schema", "json_object", "json_schema"]


def test_an_endpoint_that_refuses_everything_is_an_outage_soon(server: JudgeServer) -> None:
    server.answers(error(400, "response_format, max_completion_tokens, role developer: no"))
    graded = scored(server.url, GRADER)
    assert graded.status == "failed"
    assert "HTTP 400" in graded.flags["model_grader_server_error"]
    assert len(server.asked) == 3


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("structured", ["json_schema", "json_object", "text"])
def test_a_form_that_was_told_is_kept_to(server: JudgeServer, structured: str, api: str) -> None:
    if api == "responses":
        server.answers(answer(judge.responded(judge.spoken(judge.verdict_text(1)))))
    settings = EndpointSettings(base_url=server.url, structured=structured, api=api)
    assert scored(OpenAIBackend(settings)).reward == 1.0
    body = server.asked[0].body
    told = body.get("response_format") or body.get("text", {}).get("format") or {"type": "text"}
    assert told["type"] == structured
    server.answers(error(400, "response_format is unknown"))
    assert scored(OpenAIBackend(settings)).status == "failed"
    assert len(server.asked) == 2


def test_azure_is_asked_with_its_own_header_and_version(server: JudgeServer) -> None:
    settings = EndpointSettings(
        base_url=f"{server.url}/openai/deployments/gpt/",
        auth="api-key",
        query={"api-version": "2025-04-01-preview"},
        headers={"X-Team": "a"},
    )
    assert scored(OpenAIBackend(settings, api_key=KEY)).reward == 1.0
    [asked] = server.asked
    assert asked.path == (
        "/v1/openai/deployments/gpt/chat/completions?api-version=2025-04-01-preview"
    )
    assert asked.headers["api-key"] == KEY
    assert asked.headers["x-team"] == "a"
    assert "authorization" not in asked.headers


def test_the_key_comes_from_the_environment_without_its_line_end(
    server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\r\n")
    assert scored(server.url).reward == 1.0
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_key_that_no_header_can_hold_is_a_sentence_without_it() -> None:
    with pytest.raises(InvalidRequest, match="OPENAI_API_KEY") as refused:
        OpenAIBackend("http://127.0.0.1:1/v1", api_key="sk-sec\nret")
    assert "ret" not in str(refused.value).replace("secret", "")
    with pytest.raises(InvalidRequest, match="cannot be sent"):
        OpenAIBackend("http://127.0.0.1:1/v1", api_key="sk-schlüssel-漢")


def test_no_key_is_sent_where_there_is_none(server: JudgeServer) -> None:
    scored(server.url)
    assert "authorization" not in server.asked[0].headers


FAULTS: dict[str, judge.Reply] = {
    "sound": judge.verdict(1),
    "401": error(401, "no such key"),
    "429": error(429, "slow down", Retry_After="0"),
    "reset": judge.hang_up,
    "redirect": judge.http(302, Location="http://127.0.0.1:1/"),
    "not JSON": judge.http(200, b"<html>"),
    "prose": answer(said("hello")),
}


@pytest.mark.parametrize("reply", FAULTS.values(), ids=FAULTS)
def test_a_run_leaves_its_keys_nowhere(
    server: JudgeServer,
    reply: judge.Reply,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers(reply)
    monkeypatch.setenv("MY_KEY", KEY)
    (tmp_path / "data.jsonl").write_text(json.dumps(row()) + "\n" + json.dumps(row("b")) + "\n")
    (tmp_path / "graders.toml").write_text(
        f'[endpoints.default]\nbase_url = "{server.url}"\napi_key_env = "MY_KEY"\n'
        f'query = {{ key = "{KEY}" }}\nextra_body = {{ user = "{KEY}" }}\n'
        f'headers = {{ "X-Key" = "{KEY}" }}\n'
    )
    monkeypatch.chdir(tmp_path)
    arguments = ["score", "--grader", json.dumps(SCORE), "--data", "data.jsonl", "--out", "out.jsonl",
                 "--cache", "cache.sqlite", "--record", "record", "--judge-attempts", "1",
                 "--keep-going"]  # fmt: skip
    asked = CliRunner().invoke(graders, arguments)
    assert asked.exit_code in (0, 1), asked.output  # 1 where nothing is scored
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.asked[0].body["user"] == KEY
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "graders.toml"]
    assert {"out.jsonl", "out.jsonl.meta.json", "cache.sqlite", "transcript.jsonl"} <= {
        path.name for path in left
    }
    assert [path.name for path in left if KEY.encode() in path.read_bytes()] == []
    assert KEY not in asked.output
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"retry-after": "3"}, 3, 3),
        ({"retry-after": "0.5"}, 0.5, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5, 1.5),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9, 9),
        ({"retry-after": "-3"}, 0, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0, 0),
        ({"retry-after": "Wed, 21 Oct 2105 07:28:00 GMT"}, 1e9, 1e10),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], low: float, high: float) -> None:
    wait = retry_after_s(headers)
    assert wait is not None
    assert low <= wait <= high


def test_a_wait_that_is_none_is_left_to_the_retry_policy() -> None:
    for text in ("", "soon", "nan", "inf", "-inf", "1e999", "Wed, 99 Oct 2015", "0 Jan 0000 0:0:0"):
        assert retry_after_s({"retry-after": text}) is None, text


def test_an_address_that_is_none_is_a_sentence() -> None:
    for address in ("http://", "http://[::1", "http:///v1", "ftp://host/", "http://me:pw@host/"):
        with pytest.raises(InvalidRequest, match="The endpoint: "):
            OpenAIBackend(address)
    with pytest.raises(InvalidRequest, match="has a port above 65535"):
        scored("http://127.0.0.1:99999/v1")
