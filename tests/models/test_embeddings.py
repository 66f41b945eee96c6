"""Cosine by each of the three backends: each text asked for once, and no outage scored as a zero."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import AsyncEngine, Engine, InvalidRequest, UnavailableGrader
from graders_engine.cli.main import graders
from graders_engine.errors import BackendFailure
from graders_engine.models.embeddings import (
    BatchedEmbeddings,
    EmbeddingBackend,
    cosine,
    normalised,
    open_embeddings,
)
from graders_engine.models.endpoint import Endpoint as ApiEndpoint
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.http import HttpClient
from graders_engine.models.judges import JudgeRegistry, JudgeSettings
from graders_engine.models.lexical_embeddings import LexicalEmbeddings
from graders_engine.models.openai_embeddings import OpenAIEmbeddings
from graders_engine.models.retry import RetryPolicy
from tests.models.endpoint import Endpoint, endpoint

COSINE = {
    "type": "text_similarity",
    "input": "{{sample.output_text}}",
    "reference": "{{item.text}}",
    "evaluation_metric": "cosine",
}
HASTY = RetryPolicy(attempts=3, total_s=10, attempt_s=2, wait_initial_s=0.01, wait_max_s=0.2)


def rows(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"item": {"text": reference}, "model_sample": text} for text, reference in pairs]


@pytest.fixture
def server() -> Iterator[Endpoint]:
    with endpoint() as opened:
        yield opened


@pytest.fixture(scope="module")
def static_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model2vec model of five words, made here: three about animals, two about money."""
    import numpy as np
    from model2vec import StaticModel
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = ["[UNK]", "cat", "dog", "puppy", "bank", "loan"]
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(WordLevel(vocabulary, words[0]))
    tokenizer.pre_tokenizer = Whitespace()
    vectors = np.array([[0, 0], [1, 0.2], [1, 0.1], [1, 0.15], [0.1, 1], [0, 1]], dtype=np.float32)
    folder = tmp_path_factory.mktemp("model")
    StaticModel(vectors, tokenizer).save_pretrained(folder)
    return folder


def client_of(
    url: str, client: HttpClient | None = None, api_key: str | None = None
) -> OpenAIEmbeddings:
    settings = EndpointSettings(base_url=url)
    endpoint = ApiEndpoint.from_settings(settings, client or HttpClient(HASTY), api_key=api_key)
    return OpenAIEmbeddings("letters", endpoint, settings)


def opened(spec: str) -> EmbeddingBackend:
    return open_embeddings(spec, JudgeRegistry(JudgeSettings()).endpoint)


def conforms(backend: EmbeddingBackend) -> None:
    """What every backend promises."""

    async def check() -> None:
        texts = ["cat", "dog", "the loan of a bank", "cat cat", "naïve 漢字", "\ud800", " "]
        vectors = await backend.embed(texts)
        assert len(vectors) == len(texts)
        assert len({len(vector) for vector in vectors}) == 1
        assert all(isinstance(value, float) for vector in vectors for value in vector)
        assert list((await backend.embed(["cat"]))[0]) == pytest.approx(list(vectors[0]))
        assert backend.batch >= 1
        assert backend.signature
        await backend.close()

    asyncio.run(check())


def test_lexical_conforms() -> None:
    conforms(opened("lexical"))


def test_static_conforms(static_model: Path) -> None:
    conforms(opened(f"model2vec:{static_model}"))


def test_openai_conforms(server: Endpoint) -> None:
    conforms(client_of(server.url))


def test_without_a_backend_cosine_is_refused_with_how_to_name_one(engine: Engine) -> None:
    with pytest.raises(UnavailableGrader, match=r"openai:MODEL.*model2vec:FOLDER.*lexical"):
        engine.run(COSINE, model_sample="x", item={"text": "y"})
    warnings = [warning.message for warning in engine.validate(COSINE).warnings]
    assert any("not by their reinforcement fine-tuning" in warning for warning in warnings)
    assert any("needs embeddings" in warning for warning in warnings)


def test_static_embeddings_tell_meaning_from_words(static_model: Path) -> None:
    with Engine(embeddings=f"model2vec:{static_model}") as engine:
        near, far = engine.score(COSINE, rows(("dog", "puppy"), ("dog", "loan")))
        assert near.reward is not None
        assert far.reward is not None
        assert near.reward > 0.99
        assert far.reward < 0.2


def test_lexical_embeddings_count_shared_words() -> None:
    with Engine(embeddings="lexical") as engine:
        graded = list(
            engine.score(
                COSINE, rows(("a cat sat", "A cat sat!"), ("cat dog", "cat sat"), ("a", "b"))
            )
        )
        assert [row.reward for row in graded] == pytest.approx([1.0, 0.5, 0.0])
        signature = engine.reward_settings(engine.compile(COSINE))["metrics"]["cosine"]
        assert signature.startswith("lexical, signed CRC-32")


def test_each_text_is_asked_for_once_and_an_empty_one_never(server: Endpoint) -> None:
    pairs = [
        ("abc", "cab"),
        ("", "abc"),
        ("abc", ""),
        ("", ""),
        ("abc", "xyz"),
        ("cab", "abc"),
    ] * 20
    with Engine(embeddings=client_of(server.url)) as engine:
        first = [row.reward for row in engine.score(COSINE, rows(*pairs))]
        again = [row.reward for row in engine.score(COSINE, rows(*pairs))]
    assert first[:6] == pytest.approx([1.0, 0.0, 0.0, 1.0, 0.0, 1.0])
    assert again == first
    assert sorted(server.texts) == ["abc", "cab", "xyz"]
    assert server.asked[0]["model"] == "letters"


def test_texts_wanted_at_the_same_time_share_a_request(server: Endpoint) -> None:
    pairs = [(f"text {'abcdefgh'[n % 8]} {n}", f"other {n}") for n in range(60)]
    with Engine(embeddings=client_of(server.url)) as engine:
        assert all(row.status == "scored" for row in engine.score(COSINE, rows(*pairs)))
    assert len(server.texts) == 120
    assert len(server.asked) <= 6


def test_both_engines_embed(server: Endpoint) -> None:
    async def grade() -> list[float | None]:
        async with AsyncEngine(embeddings=client_of(server.url)) as engine:
            return [
                row.reward async for row in engine.score(COSINE, rows(("abc", "bca"), ("a", "z")))
            ]

    assert asyncio.run(grade()) == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize(
    "first_replies",
    [
        [(429, {"Retry-After": "0.05"}, b"slow down"), (503, {}, b"busy")],
        [(500, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"")],
        [None],
    ],
    ids=["429 and 503", "500 with a date", "hung up"],
)
def test_what_may_pass_is_tried_again(server: Endpoint, first_replies: list[Any]) -> None:
    server.first_replies = list(first_replies)
    with Engine(embeddings=client_of(server.url)) as engine:
        assert engine.run(COSINE, model_sample="abc", item={"text": "cba"}).reward == pytest.approx(
            1.0
        )
    assert len(server.asked) == len(first_replies) + 1


@pytest.mark.parametrize(
    ("reply", "words", "requests"),
    [
        ((503, {}, b"still busy"), "HTTP 503: still busy (3 tries in", 3),
        ((401, {}, b"no such key"), "HTTP 401: no such key", 1),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "HTTP 302", 1),
        ((200, {}, b"<html>"), "the answer is not JSON: <html>", 3),
        ((200, {}, b'{"data": 3}'), "answered without embeddings", 1),
        ((200, {}, b'{"data": [{"index": 0}]}'), "answered without embeddings", 1),
        ((200, {}, b'{"data": []}'), "gave 0 vectors for 2 texts", 1),
        ((200, {}, b'{"data": [{"index": 0, "embedding": "AAAA"}]}'), "not lists of numbers", 1),
        ((200, {}, b'{"data": [{"index": 0, "embedding": [1e999]}]}'), "the answer is not JSON", 3),
        (
            (
                200,
                {},
                b'{"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1, 2]}]}',
            ),
            "gave vectors of 1 and 2 dimensions",
            1,
        ),
    ],
)
def test_an_outage_is_a_failed_row_and_not_a_zero(
    server: Endpoint, reply: Any, words: str, requests: int
) -> None:
    server.reply = lambda body: reply
    with Engine(embeddings=client_of(server.url, api_key="sk-secret")) as engine:
        [row] = engine.score(COSINE, rows(("abc", "xyz")))
        response = engine.run(COSINE, model_sample="abc", item={"text": "xyz"})
    assert (row.reward, row.status) == (None, "failed")
    assert words in row.flags["model_grader_server_error"]
    assert response.reward == 0.0
    assert words in (response.metadata.errors.model_grader_server_error_details or "")
    assert "sk-secret" not in str(row)
    assert len(server.asked) == 2 * requests


def test_nobody_there_is_an_outage_too() -> None:
    backend = client_of("http://127.0.0.1:9/v1")
    with Engine(embeddings=backend) as engine:
        [row] = engine.score(COSINE, rows(("abc", "xyz")))
    assert row.status == "failed"
    assert "the connection was refused" in row.flags["model_grader_server_error"]


def test_a_server_that_never_answers_is_given_up(server: Endpoint) -> None:
    import time

    def slow(body: dict[str, Any]) -> Any:
        time.sleep(1)
        return 200, {}, b"{}"

    server.reply = slow
    retry = RetryPolicy(attempts=2, total_s=5, attempt_s=0.1, wait_initial_s=0.01)
    backend = client_of(server.url, HttpClient(retry))
    with Engine(embeddings=backend) as engine:
        [row] = engine.score(COSINE, rows(("abc", "xyz")))
    assert "no answer within 0.1 s (2 tries" in row.flags["model_grader_server_error"]


def test_an_answer_without_end_is_cut_off(
    server: Endpoint,
) -> None:
    server.reply = lambda body: (200, {}, b" " * 100_000)
    backend = client_of(server.url, HttpClient(HASTY, 1000))
    with Engine(embeddings=backend) as engine:
        [row] = engine.score(COSINE, rows(("abc", "xyz")))
    assert "longer than 1000 bytes" in row.flags["model_grader_server_error"]


def test_the_key_is_sent_and_never_shown(server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    with Engine(embeddings="openai:letters") as engine:
        engine.run(COSINE, model_sample="a", item={"text": "b"})
        settings = engine.reward_settings(engine.compile(COSINE))
    assert server.headers[0]["Authorization"] == "Bearer sk-secret"
    assert settings["metrics"]["cosine"] == f"openai-compatible embeddings, letters at {server.url}"


def test_the_endpoint_may_stand_behind_the_model(server: Endpoint) -> None:
    asked = CliRunner().invoke(
        graders,
        ["run", "--grader", json.dumps(COSINE), "--model-sample", "abc", "--item", "{text: cab}",
         "--embeddings", f"openai:letters@{server.url}", "--field", "reward"],
    )  # fmt: skip
    assert float(asked.stdout) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("word2vec:x", "no embedding backend 'word2vec'"),
        ("openai:", "Which model"),
        ("openai:m@ftp://host", "must start with http"),
        ("model2vec:", "Which model"),
        ("model2vec:/no/such/folder", "cannot load '/no/such/folder'"),
        ("lexical:x", "takes no argument"),
    ],
)
def test_a_backend_that_cannot_be_made_is_a_sentence(spec: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        Engine(embeddings=spec)


def test_the_memory_for_vectors_is_bounded() -> None:
    class Counting(LexicalEmbeddings):
        asked = 0

        async def embed(self, texts: Sequence[str]) -> list[list[float]]:
            self.asked += len(texts)
            return [[1.0] * 100 for _ in texts]

    async def check() -> None:
        backend = Counting()
        batched = BatchedEmbeddings(backend, cache_bytes=3 * 800)
        for text in ["a", "b", "c", "a", "d", "a", "b"]:
            await batched.vector(text)
        assert backend.asked == 5  # b went when d came, as it was the one not used for longest

    asyncio.run(check())


def test_a_row_that_gives_up_does_not_take_the_vector_from_others() -> None:
    class Slow(LexicalEmbeddings):
        batch = 100

        async def embed(self, texts: Sequence[str]) -> list[list[float]]:
            await asyncio.sleep(0.05)
            return await super().embed(texts)

    async def check() -> None:
        batched = BatchedEmbeddings(Slow())
        one = asyncio.create_task(batched.vector("cat"))
        other = asyncio.create_task(batched.vector("cat"))
        await asyncio.sleep(0.02)
        one.cancel()
        assert any(await other)
        for pause in (0.0, 0.01):  # still gathering, and already asked
            batched = BatchedEmbeddings(Slow())
            late = asyncio.create_task(batched.vector("dog"))
            await asyncio.sleep(pause)
            await batched.close()
            with pytest.raises(BackendFailure, match="closed before the vector arrived"):
                await late

    asyncio.run(check())


def test_a_cosine_is_clamped_and_zeros_are_like_nothing() -> None:
    assert cosine(normalised([1.0, 0.0]), normalised([-1.0, 0.0])) == 0.0
    assert cosine(normalised([1.0, 3.0]), normalised([1.0, 3.0])) == pytest.approx(1.0)
    assert cosine(normalised([0.0]), array("d", [1.0])) == 0.0
