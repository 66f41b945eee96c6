"""Why an answer with status 200 stopped: a filter, its length, or an error that stands in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.openai import OpenAIBackend
from tests.dataset.no_answer_cases import OUTAGES
from tests.judges import judge_server as judge
from tests.judges.judge_server import JudgeServer, answer, judge_server, said
from tests.judges.rows import scored
from tests.judges.test_filters import AZURE_BODY, HATE

REFUSAL = "model_grader_refusal_error"
SERVER = "model_grader_server_error"
CUT_OFF = "model_grader_exceeded_max_tokens_error"


@pytest.fixture(scope="module")
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


VERDICT = judge.verdict_text(1)
FEEDBACK = [{"prompt_index": 0, "content_filter_results": HATE}]
NO_CHOICE = {**said(""), "choices": None}
STOPPED: dict[str, tuple[Any, str]] = {
    **{
        finish: (said(VERDICT, finish=finish), REFUSAL)
        for finish in (
            "content_filter", "SAFETY", "safety", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION",
            "refusal", "guardrail_intervened", "content_filter: SAFETY", "FinishReason.SAFETY", "sensitive",
        )
    },
    **{
        finish: (said('{"steps', finish=finish), CUT_OFF)
        for finish in ("length", "max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens")
    },
    "what the provider called it": (
        {**said(VERDICT), "choices": [{**said(VERDICT)["choices"][0], "native_finish_reason": "SAFETY"}]},
        REFUSAL,
    ),
    "no message": ({**said(""), "choices": [{"index": 0, "finish_reason": "SAFETY"}]}, REFUSAL),
    "no choice, Azure": ({**said(""), "choices": [], "prompt_filter_results": FEEDBACK}, REFUSAL),
    "no choice, Gemini": ({**NO_CHOICE, "promptFeedback": {"blockReason": "SAFETY"}}, REFUSAL),
    "no choice, snake case": ({**NO_CHOICE, "prompt_feedback": {"block_reason": "OTHER"}}, REFUSAL),
    "no choice, MiniMax": (
        {**NO_CHOICE, "base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}, REFUSAL,
    ),
    "no text, and what was found in it": (
        {**said(""), "choices": [{**said("")["choices"][0], "content_filter_results": HATE}]}, REFUSAL,
    ),
    "no text, and what was found in the prompt": (
        {**said(None), "prompt_filter_results": FEEDBACK}, REFUSAL,
    ),
    "a refusal": (said(VERDICT, refusal="I will not."), REFUSAL),
    "a refusal among the chunks": (said([{"type": "refusal", "refusal": "I will not."}]), REFUSAL),
    "a filtered error": ({**NO_CHOICE, **AZURE_BODY}, REFUSAL),
    "a filtered error with a status": (
        {**NO_CHOICE, "error": {"code": 403, "message": "x", "metadata": {"flagged_input": "x"}}}, REFUSAL,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "flag"), STOPPED.values(), ids=STOPPED)
def test_an_answer_says_why_it_stopped_in_any_spelling(
    server: JudgeServer, body: Any, flag: str
) -> None:
    server.answers(answer(body))
    before = len(server.asked)
    one = scored(server.url)
    assert (one.status, list(one.flags)) == ("invalid", [flag])
    assert sum(used.total_tokens for used in one.outcome.usage.values()) == 49
    assert len(server.asked) == before + 1


RESPONSES = {
    "filtered": ("incomplete", "content_filter", REFUSAL),
    "filtered, another spelling": ("incomplete", "SAFETY", REFUSAL),
    "cut off": ("incomplete", "max_output_tokens", CUT_OFF),
    "cut off, another spelling": ("incomplete", "max_tokens", CUT_OFF),
    "cut off, for no reason": ("incomplete", None, CUT_OFF),
}


@pytest.mark.parametrize(("status", "reason", "flag"), RESPONSES.values(), ids=RESPONSES)
def test_so_does_a_response(
    server: JudgeServer, status: str, reason: str | None, flag: str
) -> None:
    details = {"incomplete_details": {"reason": reason}} if reason else {}
    server.answers(answer(judge.responded(judge.spoken(VERDICT), status=status, **details)))
    one = scored(OpenAIBackend(EndpointSettings(base_url=server.url, api="responses")))
    assert list(one.flags) == [flag]


def test_a_response_that_is_not_there_yet_is_a_failure_that_names_the_setting(
    server: JudgeServer,
) -> None:
    for status in ("queued", "in_progress"):
        server.answers(answer(judge.responded(judge.spoken(VERDICT), status=status)))
        one = scored(OpenAIBackend(EndpointSettings(base_url=server.url, api="responses")))
        assert (one.reward, list(one.flags)) == (None, [SERVER])
        assert status in one.flags[SERVER]
        assert "background = false" in one.flags[SERVER]


ITEM = {"type": "message", "role": "assistant", "content": [judge.spoken(VERDICT)]}


@pytest.mark.parametrize("status", ["incomplete", "in_progress"])
def test_a_message_that_is_not_complete_is_an_answer_that_was_cut_off(
    server: JudgeServer, status: str
) -> None:
    server.answers(answer({**judge.responded(), "output": [{**ITEM, "status": status}]}))
    one = scored(OpenAIBackend(EndpointSettings(base_url=server.url, api="responses")))
    assert (one.reward, list(one.flags)) == (None, [CUT_OFF])


@pytest.mark.parametrize("role", ["user", "system", "developer", "tool"])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_message_that_repeats_the_request_is_no_answer(
    server: JudgeServer, api: str, role: str
) -> None:
    chat = said(VERDICT, role=role)
    server.answers(
        answer(chat if api == "chat" else {**judge.responded(), "output": [{**ITEM, "role": role}]})
    )
    one = scored(OpenAIBackend(EndpointSettings(base_url=server.url, api=api)))
    assert (one.reward, list(one.flags)) == (None, [SERVER])


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("refusal", ["", None])
def test_an_empty_refusal_beside_a_verdict_is_none(
    server: JudgeServer, api: str, refusal: str | None
) -> None:
    chunk = {"type": "refusal", "refusal": refusal}
    if api == "chat":
        server.answers(answer(said([chunk, {"type": "text", "text": VERDICT}])))
    else:
        server.answers(answer(judge.responded(chunk, judge.spoken(VERDICT))))
    one = scored(OpenAIBackend(EndpointSettings(base_url=server.url, api=api)))
    assert (one.reward, one.flags) == (1.0, {})


@pytest.mark.parametrize("finish", [None, "stop", "eos"])
def test_no_reason_to_stop_leaves_the_verdict(server: JudgeServer, finish: str | None) -> None:
    server.answers(answer(choice(finish_reason=finish)))
    assert scored(server.url).reward == 1.0


def choice(**more: Any) -> dict[str, Any]:
    """A completion whose only choice has more keys."""
    whole = said(VERDICT)
    return {**whole, "choices": [{**whole["choices"][0], **more}]}


WITHIN: dict[str, tuple[Any, int]] = {
    "OpenRouter, the provider is down": ({"error": {"code": 502, "message": "Provider error"}}, 3),
    "a code as text": ({"error": {"code": "429", "message": "slow down"}}, 3),
    "a code in words": ({"error": {"code": "rate_limit_exceeded", "message": "slow"}}, 3),
    "Google's status": ({"error": {"status": "UNAVAILABLE", "message": "later"}}, 3),
    "overloaded": ({"error": {"type": "overloaded_error", "message": "later"}}, 3),
    "in the choice": (choice(error={"code": 502, "message": "lost"}, finish_reason="error"), 3),
    "only a reason": (choice(finish_reason="error"), 3),
    **{f"the reason {reason}": (choice(finish_reason=reason), 3) for reason in OUTAGES},
    "beside a verdict": ({**said(VERDICT), "error": {"code": 500, "message": "lost"}}, 3),
    "a wrong request": ({"error": {"code": 400, "message": "bad"}}, 1),
    "no credit": ({"error": {"code": 402, "message": "no credit"}}, 1),
    "nothing that helps": ({"error": {"message": "no"}}, 1),
    "a text": ({"error": "no"}, 1),
}


@pytest.mark.parametrize(("body", "requests"), WITHIN.values(), ids=WITHIN)
def test_an_error_in_an_answer_with_status_200_is_one_by_its_code(
    server: JudgeServer, body: Any, requests: int
) -> None:
    server.answers(answer(body))
    before = len(server.asked)
    one = scored(server.url)
    assert (one.reward, one.status, list(one.flags)) == (None, "failed", [SERVER])
    assert len(server.asked) == before + requests


def test_a_response_that_failed_because_of_a_filter_is_a_refusal(server: JudgeServer) -> None:
    failed = judge.responded(status="failed", error={"code": "content_filter", "message": "no"})
    server.answers(answer(failed))
    one = scored(OpenAIBackend(EndpointSettings(base_url=server.url, api="responses")))
    assert list(one.flags) == [REFUSAL]


def test_what_was_found_and_let_through_leaves_the_verdict(server: JudgeServer) -> None:
    server.answers(
        answer({**choice(content_filter_results=HATE), "prompt_filter_results": FEEDBACK})
    )
    assert scored(server.url).reward == 1.0


@pytest.mark.parametrize("error", [None, {}, "", {"code": 0, "message": ""}, {"code": None}])
def test_an_error_that_is_none_leaves_the_verdict(server: JudgeServer, error: Any) -> None:
    server.answers(answer({**said(VERDICT), "error": error}))
    assert scored(server.url).reward == 1.0


def test_what_an_answer_with_status_200_says_that_it_does_not_support_is_left_out(
    server: JudgeServer,
) -> None:
    complaint = {"code": 400, "message": "no response_format", "param": "response_format"}
    server.answers(answer({"error": complaint}), judge.verdict(0.5))
    assert scored(server.url).reward == 0.5
