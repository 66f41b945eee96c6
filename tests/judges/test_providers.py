"""Endpoints of many providers, by what they refuse in their own words: a run asks at most twice in vain."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.openai import OpenAIBackend
from tests.judges import judge_server as judge
from tests.judges.judge_server import Asked, JudgeServer, Reply, answer, judge_server
from tests.judges.rows import LABEL, SCORE, judging, rows

CASES = json.loads(
    (Path(__file__).parent.parent / "compliance" / "providers.json").read_text("utf-8")
)
ROWS = 20
OPTIONS = {
    "temperature": 0,
    "top_p": 1,
    "seed": 42,
    "reasoning_effort": "medium",
    "max_tokens": 700,
}
TOLD = re.compile(r"^`(\w+)`.* is left out for judge-1 at ", re.MULTILINE)


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


def form_of(body: dict[str, Any]) -> str:
    told = body.get("response_format") or body.get("text", {}).get("format") or {}
    return str(told.get("type", "none"))


def roles_of(body: dict[str, Any]) -> list[str]:
    return [message["role"] for message in body.get("messages") or body["input"]]


def fits(condition: dict[str, Any], body: dict[str, Any]) -> bool:
    """Whether a rule is for this request."""
    [(kind, value)] = condition.items()
    roles = roles_of(body)
    alternate = roles[0] == "user" and all(one != other for one, other in pairwise(roles))
    tests: dict[str, Callable[[], bool]] = {
        "has": lambda: value in body,
        "all": lambda: set(value) <= body.keys(),
        "ne": lambda: body.get(value[0], value[1]) != value[1],
        "format": lambda: form_of(body) == value,
        "role": lambda: value in roles,
        "alternate": lambda: alternate == value,
    }
    return tests[kind]()


def provider(rules: list[dict[str, Any]]) -> Any:
    """A script that refuses what the rules refuse, and otherwise gives a verdict."""

    def script(asked: Asked) -> Reply:
        for rule in rules:
            if fits(rule["if"], asked.body):
                return judge.http(rule["status"], json.dumps(rule["body"]).encode())
        text = judge.verdict_text("kind" if "tone" in asked.text else 0.7)
        if "input" in asked.body:
            return answer(judge.responded(judge.spoken(text)))
        return answer(judge.said(text))

    return script


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_run_at_a_provider(
    server: JudgeServer, case: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "graders_engine")
    server.script = provider(case["rules"])
    settings = EndpointSettings(base_url=server.url, api=case.get("api"))
    score = {**SCORE, "sampling_params": OPTIONS}
    label = {**LABEL, "input": [SCORE["input"][0], *LABEL["input"]], "sampling_params": OPTIONS}
    with Engine(judges=judging(OpenAIBackend(settings)), concurrency=8) as engine:
        for grader, reward in ((score, 0.7), (label, 1.0)):
            graded = list(engine.score(grader, rows(ROWS)))
            assert [(row.status, row.reward) for row in graded] == [("scored", reward)] * ROWS
    dropped = case.get("dropped", [])
    assert sorted(TOLD.findall("\n".join(caplog.messages))) == dropped
    assert len(server.asked) == 2 * ROWS + case["extra"]
    assert case["extra"] <= 2
    for asked in (server.asked[ROWS], server.asked[-1]):
        check_body(asked.body, case, dropped)


def check_body(body: dict[str, Any], case: dict[str, Any], dropped: list[str]) -> None:
    """What is sent at last: all that the provider takes, and nothing else."""
    chat = "messages" in body
    names = {
        "max_tokens": case.get("limit", "max_completion_tokens") if chat else "max_output_tokens",
        "reasoning_effort": "reasoning_effort" if chat else "reasoning",
        "temperature": "temperature",
        "top_p": "top_p",
        **({"seed": "seed"} if chat else {"store": "store", "stream": "stream"}),
    }
    wanted = {wire for option, wire in names.items() if option not in dropped}
    others = {"model", "messages", "input", "response_format", "text"}
    assert body.keys() - others == wanted
    assert form_of(body) == case.get("form", "json_schema")
    assert roles_of(body) == case.get("roles", ["system", "user"])
    if case.get("roles") == ["user"]:
        assert "You rate answers.\n\n" in (body.get("messages") or body["input"])[0]["content"]
