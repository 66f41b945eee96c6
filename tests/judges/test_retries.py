"""Each further attempt can be seen, and only an overloaded endpoint slows requests down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from graders_engine import AsyncEngine, Engine
from graders_engine.errors import BackendBusy
from graders_engine.models.http import HttpClient
from graders_engine.models.policies import Limited
from graders_engine.models.retry import Retry, RetryPolicy
from graders_engine.models.scripted import Scripted
from tests.judges import judge_server as judge
from tests.judges.clock import in_virtual_time, now
from tests.judges.judge_server import JudgeServer, answer, error, judge_server, verdict
from tests.judges.rows import HASTY, SCORE, judging
from tests.judges.test_conformance import asking

COSINE = {
    "type": "text_similarity",
    "input": "{{sample.output_text}}",
    "reference": "abc",
    "evaluation_metric": "cosine",
}


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


def test_each_retry_is_reported_with_its_target_attempt_wait_and_error(server: JudgeServer) -> None:
    dropped = [judge.hang_up] * 2  # the first may be a kept connection that the server has closed
    server.answers(error(429, "slow down", Retry_After="0.02"), *dropped, verdict(1))
    seen: list[Retry] = []
    with Engine(judges=judging(server.url), on_retry=seen.append) as engine:
        assert engine.run(SCORE, model_sample="x").reward == 1.0
    first, second = seen
    assert (first.target, first.attempt, first.error.status) == (server.url, 1, 429)
    assert 0.02 <= first.wait_s <= 0.025
    assert (second.attempt, second.error.status) == (2, None)
    assert 0.0 < second.wait_s <= HASTY.wait_max_s


def test_the_last_failure_is_not_a_retry(server: JudgeServer) -> None:
    server.answers(error(503, "busy", Retry_After="0"))
    seen: list[Retry] = []
    with Engine(judges=judging(server.url), on_retry=seen.append) as engine:
        engine.run(SCORE, model_sample="x")
    assert [retry.attempt for retry in seen] == [1, 2]
    assert len(server.asked) == 3


def test_a_backend_of_ones_own_is_reported_by_the_name_of_its_endpoint() -> None:
    seen: list[Retry] = []
    backend = Scripted([BackendBusy("wait", 0.0), 1.0])
    with Engine(judges=judging(backend), on_retry=seen.append) as engine:
        assert engine.run(SCORE, model_sample="x").reward == 1.0
    assert [retry.target for retry in seen] == ["default"]


def test_retries_of_endpoint_graders_and_embeddings_are_reported_too(server: JudgeServer) -> None:
    key = "sk-secret"
    vectors = {"data": [{"index": n, "embedding": [1.0]} for n in range(2)]}
    seen: list[Retry] = []

    async def main() -> None:
        settings = judging(server.url)
        embeddings = f"openai:m@{server.url}?key={key}"
        async with AsyncEngine(
            judges=settings, embeddings=embeddings, on_retry=seen.append
        ) as engine:
            server.answers(error(503, "busy", Retry_After="0"), answer({"score": 0.5}))
            endpoint = {"type": "endpoint", "url": f"{server.url}/grade?code={key}"}
            assert (await engine.run(endpoint, model_sample="x")).reward == 0.5
            server.answers(error(503, "busy", Retry_After="0"), answer(vectors))
            assert (await engine.run(COSINE, model_sample="xyz")).reward == 1.0

    asyncio.run(main())
    assert [retry.target for retry in seen] == [f"{server.url}/grade", server.url]
    assert key not in repr(seen)


def test_each_retry_is_a_debug_line_of_the_package_s_logger(
    server: JudgeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="graders_engine")
    server.answers(error(429, "slow down", Retry_After="0.02"), verdict(1))
    with Engine(judges=judging(server.url)) as engine:
        engine.run(SCORE, model_sample="x")
    [line] = [each for each in caplog.records if "attempt 1 failed" in each.getMessage()]
    assert (line.name, line.levelname) == ("graders_engine", "DEBUG")
    assert server.url in line.getMessage()
    assert "HTTP 429: " in line.getMessage()


def busy(server: JudgeServer, reply: judge.Reply) -> BackendBusy:
    """The failure that an answer of the server is."""

    async def main() -> BackendBusy:
        client = HttpClient(RetryPolicy(attempt_s=0.3 if reply is judge.silence else 60.0))
        try:
            with pytest.raises(BackendBusy) as failed:
                await client.post(server.url, b"{}", {})
        finally:
            await client.close()
        return failed.value

    server.answers(reply)
    return asyncio.run(main())


SLOWING = {
    "429": (error(429, "slow down"), True),
    "503": (error(503, "starting"), True),
    "408": (error(408, "late"), False),
    "409": (error(409, "again"), False),
    "500": (error(500, "oh"), False),
    "502": (error(502, "oh"), False),
    "504": (error(504, "oh"), False),
    "a reset": (judge.hang_up, False),
    "silence": (judge.silence, False),
}


@pytest.mark.parametrize(("reply", "slows"), SLOWING.values(), ids=SLOWING)
def test_only_an_overloaded_endpoint_slows_requests_down(
    server: JudgeServer, reply: judge.Reply, slows: bool
) -> None:
    failure = busy(server, reply)

    async def main() -> float:
        limited = Limited(Scripted([failure, 1.0]), 8)
        began = now()
        with pytest.raises(BackendBusy):
            await limited.complete(asking("x"))
        await limited.complete(asking("y"))
        return now() - began

    assert (in_virtual_time(main()) > 0.5) == slows


WAITS: dict[str, tuple[dict[str, str], float | None]] = {
    "milliseconds": ({"retry_after_ms": "500"}, 0.5),
    "milliseconds before seconds": ({"retry_after_ms": "250", "Retry_After": "9"}, 0.25),
    "seconds": ({"Retry_After": "1.5"}, 1.5),
    "a date that is over": ({"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    "nothing": ({}, None),
    "nonsense": ({"Retry_After": "soon"}, None),
}


@pytest.mark.parametrize(("headers", "wait_s"), WAITS.values(), ids=WAITS)
def test_a_server_s_wait_is_read_in_its_unit(
    server: JudgeServer, headers: dict[str, str], wait_s: float | None
) -> None:
    assert busy(server, error(429, "slow down", **headers)).wait_s == wait_s


@pytest.mark.parametrize("method", ["post", "get"])
def test_a_cookie_that_a_server_sets_is_not_sent_back(server: JudgeServer, method: str) -> None:
    # By name: a cookie jar ignores the cookies of servers that are named by a number.
    url = server.url.replace("127.0.0.1", "localhost")
    server.answers(judge.http(200, b"{}", Set_Cookie="row=1; Path=/"))

    async def main() -> list[Any]:
        client = HttpClient()
        try:
            return [
                await (client.get(url, {}) if method == "get" else client.post(url, b"{}", {}))
                for _ in range(2)
            ]
        finally:
            await client.close()

    assert asyncio.run(main()) == [{}, {}]
    assert ["cookie" in asked.headers for asked in server.asked] == [False, False]
