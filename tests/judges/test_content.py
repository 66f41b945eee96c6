"""Which part of an answer is its text: never what the model thinks, in whatever form that is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.openai import OpenAIBackend
from tests.judges.judge_server import JudgeServer, answer, judge_server, responded, said, spoken
from tests.judges.rows import scored

PARSE = "model_grader_parse_error"
OWN = '{"steps": [], "result": 0.7}'
DRAFT = '{"steps": [], "result": 1}'


@pytest.fixture(scope="module")
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


def graded(server: JudgeServer, body: Any, **settings: Any) -> Any:
    server.answers(answer(body))
    before = len(server.asked)
    one = scored(OpenAIBackend(EndpointSettings(base_url=server.url, **settings)))
    assert len(server.asked) == before + 1
    return one


CHUNKS: dict[str, list[Any]] = {
    "thinking in chunks (Mistral)": [
        {"type": "thinking", "thinking": [{"type": "text", "text": DRAFT}]},
        {"type": "text", "text": OWN},
    ],
    "thinking in one text": [{"type": "thinking", "thinking": DRAFT}, {"type": "text", "text": OWN}],
    "thinking behind it": [{"type": "text", "text": OWN}, {"type": "thinking", "thinking": DRAFT}],
    "reasoning with a text": [{"type": "reasoning", "text": DRAFT}, {"type": "text", "text": OWN}],
    "an unknown type with a text": [{"type": "scratch", "text": DRAFT}, {"type": "text", "text": OWN}],
    "a reference": [{"type": "text", "text": OWN}, {"type": "reference", "reference_ids": [1]}],
    "output_text": [{"type": "output_text", "text": OWN}],
    "no type": [{"text": OWN}],
    "a text": [OWN],
    "in pieces": [{"type": "text", "text": OWN[:9]}, OWN[9:12], {"type": "output_text", "text": OWN[12:]}],
}  # fmt: skip


@pytest.mark.parametrize("structured", ["json_schema", "json_object", "text"])
@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
def test_the_text_chunks_are_the_answer(
    server: JudgeServer, chunks: list[Any], structured: str
) -> None:
    assert graded(server, said(chunks), structured=structured).reward == 0.7
    message = {"type": "message", "role": "assistant", "content": chunks}
    whole = {**responded(), "output": [message]}
    assert graded(server, whole, structured=structured, api="responses").reward == 0.7


OUTPUT: dict[str, list[dict[str, Any]]] = {
    "reasoning of its own": [
        {
            "type": "reasoning",
            "content": [{"type": "reasoning_text", "text": DRAFT}],
            "summary": [],
        },
        {"type": "message", "content": [spoken(OWN)]},
    ],
    "a text in place of a list": [{"type": "message", "content": OWN}],
    "a comment before it": [
        {"type": "message", "phase": "commentary", "content": [spoken(DRAFT)]},
        {"type": "message", "phase": "final_answer", "content": [spoken(OWN)]},
    ],
    "another channel before it": [
        {"type": "message", "channel": "analysis", "content": [spoken(DRAFT)]},
        {"type": "message", "channel": "final", "content": [spoken(OWN)]},
    ],
}


@pytest.mark.parametrize("output", OUTPUT.values(), ids=OUTPUT)
def test_the_final_message_is_the_answer(server: JudgeServer, output: list[dict[str, Any]]) -> None:
    assert graded(server, {**responded(), "output": output}, api="responses").reward == 0.7


REASONING: dict[str, dict[str, Any]] = {
    "reasoning_content": {"reasoning_content": OWN},
    "reasoning": {"reasoning": OWN},
    "thinking": {"thinking": OWN},
    "reasoning_details": {"reasoning_details": [{"type": "reasoning.text", "text": OWN}]},
    "thinking_blocks": {"thinking_blocks": [{"type": "thinking", "thinking": OWN}]},
    "chunks": {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": OWN}]}]},
    "blanks beside it": {"content": "\n\n", "reasoning": OWN},
}


@pytest.mark.parametrize("structured", ["json_schema", "text"])
@pytest.mark.parametrize("message", REASONING.values(), ids=REASONING)
def test_a_verdict_in_the_reasoning_alone_is_shown_and_not_read(
    server: JudgeServer, message: dict[str, Any], structured: str
) -> None:
    body = said(message.get("content"), **{k: v for k, v in message.items() if k != "content"})
    one = graded(server, body, structured=structured)
    assert (one.reward, one.status, list(one.flags)) == (None, "invalid", [PARSE])
    for word in ("reasoning", OWN, "structured", "max_completions_tokens", "graders.toml"):
        assert word in one.flags[PARSE]
    assert sum(used.total_tokens for used in one.outcome.usage.values()) == 49


@pytest.mark.parametrize("where", ["content", "summary"])
def test_a_response_of_reasoning_alone_likewise(server: JudgeServer, where: str) -> None:
    reasoning = {"type": "reasoning", where: [{"type": "reasoning_text", "text": OWN}]}
    one = graded(server, {**responded(), "output": [reasoning]}, api="responses")
    assert (one.reward, list(one.flags)) == (None, [PARSE])
    assert OWN in one.flags[PARSE]


@pytest.mark.parametrize("structured", ["json_schema", "text"])
def test_reasoning_in_the_text_alone_is_no_answer_either(
    server: JudgeServer, structured: str
) -> None:
    one = graded(server, said(f"<think>{OWN}</think>\n"), structured=structured)
    assert (one.reward, list(one.flags)) == (None, [PARSE])
    assert "only reasoning" in one.flags[PARSE]


def test_an_answer_that_was_cut_off_while_the_model_reasoned_says_so(server: JudgeServer) -> None:
    one = graded(server, said(None, finish="length", reasoning="Let me see"))
    [details] = one.flags.values()
    assert "was cut off while it reasoned: 'Let me see'" in details
    assert "max_completions_tokens" in details


def test_reasoning_beside_an_answer_is_nothing_to_tell(server: JudgeServer) -> None:
    one = graded(server, said(OWN, reasoning_content=DRAFT))
    assert (one.reward, one.flags) == (0.7, {})


def test_chunks_without_a_text_are_an_empty_answer(server: JudgeServer) -> None:
    one = graded(server, said([{"type": "image", "image": "x"}]))
    assert "the judge's answer is empty" in one.flags[PARSE]
