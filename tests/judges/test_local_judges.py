"""Judges of this machine pass the same policies as others: cache, budget, transcripts, retries."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from graders_engine.blocking import Engine
from graders_engine.errors import BackendBusy, BudgetSpent, UnavailableGrader
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.retry import RetryPolicy
from graders_engine.models.scripted import Answer, Scripted

QUICK = RetryPolicy(attempts=2, wait_initial_s=0.0, wait_max_s=0.0)


@dataclass(frozen=True)
class Weights:
    identity: str


@dataclass(eq=False)
class Source:
    """The models of a machine: a base model `base`, and one that was trained there."""

    answers: Answer | list[Answer] = 1.0
    weights: dict[str, str] = field(
        default_factory=lambda: {"base": "w0", "ft:base:local::1": "w1"}
    )
    asked: list[ModelRequest] = field(default_factory=list)

    def is_local(self, name: str) -> bool:
        return name in ("base", "ft:base:local::1")

    def is_base(self, name: str) -> bool:
        return name == "base"

    def find(self, name: str) -> Weights | None:
        return Weights(self.weights[name]) if name in self.weights else None

    def open(self) -> Asked:
        return Asked(self)


class Asked:
    signature = "this machine"

    def __init__(self, source: Source) -> None:
        self._source = source
        self._script = Scripted(source.answers)

    async def complete(self, request: ModelRequest) -> ModelReply:
        self._source.asked.append(request)
        return await self._script.complete(request)

    async def close(self) -> None: ...


def grader(model: str) -> dict[str, Any]:
    asked = [{"role": "user", "content": "{{sample.output_text}}"}]
    return {"type": "score_model", "model": model, "input": asked}


def settings(source: Source, **more: Any) -> JudgeSettings:
    return JudgeSettings(local=source, **{"retry": QUICK, **more})


def rewards(judges: JudgeSettings, *texts: str, model: str = "ft:base:local::1") -> list[Any]:
    with Engine(judges=judges) as engine:
        rows = [{"item": {}, "model_sample": text} for text in texts]
        return [one.counted for one in engine.score(grader(model), rows)]


def test_a_kept_reply_is_of_the_same_weights(tmp_path: Path) -> None:
    source = Source()
    judges = settings(source, cache=tmp_path / "replies.sqlite")
    for _ in range(2):
        assert rewards(judges, "a") == [1.0]
    assert [one.weights for one in source.asked] == ["w1"]
    source.weights["ft:base:local::1"] = "w2"
    assert rewards(judges, "a") == [1.0]
    assert [one.weights for one in source.asked] == ["w1", "w2"]


def test_the_settings_of_results_name_the_weights() -> None:
    source = Source()
    with Engine(judges=settings(source)) as engine:
        found = engine.reward_settings(engine.compile(grader("base")))
    assert found["judges"] == {"base": "base, on this machine, weights w0"}


def test_a_busy_model_is_asked_more_often_than_an_endpoint() -> None:
    answers: list[Answer] = [*(BackendBusy("busy", status=429) for _ in range(9)), 1.0]
    assert rewards(settings(Source(answers)), "a") == [1.0]


def test_a_budget_in_money_needs_no_price_of_a_model_that_costs_none() -> None:
    assert rewards(settings(Source(), max_cost=1.0), "a") == [1.0]


def test_a_budget_of_tokens_counts_what_a_model_of_this_machine_takes() -> None:
    with pytest.raises(BudgetSpent):
        rewards(settings(Source(), max_tokens=30), "a" * 80, "b" * 80)


def test_a_transcript_answers_without_the_machine(tmp_path: Path) -> None:
    source = Source(0.5)
    assert rewards(settings(source, record=tmp_path), "a") == [0.5]
    replayed = JudgeSettings(replay=tmp_path)
    assert rewards(replayed, "a") == [0.5]
    assert rewards(settings(source, replay=tmp_path), "a") == [0.5]
    assert len(source.asked) == 1


def test_a_base_model_whose_name_an_endpoint_may_have_is_announced(
    caplog: pytest.LogCaptureFixture,
) -> None:
    elsewhere = Scripted(0.0)
    with caplog.at_level(logging.WARNING, "graders_engine"):
        judges = settings(Source(), endpoints={"default": elsewhere})
        assert rewards(judges, "a", model="base") == [1.0]
        assert rewards(judges, "a") == [1.0]
        assert rewards(settings(Source()), "a", model="base") == [1.0]
    assert not elsewhere.requests
    (found,) = [one.getMessage() for one in caplog.records]
    assert found.startswith("'base' is answered on this machine, by the model of this name in")


def test_a_model_that_is_gone_is_never_asked_elsewhere() -> None:
    elsewhere = Scripted(0.0)
    source = Source(weights={})
    for model in ("base", "ft:base:local::1"):
        with Engine(judges=settings(source, endpoints={"default": elsewhere})) as engine:
            compiled = engine.compile(grader(model))
            with pytest.raises(UnavailableGrader):
                compiled.require_runnable()
    assert not elsewhere.requests
