"""Addresses as people paste them: what stands at their end is used rightly, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.errors import BackendRejected
from graders_engine.models.endpoint import Endpoint, EndpointSettings
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.openai import OpenAIBackend
from graders_engine.models.retry import OnRetry, RetryPolicy
from tests.judges import judge_server as judge
from tests.judges.judge_server import Asked, JudgeServer, Reply, answer, judge_server
from tests.judges.rows import HASTY, SCORE, judging

VERSION = "?api-version=2024-10-21"
AZURE = "/openai/deployments/judge"
KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhenVyZSJ9.c2lnbmF0dXJl"  # noqa: S105 - made up
PASTED = [
    # what is pasted behind the host, and the path that is asked
    ("/v1", "/v1/chat/completions"),
    ("/v1/", "/v1/chat/completions"),
    ("/v1/chat/completions", "/v1/chat/completions"),
    ("/v1/chat/completions/", "/v1/chat/completions"),
    ("/v1//chat/completions", "/v1/chat/completions"),
    ("/v1/models", "/v1/chat/completions"),
    ("/models", "/models/chat/completions"),
    ("/v1/completions", "/v1/chat/completions"),
    ("/v1/responses", "/v1/responses"),
    ("/openai/v1/", "/openai/v1/chat/completions"),
    ("/openai/v1/responses", "/openai/v1/responses"),
    (f"{AZURE}{VERSION}", f"{AZURE}/chat/completions{VERSION}"),
    (f"{AZURE}/{VERSION}", f"{AZURE}/chat/completions{VERSION}"),
    (f"{AZURE}/chat/completions{VERSION}", f"{AZURE}/chat/completions{VERSION}"),
    (f"/openai/responses{VERSION}", f"/openai/responses{VERSION}"),
    (f"/v1{VERSION}&b=1", f"/v1/chat/completions{VERSION}&b=1"),
    ("", "/chat/completions"),
]


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        opened.script = both_forms
        yield opened


def both_forms(asked: Asked) -> Reply:
    if "/embeddings" in asked.path:
        vectors = [{"index": n, "embedding": [1.0, 0.0]} for n, _ in enumerate(asked.body["input"])]
        return answer({"data": vectors, "usage": {"total_tokens": 1}})
    if "input" in asked.body:
        return answer(judge.responded(judge.spoken(judge.verdict_text(1))))
    return judge.verdict(1)


def host(server: JudgeServer) -> str:
    return server.url.removesuffix("/v1")


@pytest.mark.parametrize(("pasted", "asked"), PASTED)
@pytest.mark.parametrize("way", ["endpoints", "graders.toml", "environment"])
def test_an_address_is_asked_where_it_leads(
    server: JudgeServer,
    pasted: str,
    asked: str,
    way: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = host(server) + pasted
    config = tmp_path / "graders.toml"
    config.write_text(f'[endpoints.default]\nbase_url = "{address}"\n')
    if way == "environment":
        monkeypatch.setenv("OPENAI_BASE_URL", address)
    settings = {
        "endpoints": judging(address),
        "graders.toml": JudgeSettings(config=config),
        "environment": JudgeSettings(),
    }
    with Engine(judges=settings[way]) as engine:
        assert engine.run(SCORE, model_sample="x").reward == 1.0
    assert [one.path for one in server.asked] == [asked]


@pytest.mark.parametrize(
    ("pasted", "asked"),
    [
        ("/v1", "/v1/embeddings"),
        ("/v1/embeddings", "/v1/embeddings"),
        ("/v1/chat/completions", "/v1/embeddings"),
        (f"{AZURE}/embeddings{VERSION}", f"{AZURE}/embeddings{VERSION}"),
        (f"{AZURE}{VERSION}", f"{AZURE}/embeddings{VERSION}"),
    ],
)
def test_embeddings_read_an_address_in_the_same_way(
    server: JudgeServer, pasted: str, asked: str
) -> None:
    grader = {
        "type": "text_similarity", "name": "t", "evaluation_metric": "cosine",
        "input": "{{sample.output_text}}", "reference": "b",
    }  # fmt: skip
    with Engine(embeddings=f"openai:m@{host(server)}{pasted}") as engine:
        assert engine.run(grader, model_sample="a").reward == pytest.approx(1.0)
    assert {one.path for one in server.asked} == {asked}


def test_an_address_and_a_form_that_contradict_each_other_are_refused_with_both_settings() -> None:
    with pytest.raises(ValueError, match=r'base_url ends with .* "responses", but api is "chat"'):
        EndpointSettings(base_url="http://127.0.0.1:1/v1/responses", api="chat")
    with pytest.raises(ValueError, match=r'base_url ends with .* "chat", but api is "responses"'):
        EndpointSettings(base_url="http://127.0.0.1:1/v1/chat/completions", api="responses")
    agreed = EndpointSettings(base_url="http://127.0.0.1:1/v1/responses", api="responses")
    assert (agreed.form, agreed.address) == ("responses", "http://127.0.0.1:1/v1")


def test_a_key_in_the_query_is_sent_and_shown_nowhere(server: JudgeServer) -> None:
    address = f"{server.url}/chat/completions?code={KEY}"
    backend = OpenAIBackend(address)
    server.answers(judge.error(400, "no"))
    with Engine(judges=judging(backend)) as engine:
        flags = engine.run(SCORE, model_sample="x").flags
    assert server.asked[0].path.endswith(f"?code={KEY}")
    assert KEY not in f"{backend.address} {backend.signature} {flags}"
    assert KEY not in repr(EndpointSettings(base_url=address))


class Headers:
    """A client that keeps the headers of a request."""

    retry: RetryPolicy = HASTY
    on_retry: OnRetry | None = None

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    async def get(self, url: str, headers: Mapping[str, str]) -> Any:
        self.headers = dict(headers)
        return {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Any:
        return await self.get(url, headers)

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("address", "key", "auth", "header"),
    [
        ("https://x.openai.azure.com/openai/deployments/d", KEY, None, "api-key"),
        ("https://x.cognitiveservices.azure.com/openai/v1", KEY, None, "api-key"),
        ("https://x.openai.azure.com/openai/v1", TOKEN, None, "Authorization"),
        ("https://x.openai.azure.com/openai/v1", KEY, "bearer", "Authorization"),
        ("https://api.openai.com/v1", KEY, None, "Authorization"),
        ("https://openai.azure.com.example.org/v1", KEY, None, "Authorization"),
        ("https://gateway.example.org/v1", KEY, "api-key", "api-key"),
        ("https://gateway.example.org/azure/openai/deployments/d/", KEY, None, "api-key"),
        ("https://gateway.example.org/openai/deployments/d/chat/completions", KEY, None, "api-key"),
        ("https://gateway.example.org/openai/deployments/d", TOKEN, None, "Authorization"),
        ("https://gateway.example.org/openai/deployments/d", KEY, "bearer", "Authorization"),
    ],
)
def test_azure_gets_a_key_in_its_own_header(
    address: str, key: str, auth: str | None, header: str
) -> None:
    client = Headers()
    settings = EndpointSettings(base_url=address, auth=auth)
    endpoint = Endpoint.from_settings(settings, client, api_key=key)
    asyncio.run(endpoint.post_once("/chat/completions", b"{}"))
    value = key if header == "api-key" else f"Bearer {key}"
    assert client.headers == {header: value}


class NotFound(Headers):
    """A client to whom nothing is there."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Any:
        raise BackendRejected(f"{url}: HTTP 404", status=404)


@pytest.mark.parametrize(
    ("address", "missing"),
    [
        ("https://x.openai.azure.com/", "Is /openai/v1 missing at the end of the base URL?"),
        ("https://x.services.ai.azure.com/models", "Is /openai/v1 missing"),
        ("https://gateway.example.org", "Is /v1 missing at the end of the base URL?"),
    ],
)
def test_what_is_missing_at_the_end_of_an_address_is_said(address: str, missing: str) -> None:
    endpoint = Endpoint.from_settings(EndpointSettings(base_url=address), NotFound())
    with pytest.raises(BackendRejected) as refused:
        asyncio.run(endpoint.post_once("/chat/completions", b"{}"))
    assert missing in str(refused.value)


@pytest.mark.parametrize("name", ["responses", "embeddings", "completions", "models", "chat"])
def test_a_deployment_may_be_called_as_the_path_of_a_request_is(name: str) -> None:
    url = f"https://x.openai.azure.com/openai/deployments/{name}"
    settings = EndpointSettings(base_url=f"{url}/")
    assert (settings.root, settings.form) == (url, "chat")
    pasted = EndpointSettings(base_url=f"{url}/chat/completions?api-version=1")
    assert (pasted.root, pasted.form) == (url, "chat")


@pytest.mark.parametrize("path", ["chat/completions", "responses", "embeddings"])
def test_parameters_behind_the_path_of_a_request_are_refused_unquoted(path: str) -> None:
    with pytest.raises(ValueError, match="behind the path of a request") as error:
        EndpointSettings(base_url=f"https://h.example/v1/{path};key={KEY}")
    assert KEY not in str(error.value)
