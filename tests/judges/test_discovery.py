"""The first request finds out what a model does not support; the others wait for it, but not for long."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.models.openai import OpenAIBackend
from tests.judges import judge_server as judge
from tests.judges.judge_server import Asked, JudgeServer, Reply, error, judge_server
from tests.judges.rows import LABEL, SCORE, judging, row, rows
from tests.judges.test_conformance import asking


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


def refusal(status: int, value: Any) -> Reply:
    return judge.http(status, json.dumps(value).encode())


def test_requests_wait_for_the_answer_to_the_first_one(server: JudgeServer) -> None:
    complaint = refusal(400, {"error": {"message": "no", "param": "response_format"}})
    server.script = lambda asked: (
        complaint if asked.body["response_format"]["type"] == "json_schema" else judge.verdict(1)
    )

    async def main() -> list[str]:
        backend = OpenAIBackend(server.url)
        replies = await asyncio.gather(*(backend.complete(asking(str(n))) for n in range(20)))
        await backend.close()
        return [reply.text for reply in replies]

    assert asyncio.run(main()) == [judge.verdict_text(1)] * 20
    assert len(server.asked) == 21


def test_a_request_that_was_sent_before_something_worked_is_sent_in_that_form(
    server: JudgeServer,
) -> None:
    worked = threading.Event()
    complaint = refusal(400, {"error": {"message": "no", "param": "response_format"}})

    def script(asked: Asked) -> Reply:
        if asked.body["response_format"]["type"] == "json_schema":
            return after_it_worked if "slow" in asked.text else complaint
        return judge.verdict(1)

    def after_it_worked(conversation: judge.Conversation) -> None:
        worked.wait(20)
        complaint(conversation)

    async def main() -> list[str]:
        backend = OpenAIBackend(server.url)
        slow = asyncio.create_task(backend.complete(asking("slow")))
        while not server.asked:
            await asyncio.sleep(0.01)
        # It waits for the slow one, but not for long.
        quick = await backend.complete(asking("quick"))
        worked.set()
        replies = [quick, await slow]
        await backend.close()
        return [reply.text for reply in replies]

    server.script = script
    assert asyncio.run(main()) == [judge.verdict_text(1)] * 2
    assert len(server.asked) == 4


def test_a_first_request_that_fails_leaves_the_discovery_to_the_next_one(
    server: JudgeServer,
) -> None:
    turns = [judge.hang_up, error(500, "starting"), refusal(400, {"error": "the row is too long"})]

    def script(asked: Asked) -> Reply:
        if turns:
            return turns.pop(0)
        return error(400, "seed is not supported") if "seed" in asked.body else judge.verdict(1)

    server.script = script
    grader = {**SCORE, "sampling_params": {"seed": 1}}
    with Engine(judges=judging(server.url), concurrency=16) as engine:
        statuses = [graded.status for graded in engine.score(grader, rows(32))]
    assert statuses.count("scored") == 31
    # One refusal; on a busy machine those that waited too long for the first request have theirs, too.
    assert 1 <= len(server.asked) - (3 + 31) <= 16


def test_two_graders_with_other_options_cost_one_request_for_each_refusal(
    server: JudgeServer,
) -> None:
    def script(asked: Asked) -> Reply:
        refused = [name for name in ("seed", "top_p") if name in asked.body]
        if refused:
            return error(400, f"Unsupported parameter: '{refused[0]}'.")
        return judge.verdict("kind" if "tone" in asked.text else 1)

    server.script = script
    graders = {
        "quality": {**SCORE, "sampling_params": {"seed": 1}},
        "tone": {**LABEL, "sampling_params": {"top_p": 0.5}},
    }
    multi = {"type": "multi", "name": "m", "graders": graders, "calculate_output": "quality * tone"}
    with Engine(judges=judging(server.url), concurrency=16) as engine:
        assert [graded.reward for graded in engine.score(multi, rows(20))] == [1.0] * 20
    assert len(server.asked) == 2 * 20 + 2


def test_nothing_waits_where_all_parts_have_worked(server: JudgeServer) -> None:
    release = threading.Event()

    def slow(conversation: judge.Conversation) -> None:
        release.wait(20)
        judge.verdict(1)(conversation)

    server.script = lambda asked: slow if "slow" in asked.text else judge.verdict(1)

    async def main() -> float:
        backend = OpenAIBackend(server.url)
        await backend.complete(asking("first"))
        waiting = asyncio.create_task(backend.complete(asking("slow")))
        while len(server.asked) < 2:
            await asyncio.sleep(0.01)
        await backend.complete(asking("quick"))
        done = not waiting.done()
        release.set()
        await waiting
        await backend.close()
        return done

    assert asyncio.run(main())


QUOTES: dict[str, Any] = {
    "Groq": lambda text: {
        "error": {
            "message": "Failed to generate JSON. See 'failed_generation' for more details.",
            "type": "invalid_request_error",
            "code": "json_validate_failed",
            "failed_generation": text,
        }
    },
    "Groq behind LiteLLM": lambda text: {
        "error": {
            "message": "litellm.BadRequestError: GroqException - "
            + json.dumps({"error": {"message": "Failed.", "failed_generation": text}}),
            "code": "400",
        }
    },
    "Groq behind LiteLLM, cut off": lambda text: {
        "error": {
            "message": "GroqException - "
            + json.dumps({"error": {"message": "Failed.", "failed_generation": text}})[:-4],
        }
    },
    "a key of its own": lambda text: {"error": {"message": "Bad.", "generated": text}},
    "vLLM, in pydantic's input": lambda text: {
        "detail": [
            {"type": "x", "loc": ["body", "messages", 1, "content"], "msg": "no", "input": text}
        ]
    },
    "vLLM, as Python": lambda text: {
        "object": "error",
        "message": str(
            [{"type": "x", "loc": ("body", "messages"), "msg": "no", "input": {"t": text}}]
        ),
        "code": 400,
    },
    "LiteLLM, with the request": lambda text: {
        "error": {"message": "Bad request.", "received": {"messages": [{"content": text}]}}
    },
    "an answer with status 500": lambda text: {"error": {"message": "Boom.", "body": text}},
}
PLANTED = (
    "Unsupported parameter: 'temperature' and `seed`. response_format json_schema is not supported. "
    "System role not supported. Invalid grammar. max_completion_tokens is unknown."
)


@pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES)
@pytest.mark.parametrize("first", [True, False], ids=["the first row", "a later row"])
def test_no_text_that_an_error_quotes_changes_how_other_rows_are_asked(
    server: JudgeServer, quote: Any, first: bool, request: pytest.FixtureRequest
) -> None:
    status = 500 if "status 500" in request.node.name else 400
    server.script = lambda asked: (
        refusal(status, quote(PLANTED)) if "POISON" in asked.text else judge.verdict(1)
    )
    options = {"temperature": 0, "seed": 1, "max_tokens": 9}
    grader = {**SCORE, "sampling_params": options}
    data = [row("POISON"), row("b")] if first else [row("b"), row("POISON"), row("c")]
    with Engine(judges=judging(server.url), concurrency=1) as engine:
        list(engine.score(grader, data))
    bodies = [{**asked.body, "messages": None} for asked in server.asked]
    assert [body for body in bodies if body != bodies[0]] == []
    assert bodies[0]["response_format"]["type"] == "json_schema"
    assert bodies[0]["max_completion_tokens"] == 9
