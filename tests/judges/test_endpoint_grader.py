"""The endpoint grader: a user's server gives the score."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import Engine, UnavailableGrader
from graders_engine.cli.main import graders
from graders_engine.models.redaction import without_secrets
from tests.judges import judge_server as judge
from tests.judges.judge_server import JudgeServer, answer, error, http, judge_server
from tests.judges.rows import row, rows

SERVER = "endpoint_grader_server_error"
INTERNAL = "endpoint_grader_internal_error"
KEY = "sk-secret-of-the-endpoint"


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        opened.answers(answer({"score": 0.5}))
        yield opened


def grader(server: JudgeServer, **more: Any) -> dict[str, Any]:
    return {"type": "endpoint", "name": "e", "url": f"{server.url}/grade", **more}


def graded(server: JudgeServer, **more: Any) -> Any:
    with Engine() as engine:
        [one] = engine.score(grader(server, **more), [row("the text", label="cat")])
    return one


def test_sample_and_item_are_sent_and_the_score_comes_back(server: JudgeServer) -> None:
    one = graded(server, headers={"X-Key": KEY})
    assert (one.reward, one.status, one.flags) == (0.5, "scored", {})
    [asked] = server.asked
    assert set(asked.body) == {"sample", "item", "trace_id"}
    assert asked.body["item"] == {"label": "cat"}
    assert asked.body["sample"]["output_text"] == "the text"
    assert asked.body["sample"]["choices"][0]["message"]["content"] == "the text"
    assert asked.headers["x-key"] == KEY
    assert asked.path == "/v1/grade"


def test_each_row_has_a_trace_of_its_own(server: JudgeServer) -> None:
    with Engine() as engine:
        list(engine.score(grader(server), [row("same")] * 5))
    assert len({asked.body["trace_id"] for asked in server.asked}) == 5


@pytest.mark.parametrize("score", [0, 1, -2.5, 1e9, 0.123456789])
def test_a_score_is_not_clamped(server: JudgeServer, score: float) -> None:
    server.answers(answer({"score": score, "more": {"notes": "let through"}}))
    assert graded(server).reward == score


FAULTS: dict[str, tuple[judge.Reply, str, int]] = {
    "no score": (answer({}), INTERNAL, 1),
    "a score as a string": (answer({"score": "0.5"}), INTERNAL, 1),
    "a score that is true": (answer({"score": True}), INTERNAL, 1),
    "a score that is null": (answer({"score": None}), INTERNAL, 1),
    "a list": (answer([0.5]), INTERNAL, 1),
    "a number alone": (answer(0.5), INTERNAL, 1),
    "1e999": (http(200, b'{"score": 1e999}'), INTERNAL, 1),
    "an integer beyond all doubles": (http(200, b'{"score": 1' + b"0" * 400 + b"}"), INTERNAL, 1),
    "NaN": (http(200, b'{"score": NaN}'), SERVER, 4),
    "no JSON": (http(200, b"<html>"), SERVER, 4),
    "more than 1 MB": (http(200, b'{"score": 1}' + b" " * (1 << 20)), SERVER, 1),
    "400": (error(400, "bad"), SERVER, 1),
    "a redirect": (http(302, Location="http://127.0.0.1:1/"), SERVER, 1),
    "503": (error(503, "busy", Retry_After="0"), SERVER, 4),
    "429": (error(429, "slow", Retry_After="0"), SERVER, 4),
}


@pytest.mark.parametrize(("reply", "flag", "requests"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_endpoint_ends_in_its_flag(
    server: JudgeServer, reply: judge.Reply, flag: str, requests: int
) -> None:
    server.answers(reply)
    one = graded(server, headers={"X-Key": KEY})
    assert one.reward is None
    assert one.status == ("failed" if flag == SERVER else "invalid")
    assert list(one.flags) == [flag]
    assert len(server.asked) == requests
    assert KEY not in one.flags[flag]


def test_an_answer_of_nearly_1_mb_is_read(server: JudgeServer) -> None:
    server.answers(http(200, b'{"score": 1}' + b" " * ((1 << 20) - 20)))
    assert graded(server).reward == 1.0


def test_the_third_try_again_still_counts(server: JudgeServer) -> None:
    busy = error(503, "busy", Retry_After="0")
    server.answers(busy, busy, busy, answer({"score": 0.25}))
    assert graded(server).reward == 0.25
    assert len(server.asked) == 4


def test_the_wire_form_has_a_zero_and_the_details(server: JudgeServer) -> None:
    server.answers(answer({"scores": 1}))
    with Engine() as engine:
        response = engine.run(grader(server), model_sample="x")
    errors = response.metadata.errors
    assert response.reward == 0.0
    assert errors.endpoint_grader_internal_error is True
    assert "without a number as `score`" in (errors.endpoint_grader_internal_error_details or "")


def test_an_engine_that_sends_nothing_says_so_before_any_row(server: JudgeServer) -> None:
    multi = {
        "type": "multi",
        "graders": {"e": grader(server)},
        "calculate_output": "e",
    }
    with Engine(allow_endpoints=False) as engine:
        for one in (grader(server), multi):
            with pytest.raises(UnavailableGrader, match="send rows to the address"):
                engine.run(one, model_sample="x")
            with pytest.raises(UnavailableGrader):
                engine.score(one, rows(1))
    assert not server.asked


def test_a_rate_limit_of_zero_is_none(server: JudgeServer) -> None:
    with Engine() as engine:
        graded_ = list(engine.score(grader(server, rate_limit=0), rows(20)))
    assert [one.reward for one in graded_] == [0.5] * 20


@pytest.mark.parametrize("in_multi", [False, True])
def test_the_values_of_headers_are_left_nowhere(
    server: JudgeServer,
    in_multi: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers(answer({"score": "none"}))
    one: dict[str, Any] = grader(server, headers={"Authorization": f"Bearer {KEY}"})
    if in_multi:
        one = {"type": "multi", "graders": {"e": one}, "calculate_output": "e"}
    (tmp_path / "grader.json").write_text(json.dumps(one))
    (tmp_path / "data.jsonl").write_text(json.dumps(row()) + "\n")
    out = tmp_path / "out.jsonl"
    arguments = ["score", "--grader", f"@{tmp_path / 'grader.json'}", "--out", str(out),
                 "--data", str(tmp_path / "data.jsonl")]  # fmt: skip
    done = CliRunner().invoke(graders, arguments)
    assert done.exit_code == 1, done.output  # nothing is scored
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    left = [path for path in tmp_path.iterdir() if KEY.encode() in path.read_bytes()]
    assert [path.name for path in left] == ["grader.json"]
    assert KEY not in done.output + caplog.text
    with Engine() as engine:
        assert KEY not in json.dumps(engine.compile(one).masked)


def test_the_same_endpoint_with_another_key_goes_on_with_the_results(
    server: JudgeServer, tmp_path: Path
) -> None:
    (tmp_path / "data.jsonl").write_text(json.dumps(row()) + "\n")
    for key in ("one", "two"):
        one = grader(server, headers={"X-Key": key})
        arguments = ["score", "--grader", json.dumps(one), "--data", str(tmp_path / "data.jsonl"),
                     "--out", str(tmp_path / "out.jsonl")]  # fmt: skip
        assert CliRunner().invoke(graders, arguments).exit_code == 0
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/s?code=KEY", "https://a.example/s"),
        ("https://me:KEY@a.example:8443/s#x", "https://a.example:8443/s"),
        ("http://a.example", "http://a.example"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_key(url: str, shown: str) -> None:
    assert without_secrets(url) == shown
    with Engine() as engine:
        part = {"type": "endpoint", "url": url, "headers": {"x-key": "KEY"}}
        multi = {"type": "multi", "graders": {"a": part}, "calculate_output": "a"}
        assert engine.compile(multi).given["graders"]["a"]["url"] == url
        assert engine.compile(multi).masked["graders"]["a"]["url"] == shown
        assert "KEY" not in json.dumps(engine.compile(multi).masked)
