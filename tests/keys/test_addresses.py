"""Addresses that hold a key, or may be read in several ways: refused, or shown without it."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import Engine
from graders_engine.cli.main import graders
from graders_engine.errors import DataSetError, GradersError, InvalidGrader, InvalidRequest
from graders_engine.evals.hosted.download import EvalsApi
from graders_engine.models.config import read_config
from graders_engine.models.endpoint import EndpointSettings
from tests.judges.rows import SCORE

KEY = "Pa5sw0rd-CANARY"
COSINE = {"type": "text_similarity", "evaluation_metric": "cosine", "input": "a", "reference": "b"}
AMBIGUOUS = [
    f"http:/user:{KEY}@h/v1", f"user:{KEY}@h/v1", f"//user:{KEY}@h/v1", f"ftp://user:{KEY}@h/v1",
    f"http://user:{KEY}#x@h/v1", f"http://user:{KEY}?x@h/v1", f"http://user:{KEY}/x@h/v1",
    f"http://us@er:{KEY}@h/v1", f"http://user:{KEY}%40h/v1", f"http://user%3A{KEY}%40h/v1",
    f"http://user:80?{KEY}@h/v1", f"http://user:80/{KEY}@h/v1", f"http://h/v1?mail={KEY}@x",
    f"http:\\\\user:{KEY}@h", f"http://h\\{KEY}@x/", f"http://h:{KEY}/v1", f"http://[::1{KEY}/v1",
    f"http://h/v1 {KEY}", f"http://h/v1\n{KEY}", f"http://h/\t{KEY}", f"http:///{KEY}", f"http://h@/{KEY}",
    f"https//{KEY}@h/v1", f"h?api-key={KEY}", f"http://:{KEY}", f"http://user:{KEY}@[::1/v1",
]  # fmt: skip
"""With a password, or what another reader may take for one."""
WITH_A_PASSWORD = [
    f"http://user:{KEY}@h/v1", f"HTTP://user:{KEY}@h/v1?a=b", f" https://{KEY}@h/v1", f"http://:{KEY}@h/",
]  # fmt: skip


def judged(url: str) -> None:
    with Engine(judges=url) as engine:
        engine.run(SCORE, model_sample="x")


def embedded(url: str) -> None:
    with Engine(embeddings=f"openai:m@{url}") as engine:
        engine.run(COSINE, model_sample="x")


def mapped(url: str) -> None:
    judges = {"gpt": f"m@{url}"}
    with Engine(judges=_settings(judges)) as engine:
        engine.run({**SCORE, "model": "gpt"}, model_sample="x")


def _settings(models: dict[str, str]) -> Any:
    from graders_engine import JudgeSettings

    return JudgeSettings(models=models)


def configured(url: str) -> None:
    Path("graders.toml").write_text(f"[endpoints.a]\nbase_url = {json.dumps(url)}\n")
    read_config(Path("graders.toml"))


def downloaded(url: str) -> None:
    EvalsApi("sk-1", url)


def graded(url: str) -> None:
    with Engine() as engine:
        engine.compile({"type": "endpoint", "url": url})


USES: dict[str, tuple[Callable[[str], None], type[GradersError]]] = {
    "judges": (judged, InvalidRequest),
    "embeddings": (embedded, InvalidRequest),
    "a map of models": (mapped, InvalidRequest),
    "graders.toml": (configured, InvalidRequest),
    "a download": (downloaded, DataSetError),
    "an endpoint grader": (graded, InvalidGrader),
}


def shown(error: BaseException | None) -> str:
    seen = []
    while error is not None:
        seen += [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
        error = error.__cause__ or error.__context__
    return "\n".join(seen)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("url", [*AMBIGUOUS, *WITH_A_PASSWORD])
@pytest.mark.parametrize(("use", "error"), USES.values(), ids=USES)
def test_an_address_with_a_key_is_refused_and_not_repeated(
    use: Callable[[str], None], error: type[GradersError], url: str
) -> None:
    if use is graded and url in WITH_A_PASSWORD:
        with Engine() as engine:
            masked = engine.compile({"type": "endpoint", "url": url.strip().lower()}).masked
        assert KEY.lower() not in json.dumps(masked)
        return
    with pytest.raises(error) as refused:
        use(url)
    assert KEY not in shown(refused.value)


@pytest.mark.parametrize("url", [*AMBIGUOUS, *WITH_A_PASSWORD])
def test_the_command_line_repeats_no_such_address(url: str) -> None:
    Path("graders.toml").write_text("")
    score, cosine = json.dumps(SCORE), json.dumps(COSINE)
    calls = [
        ["--grader", score, "--base-url", url],
        ["--grader", score, "--map", f"judge-1=m@{url}"],
        ["--grader", score, "--map", url],
        ["--grader", score, "--judge-model", f"m@{url}"],
        ["--grader", cosine, "--embeddings", f"openai:m@{url}"],
        ["--grader", cosine, "--embeddings", url],
        ["--grader", cosine, "--embeddings", f"lexical:{url}"],
        [
            "--grader",
            json.dumps({"type": "endpoint", "url": url.strip(), "headers": {"a": KEY}})[:-1],
        ],
        ["--grader", f"type: endpoint\nheaders:\n  a: {KEY}\n   b: c\nurl: h"],
    ]
    for arguments in calls:
        done = CliRunner().invoke(graders, ["run", "--model-sample", "x", *arguments])
        assert done.exit_code == 2, arguments
        assert KEY not in done.output, arguments
    environment = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-1"}
    for arguments in (
        ["run", "--grader", score, "--model-sample", "x"],
        ["import", "evals", "--from-api", "--out", "o"],
    ):
        done = CliRunner().invoke(graders, arguments, env=environment)
        assert done.exit_code in (1, 2)
        assert KEY not in done.output
        assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "proxy", [f"http://user:{KEY}#x@h:1", f"http://user:{KEY}@h:bad", f"socks5://user:{KEY}@h:1"]
)
def test_a_proxy_that_cannot_be_used_is_a_sentence_without_its_password(proxy: str) -> None:
    environment = {
        "HTTPS_PROXY": proxy, "https_proxy": proxy, "no_proxy": "", "NO_PROXY": "",
        "OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "https://evals.example/v1",
    }  # fmt: skip
    done = CliRunner().invoke(
        graders, ["import", "evals", "--from-api", "--out", "o"], env=environment
    )
    assert done.exit_code == 1
    assert "proxy" in done.output
    assert KEY not in done.output


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        (f"http://h/v1;key={KEY}", "http://h/v1"),
        (f"http://h/v1?key={KEY}", "http://h/v1"),
        (f"http://h/v1#{KEY}", "http://h/v1"),
        ("http://h/v1/\n", "http://h/v1"),
        ("https://[::1]:8443/v1", "https://[::1]:8443/v1"),
        ("https://me.openai.azure.com/openai/deployments/a%40b", None),
    ],
)
def test_an_endpoint_is_shown_without_what_may_be_a_key(url: str, masked: str | None) -> None:
    settings = EndpointSettings(base_url=url)
    assert settings.address == (masked or url)
    assert KEY not in repr(settings)


def test_a_key_in_the_path_of_an_address_is_masked_where_it_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with Engine(judges=f"http://127.0.0.1:9/{KEY}/v1") as engine:
        settings = engine.reward_settings(engine.compile(SCORE))
    assert settings["judges"]["judge-1"].endswith("http://127.0.0.1:9/***/v1")


@pytest.mark.parametrize("field", ["api_key_env", "auth", "api", "structured"])
def test_a_key_in_a_wrong_field_is_refused_and_not_repeated(field: str) -> None:
    with pytest.raises(ValueError, match=field) as refused:
        EndpointSettings(**{field: KEY})  # type: ignore[arg-type] # the mistake that is tested
    assert KEY not in shown(refused.value)


WRONG_GRADERS: list[dict[str, Any]] = [
    {"headers": {"X": [KEY]}}, {"headers": f"X: {KEY}"}, {"headers": [KEY]},
    {"url": 5, "headers": {"X": KEY}},
    {"rate_limit": KEY}, {"rate_limit": -1, "headers": {"X": KEY}}, {"api_key": KEY}, {"type": "endpoints"},
    {"headers": {"X": None, "Y": KEY}},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_GRADERS)
def test_the_mistakes_of_a_grader_repeat_no_header(wrong: dict[str, Any]) -> None:
    grader = {"type": "endpoint", "url": f"http://h/?k={KEY}", "headers": {"X": KEY}, **wrong}
    multi = {"type": "multi", "graders": {"a": grader}, "calculate_output": "a"}
    with Engine() as engine:
        for one in (grader, multi):
            with pytest.raises(InvalidGrader) as refused:
                engine.compile(one)
            assert KEY not in shown(refused.value)
