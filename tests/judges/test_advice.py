"""What an endpoint refuses is said together with what mends it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine import Engine
from graders_engine.cli.main import graders
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.openai import OpenAIBackend
from tests.dataset.files import results, write_rows
from tests.judges import judge_server as judge
from tests.judges.judge_server import JudgeServer, Reply, error, http, judge_server, verdict
from tests.judges.rows import HASTY, SCORE, row, rows, scored

COSINE = {
    "type": "text_similarity", "name": "near", "evaluation_metric": "cosine",
    "input": "{{sample.output_text}}", "reference": "something else",
}  # fmt: skip
SERVER = "model_grader_server_error"
KEY_REFUSED = error(401, "Incorrect API key provided")


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


@pytest.fixture
def nobody() -> str:
    """The address of a port at which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}/v1"


def refused(server: JudgeServer, reply: Reply, **settings: Any) -> str:
    server.answers(reply)
    return scored(server.url, **settings).flags[SERVER]


def score(server_url: str, tmp_path: Path, *more: str, count: int = 300) -> Result:
    data = write_rows(tmp_path / "rows.jsonl", rows(count))
    command = ["score", "--grader", json.dumps(SCORE), "--data", str(data)]
    out = ["--out", str(tmp_path / "out.jsonl"), "--base-url", server_url, "--no-cache"]
    return CliRunner().invoke(graders, [*command, *out, *more])


def test_a_refused_key_comes_with_its_origin(
    server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused(server, KEY_REFUSED).endswith("No key was sent: OPENAI_API_KEY is not set.")
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    assert refused(server, KEY_REFUSED).endswith("No key was sent: OPENAI_API_KEY is empty.")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up")
    assert refused(server, KEY_REFUSED).endswith("The key came from OPENAI_API_KEY.")
    assert "The key came from OPENAI_API_KEY." in refused(server, error(403, "not allowed"))


def test_a_key_in_the_place_of_its_variables_name_is_not_repeated(server: JudgeServer) -> None:
    server.answers(KEY_REFUSED)
    settings = EndpointSettings(base_url=server.url, api_key_env="sk_made_up_0123456789")
    found = scored(OpenAIBackend(settings)).flags[SERVER]
    assert "sk_made_up" not in found
    assert found.endswith("No key was sent: the variable that api_key_env names is not set.")


def test_a_key_that_was_given_as_an_argument_is_called_so(server: JudgeServer) -> None:
    server.answers(KEY_REFUSED)
    found = scored(OpenAIBackend(server.url, api_key="sk-made-up")).flags[SERVER]
    assert found.endswith("The key was given as api_key.")


NOT_FOUND = http(404, b'{"detail":"Not Found"}')


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("", "Is /v1 missing at the end of the base URL?"),
        ("/", "Is /v1 missing at the end of the base URL?"),
        ("/api", "Is /v1 missing at the end of the base URL?"),
        ("/v1/chat/completions", '/v1/chat/completions: HTTP 404: {"detail":"Not Found"}'),
        ("/v1", 'HTTP 404: {"detail":"Not Found"}'),
        ("/openai/deployments/mine", 'HTTP 404: {"detail":"Not Found"}'),
    ],
)
def test_a_base_url_that_leads_nowhere_is_mended(
    server: JudgeServer, path: str, advice: str
) -> None:
    server.answers(NOT_FOUND)
    found = scored(server.url.removesuffix("/v1") + path).flags[SERVER]
    assert advice in found
    assert found.endswith("?") == advice.endswith("?")


@pytest.mark.parametrize(
    ("path", "reply", "advice"),
    [
        ("/v1/chat", NOT_FOUND, "Leave out /chat at the end of the base URL."),
        ("/api/chat", NOT_FOUND, "Write /v1 in place of /api/chat at the end of the base URL."),
        ("/v1", error(404, "This model is only supported in v1/responses."), 'set api = "responses"'),
        ("/v1", error(400, "max_tokens: Field required"), "Set max_completions_tokens in the grader's"),
        ("/v1", error(400, "parameter.enable_thinking must be set to false for non-streaming calls"),
         "Set extra_body = {enable_thinking = false} under [endpoints.default]"),
        ("/v1", error(400, "API key not valid. Please pass a valid API key."), "OPENAI_API_KEY"),
        ("/v1", http(301, Location="https://a/v1/chat/completions?key=secret"),
         "a redirect is not followed: write https://a/v1/chat/completions in place of this address"),
    ],
)  # fmt: skip
def test_an_address_or_a_key_that_does_not_fit_says_what_to_change(
    server: JudgeServer, path: str, reply: Any, advice: str
) -> None:
    server.answers(reply)
    found = scored(server.url.removesuffix("/v1") + path).flags[SERVER]
    assert advice in found
    assert "secret" not in found


@pytest.mark.parametrize("key", ["'sk-abcdefgh'", "Bearer sk-abcdefgh"])
def test_a_key_with_more_than_the_key_is_told(
    server: JudgeServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    server.answers(error(401, "Incorrect API key provided."))
    found = scored(server.url).flags[SERVER]
    assert "the key alone, without quotes and without the word Bearer" in found
    assert "sk-abcdefgh" not in found


MISSING_MODELS = {
    "OpenAI": (404, {"error": {"message": "The model `judge-1` does not exist or you do not have "
                               "access to it.", "code": "model_not_found"}}),
    "vLLM": (404, {"object": "error", "message": "The model `judge-1` does not exist.", "code": 404}),
    "Ollama": (404, {"error": {"message": 'model "judge-1" not found, try pulling it first'}}),
    "Gemini": (404, [{"error": {"code": 404, "message": "models/judge-1 is not found for API v1"}}]),
    "OpenRouter": (400, {"error": {"message": "judge-1 is not a valid model ID", "code": 400}}),
    "LiteLLM": (400, {"error": {"message": "Invalid model name passed in model=judge-1"}}),
    "Groq": (400, {"error": {"message": "It is decommissioned", "code": "model_decommissioned"}}),
    "another": (400, {"error": {"message": "Unsupported model judge-1"}}),
    "LM Studio": (404, {"error": {"message": "No models loaded. Please load a model."}}),
    "Mistral": (400, {"object": "error", "message": "Invalid model: judge-1", "code": "1500"}),
}  # fmt: skip


@pytest.mark.parametrize("name", MISSING_MODELS)
def test_a_model_that_the_endpoint_lacks_is_to_be_mapped(server: JudgeServer, name: str) -> None:
    status, body = MISSING_MODELS[name]
    found = refused(server, http(status, json.dumps(body).encode()))
    assert "--map judge-1=MODEL" in found
    found = refused(server, error(404, "The model `mine` does not exist."), models={"*": "mine"})
    assert "--map judge-1=MODEL" in found


@pytest.mark.parametrize(
    "message",
    [
        "This model does not support response_format, which is not available for judge-1",
        "max_tokens is too large for judge-1: 5000",
    ],
)
def test_another_mistake_with_a_models_name_in_it_is_not_taken_for_a_missing_model(
    server: JudgeServer, message: str
) -> None:
    assert "--map" not in refused(server, error(413, message))


def test_nothing_at_the_address_is_said_in_plain_words(
    nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = scored(nobody).flags[SERVER]
    assert f"{nobody}/chat/completions: the connection was refused: does a server run" in found

    def resolve(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    found = scored("http://no-such-host.invalid/v1").flags[SERVER]
    assert "there is no host of this name (DNS)" in found


def test_embeddings_say_the_same(server: JudgeServer, nobody: str) -> None:
    for reply, advice in (
        (KEY_REFUSED, "No key was sent: OPENAI_API_KEY is not set."),
        (error(404, "The model `e-5` does not exist."), "--embeddings openai:MODEL"),
    ):
        server.answers(reply)
        with Engine(embeddings=f"openai:e-5@{server.url}") as engine:
            [graded] = engine.score(COSINE, [row()])
        assert advice in graded.flags[SERVER]


def test_a_judge_that_refuses_the_key_is_asked_by_few_rows_and_the_command_goes_on_later(
    server: JudgeServer, tmp_path: Path
) -> None:
    server.answers(KEY_REFUSED)
    ended = score(server.url, tmp_path, "--concurrency", "4")
    assert ended.exit_code == 1
    assert "No key was sent: OPENAI_API_KEY is not set." in ended.stderr
    assert "nothing was written to" in ended.stderr
    assert len(server.asked) <= 16
    server.answers(verdict(1.0))
    assert score(server.url, tmp_path).exit_code == 0
    assert len(results(tmp_path / "out.jsonl")) == 300


def test_a_dead_judge_is_given_up_and_the_command_goes_on_later(
    server: JudgeServer, nobody: str, tmp_path: Path
) -> None:
    ended = score(nobody, tmp_path, "--judge-attempts", "1")
    assert ended.exit_code == 1
    assert "does a server run there" in ended.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_dead_embeddings_and_dead_endpoints_of_graders_are_given_up_as_well(
    nobody: str, tmp_path: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", rows(60))
    remote = {"type": "endpoint", "name": "mine", "url": nobody}
    for grader, more in ((COSINE, ["--embeddings", f"openai:e@{nobody}"]), (remote, [])):
        command = ["score", "--grader", json.dumps(grader), "--data", str(data), "--quiet"]
        settings = ["--judge-attempts", "1", "--out", str(tmp_path / "out.jsonl")]
        ended = CliRunner().invoke(graders, [*command, *settings, *more])
        assert (ended.exit_code, "does a server run there" in ended.stderr) == (1, True)


def test_a_judge_check_stops_and_fails_as_well(server: JudgeServer, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [{**one, "human": 1} for one in rows(100)])
    command = [
        "judge-check",
        "--grader",
        json.dumps(SCORE),
        "--data",
        str(data),
        "--human",
        "human",
    ]
    settings = ["--base-url", server.url, "--concurrency", "4", "--judge-attempts", "1"]
    server.answers(KEY_REFUSED)
    ended = CliRunner().invoke(graders, [*command, *settings, "--no-cache"])
    assert (ended.exit_code, "No key was sent" in ended.stderr) == (1, True)
    assert len(server.asked) <= 16
    server.answers(judge.answer(judge.said("no verdict at all")))
    ended = CliRunner().invoke(graders, [*command, *settings, "--no-cache"])
    assert (ended.exit_code, "The judge answered none of 100 rows" in ended.stderr) == (1, True)


def test_no_connection_is_not_waited_for_as_long_as_an_answer(nobody: str) -> None:
    patient = type(HASTY)(attempts=1000, unreachable_s=0.2, wait_initial_s=0.01, wait_max_s=0.05)
    assert "the connection was refused" in scored(nobody, retry=patient).flags[SERVER]
