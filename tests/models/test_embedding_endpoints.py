"""Embeddings ask an endpoint as judges do: with its key, query, limits and retries; secrets stay hidden."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import Engine, InvalidRequest, JudgeSettings
from graders_engine.cli.main import graders
from graders_engine.errors import BackendFailure
from graders_engine.models.embeddings import BatchedEmbeddings
from graders_engine.models.judges import JudgeRegistry
from tests.judges.judge_server import (
    Asked,
    Conversation,
    JudgeServer,
    Reply,
    answer,
    error,
    judge_server,
)

KEY = "sk-secret-0123456789"
COSINE = {
    "type": "text_similarity",
    "input": "{{sample.output_text}}",
    "reference": "{{item.text}}",
    "evaluation_metric": "cosine",
}


def embedded(asked: Asked) -> Reply:
    rows = [{"index": n, "embedding": [1.0, 0.0]} for n in range(len(asked.body["input"]))]
    return answer({"data": rows, "usage": {"prompt_tokens": 9, "total_tokens": 9}})


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    monkeypatch.chdir(tmp_path)
    with judge_server() as opened:
        opened.script = embedded
        yield opened


def configured(server: JudgeServer, name: str = "azure", **more: Any) -> Path:
    """A graders.toml with one endpoint."""
    lines = [f"[endpoints.{name}]", f'base_url = "{server.url}/deployments/e"']
    lines += [
        f"{key} = {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in more.items()
    ]
    path = Path("graders.toml")
    path.write_text("\n".join(lines) + "\n")
    return path


def graded(spec: str, texts: Sequence[str] = ("a",), **settings: Any) -> list[Any]:
    with Engine(embeddings=spec, judges=JudgeSettings(**settings)) as engine:
        return list(
            engine.score(COSINE, [{"item": {"text": "x"}, "model_sample": text} for text in texts])
        )


def signature(spec: str, **settings: Any) -> str:
    with Engine(embeddings=spec, judges=JudgeSettings(**settings)) as engine:
        found: str = engine.reward_settings(engine.compile(COSINE))["metrics"]["cosine"]
    return found


def test_an_endpoint_of_the_file_is_asked_as_the_file_says(
    server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_KEY", KEY)
    config = configured(
        server, api_key_env='"AZURE_KEY"', auth='"api-key"', headers='{ "X-Team" = "a" }',
        query='{ "api-version" = "1" }', extra_body="{ dimensions = 2 }",
    )  # fmt: skip
    [one] = graded("openai:letters@azure", config=config)
    assert one.reward == 1.0
    [asked] = server.asked
    assert asked.path == "/v1/deployments/e/embeddings?api-version=1"
    assert asked.headers["api-key"] == KEY
    assert asked.headers["x-team"] == "a"
    assert "authorization" not in asked.headers
    assert (asked.body["model"], asked.body["dimensions"]) == ("letters", 2)


@pytest.mark.parametrize("place", ["", "@{url}/deployments/e", "@{url}/deployments/e/"])
def test_an_endpoint_of_the_file_is_found_by_its_address_and_as_the_default_one(
    server: JudgeServer, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("AZURE_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/never")
    config = configured(server, "default", api_key_env='"AZURE_KEY"', auth='"api-key"')
    [one] = graded("openai:letters" + place.format(url=server.url), config=config)
    assert one.reward == 1.0
    assert server.asked[0].headers["api-key"] == KEY


def test_an_address_that_the_file_does_not_have_gets_no_key_of_the_file(
    server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_KEY", KEY)
    config = configured(server, "default", api_key_env='"AZURE_KEY"', auth='"api-key"')
    [one] = graded(f"openai:letters@{server.url}", config=config)
    assert one.reward == 1.0
    assert KEY not in str(server.asked[0].headers)


def test_the_judges_address_is_not_that_of_embeddings(
    server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    [one] = graded("openai:m", endpoints={"default": "http://127.0.0.1:9/v1"})
    assert one.reward == 1.0


def test_no_more_requests_are_in_flight_than_the_endpoint_allows(server: JudgeServer) -> None:
    def script(asked: Asked) -> Reply:
        def reply(conversation: Conversation) -> None:
            time.sleep(0.02)
            embedded(asked)(conversation)

        return reply

    server.script = script
    post_all(configured(server, concurrency=2), endpoints=1, requests=12)
    assert len(server.asked) == 12
    assert server.most_in_flight <= 2


def test_requests_keep_to_the_granted_pace_of_the_endpoint_whoever_sends_them(
    server: JudgeServer,
) -> None:
    config = configured(server, requests_per_minute=600)
    began = time.monotonic()
    post_all(config, endpoints=2, requests=2)
    assert time.monotonic() - began >= 0.25  # ten a second, so the fourth waits for 0.3 s
    assert len(server.asked) == 4


def post_all(config: Path, endpoints: int, requests: int) -> None:
    """Send requests at once, over several endpoints that are found by one name."""

    async def main() -> None:
        registry = JudgeRegistry(JudgeSettings(config=config))
        opened = [registry.endpoint("azure")[0] for _ in range(endpoints)]
        body = json.dumps({"input": ["x"]}).encode()
        await asyncio.gather(
            *(endpoint.post("/embeddings", body) for endpoint in opened for _ in range(requests))
        )
        for endpoint in opened:
            await endpoint.close()

    asyncio.run(main())


def test_the_flags_say_how_often_it_is_tried(server: JudgeServer) -> None:
    server.answers(error(503, "busy", Retry_After="0"))
    arguments = ["run", "--grader", json.dumps(COSINE), "--model-sample", "a", "--item", "{text: b}",
                 "--embeddings", f"openai:m@{server.url}", "--judge-attempts", "2"]  # fmt: skip
    done = CliRunner().invoke(graders, arguments)
    assert "HTTP 503" in done.output
    assert len(server.asked) == 2


def test_the_query_of_an_address_is_sent_and_shown_as_a_hash(server: JudgeServer) -> None:
    [one] = graded(f"openai:m@{server.url}?api-version=1&key={KEY}")
    assert one.reward == 1.0
    assert server.asked[0].path == f"/v1/embeddings?api-version=1&key={KEY}"
    shown = signature(f"openai:m@{server.url}?key={KEY}")
    plain = signature(f"openai:m@{server.url}")
    assert plain == f"openai-compatible embeddings, m at {server.url}"
    assert shown.startswith(f"{plain}, options ")
    assert shown != signature(f"openai:m@{server.url}?key=other")
    assert KEY not in shown


@pytest.mark.parametrize(
    "spec",
    [
        f"openai:m@http://user:{KEY}@127.0.0.1:9/v1",
        f"openai:m@user:{KEY}@127.0.0.1:9/v1",
        f"openai:m@ftp://user:{KEY}@127.0.0.1:9/v1?key={KEY}",
        f"openai:m@elsewhere?key={KEY}",
        f"openai:m@http://user:{KEY}@[::1/v1",
    ],
)
def test_an_address_with_a_password_is_refused_without_repeating_it(spec: str) -> None:
    with pytest.raises(InvalidRequest, match="The embedding endpoint: ") as refused:
        Engine(embeddings=spec)
    assert KEY not in str(refused.value)


def test_a_secret_of_the_address_is_in_no_file(server: JudgeServer, tmp_path: Path) -> None:
    Path("data.jsonl").write_text(json.dumps({"item": {"text": "b"}, "model_sample": "a"}) + "\n")
    arguments = ["score", "--grader", json.dumps(COSINE), "--data", "data.jsonl", "--out", "out.jsonl",
                 "--embeddings", f"openai:m@{server.url}?key={KEY}"]  # fmt: skip
    done = CliRunner().invoke(graders, arguments)
    assert done.exit_code == 0, done.output
    assert "cosine as openai-compatible embeddings" in done.output
    assert KEY not in done.output
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) >= 3
    assert not [path.name for path in left if KEY.encode() in path.read_bytes()]


def test_vectors_of_another_length_than_earlier_ones_are_a_failure(server: JudgeServer) -> None:
    class Growing:
        signature = "growing"
        batch = 1
        length = 0

        async def embed(self, texts: Sequence[str]) -> list[list[float]]:
            self.length += 1
            return [[1.0] * self.length]

        async def close(self) -> None:
            pass

    async def main() -> None:
        batched = BatchedEmbeddings(Growing())
        assert len(await batched.vector("a")) == 1
        with pytest.raises(BackendFailure, match="growing gave vectors of 1 and 2 dimensions"):
            await batched.vector("b")
        await batched.close()

    asyncio.run(main())
