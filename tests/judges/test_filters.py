"""A content filter is a refusal, in every gateway's form and with any status; an outage never is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from graders_engine.models.endpoint import Endpoint, EndpointSettings
from graders_engine.models.http import HttpClient
from graders_engine.models.openai_embeddings import OpenAIEmbeddings
from graders_engine.models.retry import RetryPolicy
from tests.judges.judge_server import JudgeServer, Reply, http, judge_server, verdict
from tests.judges.rows import scored

REFUSAL = "model_grader_refusal_error"
SERVER = "model_grader_server_error"
AZURE = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. "
    "Please modify your prompt and retry."
)
SAFE = {"filtered": False, "severity": "safe"}
HATE = {"hate": {"filtered": True, "severity": "high"}, "violence": SAFE}
INNER = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": HATE}
AZURE_BODY = {
    "error": {"message": AZURE, "param": "prompt", "code": "content_filter", "innererror": INNER}
}
LITELLM = "litellm.BadRequestError: litellm.ContentPolicyViolationError: AzureException - " + AZURE


def told(message: Any, **more: Any) -> dict[str, Any]:
    """An error object as most endpoints write it."""
    return {"error": {"message": message, "type": None, "param": None, "code": "400", **more}}


BODIES: dict[str, tuple[int, Any]] = {
    "Azure": (400, AZURE_BODY),
    "Azure, any order of keys": (
        400, {"error": {"innererror": {**INNER, "more": "x" * 3000, "code": "ResponsibleAIPolicyViolation"}}},
    ),
    "Azure, the code far behind": (400, {"error": {"message": "x" * 5000, "innererror": INNER}}),
    "Azure, only what was found": (400, told("no", content_filter_results=HATE)),
    "Azure before the code": (400, told(AZURE, code="BadRequest")),
    "LiteLLM": (400, told(LITELLM, provider_specific_fields={"innererror": INNER})),
    "LiteLLM without fields": (400, told(LITELLM)),
    "LiteLLM with status 500": (500, told(LITELLM, code="500")),
    "LiteLLM with status 503": (503, told(LITELLM, code="503")),
    "LiteLLM, the object as JSON": (
        400, told(f"litellm.BadRequestError: AzureException - {json.dumps(AZURE_BODY)}\nmodel=m. None"),
    ),
    "LiteLLM, the object as Python prints it": (
        500, told(f"litellm.APIError: OpenAIException - Error code: 400 - {AZURE_BODY!r}"),
    ),
    "LiteLLM's guardrails": (
        400, told({"error": "Violated guardrail policy", "response": {"action": "GUARDRAIL_INTERVENED"}}),
    ),
    "LiteLLM's guardrails as Python prints them": (
        400, told("{'error': 'Violated OpenAI moderation policy', 'moderation_result': {}}"),
    ),
    "LiteLLM's guardrail exception": (400, told("GuardrailRaisedException: no")),
    "OpenAI's reasoning models": (
        400, told("Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
                  type="invalid_request_error", code="invalid_prompt"),
    ),
    "OpenAI's policy": (400, told("no", code="content_policy_violation")),
    "another spelling": (422, told("no", type="responsible_ai_policy_violation")),
    "OpenRouter's moderation": (
        403, {"error": {"code": 403, "message": "a/b requires moderation on X. Your input was flagged",
                        "metadata": {"reasons": ["sexual"], "flagged_input": "x", "provider_name": "X"}}},
    ),
    "OpenRouter, what the provider said": (
        400, {"error": {"code": 400, "message": "Provider returned error",
                        "metadata": {"raw": json.dumps(AZURE_BODY), "provider_name": "Azure"}}},
    ),
    "Portkey": (400, told("The guardrail checks failed.", type="hooks_failed", code=None)),
    "a guardrail by its status": (446, {"code": "900514", "message": "Runtime Error"}),
    "Gemini": (400, [{"error": {"code": 400, "message": "no", "status": "PROHIBITED_CONTENT"}}]),
    "Vertex": (400, {"error": {"code": 400, "details": [{"reason": "SAFETY"}]}}),
    "Gemini's feedback": (400, {"promptFeedback": {"blockReason": "OTHER"}, "error": {"message": "no"}}),
    "DashScope": (400, told("<400> InternalError.Algo.DataInspectionFailed: Input text data may contain "
                            "inappropriate content.", code="data_inspection_failed")),
    "DashScope without a code": (
        500, told("<400> InternalError.Algo.DataInspectionFailed: Output data may contain something."),
    ),
    "DeepSeek": (400, told("Content Exists Risk", code="invalid_request_error")),
    "DeepSeek, older": (400, {"detail": "Content Exists Risk"}),
    "Zhipu": (400, {"contentFilter": [{"level": 1, "role": "user"}], "error": {"code": "1301"}}),
    "Zhipu, only its sentence": (
        400, told("系统检测到输入或生成内容可能包含不安全或敏感内容", code="1301"),
    ),
    "Zhipu, its sentence in English": (
        400, told("The system has detected potentially unsafe or sensitive content in input or generation.",
                  code="1301"),
    ),
    "xAI": (
        403, {"code": "The caller does not have permission to execute the specified operation",
              "error": "Content violates usage guidelines. Team: a, API key ID: b, Model: m, "
                       "Failed check: SAFETY_CHECK_TYPE_BIO"},
    ),
    "OpenAI's limited access": (
        400, told("Invalid prompt: we've limited access to this content for safety reasons.",
                  type="invalid_request_error", code="invalid_prompt"),
    ),
    "Cloudflare's guardrails": (
        424, {"success": False,
              "errors": [{"code": 2016, "message": "Prompt blocked due to security configurations"}]},
    ),
    "Anthropic's policy": (400, told("Output blocked by content filtering policy")),
    "an exact code with the status of an outage": (503, told("upstream", code="content_filter")),
    "an exact type with the status of an outage": (429, told("no", type="content_policy_violation")),
    "Azure with the status of an outage": (500, AZURE_BODY),
    "OpenRouter's code with the status of an outage": (
        502, {"error": {"code": 502, "message": "no", "metadata": {"raw": json.dumps(AZURE_BODY)}}},
    ),
    "Gemini's feedback with the status of an outage": (500, {"promptFeedback": {"blockReason": "SAFETY"}}),
    "a text": (400, b"litellm.ContentPolicyViolationError: no"),
    "deep inside": (400, {"a": {"b": [{"c": {"d": {"e": {"f": {"g": {"h": {"i": AZURE_BODY}}}}}}}]}}),
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[JudgeServer]:
    with judge_server() as opened:
        yield opened


def refused(status: int, body: Any) -> Reply:
    return http(status, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(("status", "body"), BODIES.values(), ids=BODIES)
def test_an_error_behind_which_a_filter_is_means_a_refusal_after_one_request(
    server: JudgeServer, status: int, body: Any
) -> None:
    server.answers(refused(status, body))
    before = len(server.asked)
    one = scored(server.url)
    assert (one.status, list(one.flags)) == ("invalid", [REFUSAL])
    assert "content filter" in one.flags[REFUSAL]
    assert len(server.asked) == before + 1


ROW = "content_filter ResponsibleAIPolicyViolation litellm.ContentPolicyViolationError: " + AZURE
OUTAGES: dict[str, tuple[int, Any]] = {
    "a message that quotes the row": (500, told(f"Cannot read this: '{ROW}'", code="500")),
    "a text that quotes the row": (500, f"Cannot read: {ROW}".encode()),
    "the row's object in a message": (503, told(f"Cannot read: {json.dumps(AZURE_BODY)}", code=None)),
    "the input repeated": (
        422, {"detail": [{"loc": ["body", "x"], "msg": "bad", "input": json.dumps(AZURE_BODY)}]},
    ),
    "the request repeated": (
        422, {"detail": [{"msg": "bad", "input": {"messages": [{"type": "content_filter"}]}}]},
    ),
    "what was generated": (400, told("Failed to generate JSON.", failed_generation=json.dumps(AZURE_BODY))),
    "a filter that failed itself": (
        500, told("no", content_filter_result={"error": {"code": "content_filter_error"}}),
    ),
    "a filter that found nothing": (500, told("no", content_filter_results={"hate": SAFE})),
    "no block": (500, {"promptFeedback": {"blockReason": "BLOCK_REASON_UNSPECIFIED"}}),
    "a prompt that is invalid otherwise": (400, told("Invalid prompt: too long", code="invalid_prompt")),
    "a limit that is called a policy": (429, told("Violated rate limit policy: 60 requests per minute")),
    "a check that took too long": (503, told("Content policy violation check timed out, please retry")),
    "a network that is called content": (502, b"The response was blocked by content delivery network"),
    "a gateway that is called security": (502, b"The request was blocked by content security gateway"),
    "a type that is a word": (500, told("safety classifier timed out", type="safety")),
    "a status that is a word": (503, {"message": "service", "status": "sensitive"}),
    "a reason of two words": (503, told("x", reason="connection refusal")),
    "a reason that is a word": (500, told("temporary", reason="refusal")),
    "an action of two words": (503, told("x", action="safety mode")),
    "a limit that is called safety": (
        429, told("The request was blocked by safety limits: too many requests"),
    ),
    "a block for a limit": (429, told("no", blocked_reason="RATE_LIMIT")),
    "LiteLLM's guardrail that failed itself": (
        500, told("litellm.GuardrailRaisedException: Guardrail raised an exception, Guardrail: presidio, "
                  "Message: Connection refused", code="500"),
    ),
    "LiteLLM's fallback that failed": (
        500, told("litellm.APIConnectionError: ContentPolicyViolationError fallback failed: timeout"),
    ),
    "a filter's code within another": (500, told("no", code="content_filter_error")),
    "a filter's sentence with the status of an outage": (503, told(AZURE)),
    "a request that was blocked by somebody else": (
        400, told("The prompt was blocked by your network administrator: max length"),
    ),
    "an input that was blocked for its form": (
        400, told("The input was blocked because the image could not be loaded"),
    ),
    "a limit of a network": (403, b"The response was blocked by content delivery network"),
    "a check that took too long, as a wrong request": (400, told("Content policy violation check timed out")),
    "a reason of two words of a wrong request": (400, told("x", reason="connection refusal")),
    "a word of the language": (500, told("Safety first")),
}  # fmt: skip


@pytest.mark.parametrize(("status", "body"), OUTAGES.values(), ids=OUTAGES)
def test_an_error_that_only_mentions_a_filter_stays_an_error(
    server: JudgeServer, status: int, body: Any
) -> None:
    server.answers(refused(status, body))
    one = scored(server.url)
    assert (one.status, list(one.flags)) == ("failed", [SERVER])


LOST = [OUTAGES[name] for name in OUTAGES if OUTAGES[name][0] in (429, 500, 502, 503)]


@pytest.mark.parametrize(("status", "body"), LOST)
def test_an_outage_that_speaks_of_a_filter_is_tried_again(
    server: JudgeServer, status: int, body: Any
) -> None:
    server.answers(refused(status, body), verdict(0.5))
    assert scored(server.url, retry=RetryPolicy(attempts=2, wait_initial_s=0.0)).reward == 0.5


@pytest.mark.parametrize("status", [429, 500, 503])
def test_embeddings_know_no_filters(server: JudgeServer, status: int) -> None:
    vectors = {"data": [{"index": 0, "embedding": [1.0, 0.5]}]}
    server.answers(refused(status, AZURE_BODY), http(200, json.dumps(vectors).encode()))
    client = HttpClient(RetryPolicy(attempts=2, wait_initial_s=0.0))
    settings = EndpointSettings(base_url=server.url)

    async def embedded() -> list[Any]:
        endpoint = Endpoint.from_settings(settings, client, api_key="x")
        embeddings = OpenAIEmbeddings("m", endpoint, settings)
        try:
            return await embeddings.embed(["a text"])
        finally:
            await embeddings.close()

    assert asyncio.run(embedded()) == [[1.0, 0.5]]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_graders_of_endpoints_know_no_filters(server: JudgeServer, status: int) -> None:
    server.answers(refused(status, AZURE_BODY), http(200, b'{"score": 0.5}'))
    client = HttpClient(RetryPolicy(attempts=2, wait_initial_s=0.0))

    async def graded() -> Any:
        try:
            return await Endpoint(server.url, client).post("", b"{}")
        finally:
            await client.close()

    assert asyncio.run(graded()) == {"score": 0.5}
