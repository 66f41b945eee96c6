"""graders.toml, and the way from a grader's model name to what answers for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import Engine, InvalidRequest, UnavailableGrader
from graders_engine.cli.main import graders
from graders_engine.models.config import Config, read_config
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.policies import Price
from graders_engine.models.scripted import Scripted
from tests.judges.judge_server import JudgeServer, judge_server
from tests.judges.rows import SCORE, judging, rows

WHOLE = """
[endpoints.default]
base_url = "http://127.0.0.1:8000/v1"

[endpoints.azure]
base_url = "https://x.openai.azure.com/openai/deployments/gpt"
api = "responses"
api_key_env = "AZURE_KEY"
auth = "api-key"
headers = { "X-Team" = "a" }
query = { "api-version" = "2025-04-01-preview" }
structured = "json_object"
drop = ["seed", "max_completion_tokens"]
extra_body = { provider = { order = ["a"] }, top_k = 3 }
concurrency = 8
requests_per_minute = 60
tokens_per_minute = 9000.5

[models]
"gpt-4o-2024-08-06" = "qwen3:8b@azure"
"*" = "qwen3:8b"

[prices."qwen3:8b"]
input = 1
output = 2.5
cached_input = 0
"""
MISTAKES = """
[endpoint.x]
base_url = "http://127.0.0.1:8000/v1"
[endpoints.a]
base_url = 5
concurrency = "8"
api_key = "sk-secret"
modle = 1
[endpoints.b]
base_url = "ftp://host"
[endpoints.c]
api = "completions"
[endpoints.d]
concurrency = 0
[endpoints.e]
requests_per_minute = nan
[endpoints.f]
headers = { a = 1 }
[endpoints.g]
base_url = "https://me:password@host/v1"
[endpoints.h]
concurrency = true
[endpoints.i]
concurrency = 2.5
[endpoints.j]
drop = ["temprature", "seed"]
[endpoints.k]
drop = "seed"
[endpoints.l]
base_url = "http://127.0.0.1:8000/v1/responses"
api = "chat"
[models]
a = 5
b = "@x"
c = ""
[prices.x]
input = -1
output = "free"
[prices.y]
input = 1
[prices.z]
input = nan
output = inf
"""


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "graders.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path)


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(InvalidRequest) as refused:
        read(tmp_path, text)
    return str(refused.value).splitlines()


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


def test_a_file_with_everything(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE)
    assert config.endpoints["default"] == EndpointSettings(
        base_url="http://127.0.0.1:8000/v1", api_key_env=""
    )
    assert config.endpoints["azure"] == EndpointSettings(
        base_url="https://x.openai.azure.com/openai/deployments/gpt",
        api="responses",
        api_key_env="AZURE_KEY",
        auth="api-key",
        headers={"X-Team": "a"},
        query={"api-version": "2025-04-01-preview"},
        structured="json_object",
        drop=["max_tokens", "seed"],
        extra_body={"provider": {"order": ["a"]}, "top_k": 3},
        concurrency=8,
        requests_per_minute=60,
        tokens_per_minute=9000.5,
    )
    assert config.models == {"gpt-4o-2024-08-06": "qwen3:8b@azure", "*": "qwen3:8b"}
    assert config.prices == {"qwen3:8b": Price(input=1, output=2.5, cached_input=0)}


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "") == Config()


def test_all_mistakes_are_told_at_once_each_with_its_place(tmp_path: Path) -> None:
    told = mistakes(tmp_path, MISTAKES)
    wanted = [
        ("unknown table [endpoint]", "endpoints, models, prices"),
        ("[endpoints] a", "base_url: Expected `str`"),
        ("[endpoints] a", "concurrency: Expected `int"),
        ("[endpoints] a", "name its variable with api_key_env"),
        ("[endpoints] a", "unknown key modle; there are base_url, api"),
        ("[endpoints] b", "must start with http"),
        ("[endpoints] c", "chat, responses, not 'completions'"),
        ("[endpoints] d", "concurrency must be above 0"),
        ("[endpoints] e", "requests_per_minute must be above 0"),
        ("[endpoints] f", "headers.a: Expected `str`"),
        ("[endpoints] g", "must not hold a password"),
        ("[endpoints] h", "concurrency: Expected `int"),
        ("[endpoints] i", "concurrency: Expected `int"),
        ("[endpoints] j", "store, stream, temperature, top_p; 'temprature' is none of them"),
        ("[endpoints] k", "drop: Expected `array`"),
        ("[endpoints] l", 'but api is "chat"'),
        ("[models] a", "MODEL@ENDPOINT"),
        ("[models] b", "MODEL@ENDPOINT"),
        ("[models] c", "MODEL@ENDPOINT"),
        ("[prices] x", "output: Expected `float`"),
        ("[prices] y", "output must be there too"),
        ("[prices] z", "input is money per million tokens, not nan"),
    ]
    for place, words in wanted:
        assert any(f"graders.toml: {place}" in line and words in line for line in told), (
            place,
            told,
        )
    assert len(told) == len({place for place, _ in wanted})
    assert not any("sk-secret" in line or "me:password" in line for line in told)


@pytest.mark.parametrize(
    "text",
    ["endpoints = 5", "models = ['x']", "prices = 'x'", "[endpoints]\nx = 5", "[endpoints]\nx = []",
     "[prices]\nx = 5", "not toml", "[models]\na = 'x'\na = 'y'"],
)  # fmt: skip
def test_what_is_no_such_table_is_a_sentence(tmp_path: Path, text: str) -> None:
    assert len(mistakes(tmp_path, text)) == 1


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="No such file"):
        read_config(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidRequest, match=r"bytes\.toml"):
        read_config(tmp_path / "bytes.toml")


CONFIG = """
[endpoints.local]
base_url = "{url}/local"
[endpoints.default]
base_url = "{url}/default"
[models]
"from-file" = "file-model@local"
"both" = "file-model@local"
"named@version" = "file-model@local"
"""
MAPPED = [
    # the grader's model, the map given to the engine, the model and the endpoint that are asked
    ("any", {}, "any", "default"),
    ("with@sign", {}, "with@sign", "default"),
    ("any", {"any": "new"}, "new", "default"),
    ("any", {"any": "any@local"}, "any", "local"),
    ("any", {"any": "new@local"}, "new", "local"),
    ("any", {"any": "org/new:8b@tag@local"}, "org/new:8b@tag", "local"),
    ("any", {"*": "star@local"}, "star", "local"),
    ("any", {"any": "new", "*": "star"}, "new", "default"),
    ("from-file", {}, "file-model", "local"),
    ("named@version", {}, "file-model", "local"),
    ("both", {"both": "given"}, "given", "default"),
    ("from-file", {"*": "star"}, "star", "default"),  # --judge-model: whatever the grader names
    ("from-file", {"other": "x"}, "file-model", "local"),
]


@pytest.mark.parametrize(("model", "given", "asked", "endpoint"), MAPPED)
def test_where_a_model_is_asked(
    server: JudgeServer,
    tmp_path: Path,
    model: str,
    given: dict[str, str],
    asked: str,
    endpoint: str,
) -> None:
    path = tmp_path / "graders.toml"
    path.write_text(CONFIG.format(url=server.url))
    with Engine(judges=JudgeSettings(config=path, models=given)) as engine:
        assert engine.run({**SCORE, "model": model}, model_sample="x").reward == 1.0
        signature = engine.reward_settings(engine.compile({**SCORE, "model": model}))["judges"][
            model
        ]
    [request] = server.asked
    assert (request.body["model"], request.path) == (asked, f"/v1/{endpoint}/chat/completions")
    assert signature.startswith(f"{asked}, openai-compatible chat at {server.url}/{endpoint}")


def test_the_star_of_the_file_is_for_every_other_name(server: JudgeServer, tmp_path: Path) -> None:
    path = tmp_path / "graders.toml"
    path.write_text(CONFIG.format(url=server.url) + '"*" = "rest@local"\n')
    with Engine(judges=JudgeSettings(config=path, models={"mine": "other"})) as engine:
        for model in ("any", "both", "mine"):
            engine.run({**SCORE, "model": model}, model_sample="x")
    assert [asked.body["model"] for asked in server.asked] == ["rest", "file-model", "other"]


def test_a_model_without_an_endpoint_is_refused_before_any_row_with_how_to_map_it() -> None:
    with Engine() as engine:
        calls = (
            lambda: engine.run(SCORE, model_sample="x"),
            lambda: engine.score(SCORE, rows(1)),
        )
        for call in calls:
            with pytest.raises(UnavailableGrader) as refused:
                call()
            for way in ("OPENAI_BASE_URL", "--base-url", "--map judge-1=MODEL", "[models]"):
                assert way in str(refused.value)
        [warning] = engine.validate(SCORE).warnings
        assert "'judge-1' has no endpoint" in warning.message


def test_a_map_to_an_endpoint_that_is_not_there_names_those_that_are() -> None:
    judges = JudgeSettings(endpoints={"here": Scripted(1.0)}, models={"judge-1": "x@there"})
    with (
        Engine(judges=judges) as engine,
        pytest.raises(UnavailableGrader, match=r"'there', which is not defined \(defined: here\)"),
    ):
        engine.run(SCORE, model_sample="x")


def test_the_environment_names_the_endpoint(
    server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    with Engine() as engine:
        assert engine.run(SCORE, model_sample="x").reward == 1.0
    monkeypatch.setenv("OPENAI_BASE_URL", "nonsense")
    with Engine() as engine, pytest.raises(InvalidRequest, match="must start with http"):
        engine.run(SCORE, model_sample="x")


def test_options_of_the_default_endpoint_keep_the_address_of_the_environment(
    server: JudgeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "graders.toml"
    path.write_text('[endpoints.default]\ndrop = ["temperature"]\n', encoding="utf-8")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    with Engine(judges=JudgeSettings(config=path)) as engine:
        engine.run(SCORE, model_sample="x")
    assert len(server.asked) == 1


def test_a_key_alone_means_the_api_s_own_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    with Engine() as engine:
        settings = engine.reward_settings(engine.compile(SCORE))
    assert settings["judges"] == {
        "judge-1": "judge-1, openai-compatible chat at https://api.openai.com/v1"
    }


def test_a_budget_in_money_needs_the_price() -> None:
    with (
        Engine(judges=judging(Scripted(1.0), max_cost=1.0)) as engine,
        pytest.raises(UnavailableGrader, match=r'\[prices\."judge-1"\] input'),
    ):
        engine.run(SCORE, model_sample="x")


def test_an_endpoint_s_own_limits_come_before_the_engine_s(
    server: JudgeServer, tmp_path: Path
) -> None:
    path = tmp_path / "graders.toml"
    path.write_text(f'[endpoints.default]\nbase_url = "{server.url}"\nconcurrency = 2\n')
    with Engine(judges=JudgeSettings(config=path, concurrency=50)) as engine:
        assert len(list(engine.score(SCORE, rows(30)))) == 30
    assert server.most_in_flight <= 2


def run(*arguments: str) -> Any:
    return CliRunner().invoke(
        graders, ["run", "--grader", json.dumps(SCORE), "--model-sample", "x", *arguments]
    )


def test_the_flags_map_and_name(
    server: JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "graders.toml").write_text(CONFIG.format(url=server.url))
    monkeypatch.chdir(tmp_path)
    for flags in (
        [],
        ["--map", "judge-1=new@local"],
        ["--judge-model", "other@local"],
        ["--base-url", f"{server.url}/given"],
        ["--map", "judge-1=new", "--judge-model", "other"],
    ):
        assert run(*flags).exit_code == 0
    asked = [(one.body["model"], one.path.split("/")[2]) for one in server.asked]
    assert asked == [
        ("judge-1", "default"), ("new", "local"), ("other", "local"), ("judge-1", "given"),
        ("new", "default"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "--map judge-1=MODEL"),
        (["--map", "judge-1"], "write OLD=NEW"),
        (["--base-url", "nonsense"], "must start with http"),
        (["--config", "none.toml"], "No such file"),
        (["--replay", "nowhere"], "There is no transcript"),
        (["--cache", "x", "--no-cache"], "contradict each other"),
        (["--record", "a", "--replay", "a"], "not both at once"),
        (["--max-cost", "1", "--base-url", "http://127.0.0.1:1/v1"], "needs the price"),
    ],
)
def test_flags_that_cannot_be_used_are_a_sentence_and_exit_code_2(
    flags: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = run(*flags)
    assert asked.exit_code == 2
    assert words in asked.stderr
    assert "Traceback" not in asked.output
