"""Which answers are asked for again, and which are final, whatever their status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.judges import judge_server as judge
from tests.judges.judge_server import JudgeServer, answer, judge_server, said
from tests.judges.rows import scored


@pytest.fixture(scope="module")
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


def asked_for(server: JudgeServer, status: int, body: Any) -> tuple[int, str]:
    """How often it is asked, at most three times, and why there is no reward."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    server.script = lambda asked: judge.http(status, text)
    before = len(server.asked)
    graded = scored(server.url)
    assert graded.reward is None
    return len(server.asked) - before, " ".join(graded.flags.values())


SPENT = {
    "OpenAI": (
        429,
        {"error": {"message": "You exceeded your quota.", "code": "insufficient_quota"}},
    ),
    "by type": (
        429,
        {"error": {"message": "Too much.", "type": "insufficient_quota", "code": None}},
    ),
    "limit": (429, {"error": {"message": "x", "code": "billing_hard_limit_reached"}}),
    "Anthropic": (400, {"error": {"message": "Your credit balance is too low to access the API"}}),
    "a gateway": (503, {"error": {"message": "Your credit balance is too low", "code": 503}}),
}


@pytest.mark.parametrize(("status", "body"), SPENT.values(), ids=SPENT)
def test_where_nothing_is_left_to_spend_no_other_attempt_is_made(
    server: JudgeServer, status: int, body: Any
) -> None:
    assert asked_for(server, status, body)[0] == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 522, 524, 529])
def test_every_error_of_a_server_is_retried(server: JudgeServer, status: int) -> None:
    assert asked_for(server, status, b"error")[0] == 3


UNREADABLE = {
    "nothing": (b"", "the answer is empty"),
    "a page": (b"<html>busy</html>", "not JSON"),
    "the beginning": (json.dumps(said("{}")).encode()[:-9], "not JSON"),
    "no choices": ({**said(""), "choices": None}, "without a message"),
}


@pytest.mark.parametrize(("body", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_answer_that_cannot_be_read_is_asked_for_again(
    server: JudgeServer, body: Any, reason: str
) -> None:
    asked, why = asked_for(server, 200, body)
    assert asked == 3
    assert reason in why


def test_an_answer_in_another_form_is_not(server: JudgeServer) -> None:
    server.script = lambda asked: answer({"object": "something else"})
    before = len(server.asked)
    assert scored(server.url).reward is None
    assert len(server.asked) - before == 1
