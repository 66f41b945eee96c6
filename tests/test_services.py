"""A grader needs no more of an engine than the protocols that `Services` names."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from graders_engine import ModelBackend, RetryPolicy, Scripted, UnavailableGrader
from graders_engine.compiled import CompiledGrader
from graders_engine.errors import BackendBusy
from graders_engine.graders.base import Services
from graders_engine.language.scope import scope_of
from graders_engine.models.retry import OnRetry
from graders_engine.outcome import Flag, RowOutcome

JUDGED = {
    "type": "score_model",
    "model": "any",
    "input": [{"role": "user", "content": "{{sample.output_text}}"}],
}
COSINE = {
    "type": "text_similarity",
    "evaluation_metric": "cosine",
    "input": "{{sample.output_text}}",
    "reference": "up",
}
ENDPOINT = {"type": "endpoint", "url": "https://example.org/grade?key=secret"}


class OneJudge:
    repeats = 1

    def __init__(self, judge: ModelBackend) -> None:
        self.judge = judge

    def find(self, model: str, needs: Collection[str] = ()) -> ModelBackend:
        return self.judge


class Directions:
    async def vector(self, text: str) -> array[float]:
        return array("d", {"up": (0.0, 1.0), "slope": (0.6, 0.8)}[text])


class Client:
    """Fails so many times, and then answers."""

    on_retry: OnRetry | None = None

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.retry = RetryPolicy(attempts=3, wait_initial_s=0.0)

    async def get(self, url: str, headers: Mapping[str, str]) -> Any:
        raise NotImplementedError

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Any:
        if self.failures:
            self.failures -= 1
            raise BackendBusy("try again")
        return {"score": 0.25}

    async def close(self) -> None:
        pass


def grade(grader: dict[str, Any], services: Services, text: str = "slope") -> RowOutcome:
    return asyncio.run(CompiledGrader(grader, services).grade(0, scope_of(model_sample=text)))


def test_a_model_grader_asks_the_backend_that_it_is_given() -> None:
    judge = Scripted(0.75)
    assert grade(JUDGED, Services(judges=OneJudge(judge))).reward == 0.75
    assert [request.model for request in judge.requests] == ["any"]


def test_cosine_compares_the_vectors_that_it_is_given() -> None:
    assert grade(COSINE, Services(embeddings=Directions())).reward == pytest.approx(0.8)


def test_an_endpoint_grader_uses_the_clients_retry_policy() -> None:
    assert grade(ENDPOINT, Services(endpoints=Client(2))).reward == 0.25
    row = grade(ENDPOINT, Services(endpoints=Client(3)))
    assert (row.reward, row.status) == (None, "failed")
    assert list(row.flags) == [Flag.ENDPOINT_SERVER]


@pytest.mark.parametrize("grader", [JUDGED, COSINE, ENDPOINT], ids=lambda grader: grader["type"])
def test_a_grader_without_its_service_says_so_before_any_row(grader: dict[str, Any]) -> None:
    with pytest.raises(UnavailableGrader):
        CompiledGrader(grader, Services()).require_runnable()
