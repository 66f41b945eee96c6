"""What an error says that an endpoint does not support, in many words; and errors that say nothing of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graders_engine.errors import BackendFailure
from graders_engine.models.base import ModelMessage, ModelRequest, Sampling, TextPart
from graders_engine.models.dialects.complaint import Asked, refused_parts
from graders_engine.models.dialects.dialect import Dialect
from graders_engine.models.error_body import failure_of

URL = "https://gateway.example.org/v1/chat/completions"
ROW = "Why does a system role matter, and what is a good temperature for a seed to grow?"
MESSAGES = (
    ModelMessage("system", (TextPart("Be strict."),)),
    ModelMessage("user", (TextPart(ROW),)),
    ModelMessage("user", (TextPart("Again."),)),
)
SAMPLING = Sampling(max_tokens=700, reasoning_effort="minimal", seed=42, temperature=0.0, top_p=1.0)
REQUEST = ModelRequest("judge-reasoning-1", MESSAGES, {}, SAMPLING)


def refused(
    body: Any,
    status: int = 400,
    left_out: tuple[str, ...] = (),
    api: str = "chat",
    asked: ModelRequest = REQUEST,
) -> set[str]:
    """The parts that an error with this body names."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    error: BackendFailure = failure_of(URL, status, None, text)
    parts = Dialect(frozenset(left_out)).parts(asked, api)
    names = {"model", "temperature", "top_p", "seed", "reasoning_effort", "max_completion_tokens"}
    names |= (
        {"messages", "response_format"}
        if api == "chat"
        else {"input", "text", "store", "reasoning"}
    )
    return set(refused_parts(Asked(asked, dict.fromkeys(names), URL, parts), error))


def openai(message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return {"error": error}


OPTIONS = [
    ("top_p is not supported with this model.", "top_p"),
    ("Unknown parameter: 'seed'.", "seed"),
    ("Unrecognized request arguments supplied: seed, top_p", "seed top_p"),
    ("Additional properties are not allowed ('seed' was unexpected)", "seed"),
    ("property 'reasoning_effort' is unsupported", "reasoning_effort"),
    ("reasoning_effort: extra fields not permitted", "reasoning_effort"),
    ("This model does not support the effort parameter.", "reasoning_effort"),
    ("Thinking budget is not supported for this model.", "reasoning_effort=minimal"),
    ("Thinking is not supported for this model", "reasoning_effort"),
    ("Unable to submit request because thinking is not supported by this model.", "reasoning_effort"),
    ("judge-reasoning-1 does not support temperature", "temperature"),
    ("The parameter temperature can not be used with this model", "temperature"),
    ("temperature must be 1 when thinking is enabled", "temperature=other"),
    ("`temperature` may only be set to 1 when thinking is enabled.", "temperature=other"),
    ("Sampling with temperature isn't available on this deployment", "temperature"),
    ("`temperature` has to be a strictly positive float; it must be above 0", "temperature=other"),
    ("top_k and top_p are not supported. Use temperature instead.", "top_p"),
    ("topP is not supported", "top_p"),
    ("Argument not supported on this model: reasoningEffort", "reasoning_effort"),
    ("Unsupported parameters: temperature, top_p, seed", "seed temperature top_p"),
    ("`temperature` and `top_p` cannot both be specified for this model.", "top_p=1"),
    ("Extra inputs are not permitted, field: 'seed', value: 42", "seed"),
    ("unknown field `seed`, expected one of `temperature`, `top_p`, `stream`", "seed"),
    ("Unsupported parameter: 'max_completion_tokens'.", "max_completion_tokens"),
    ("max_completion_tokens is too large: 700. This model supports at most 512 completion tokens.",
     "max_tokens"),
    ("`max_tokens` must be less than or equal to `512`, the maximum value for `max_tokens`", "max_tokens"),
    ("`max_tokens` must be greater than `thinking.budget_tokens`.", "max_tokens"),
    ("max_completion_tokens must be higher than the thinking budget", "max_tokens"),
    ("thinking.budget_tokens must be less than max_tokens", "reasoning_effort=minimal"),
    ("temperature must be smaller than 2 and top_p is not supported", "temperature=other"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "parts"), OPTIONS)
def test_options_that_a_message_refuses(message: str, parts: str) -> None:
    assert refused(openai(message)) == set(parts.split())


FORMS = [
    ("Invalid grammar", "json_schema"),
    ("failed to compile grammar", "json_schema"),
    ("Grammar error: Unimplemented keys", "json_schema"),
    ("Failed to initialize samplers: std::exception", "json_schema"),
    ("unsupported schema", "json_schema"),
    ("JSON Schema not supported: could not understand the instance `{'not': {}}`.", "json_schema"),
    ("json_schema not supported", "json_schema"),
    ("response_format type must be json_object or text", "json_schema"),
    ("Structured outputs are not supported by this model", "json_schema"),
    ("guided decoding is disabled on this server", "json_schema"),
    ("JSON mode is not enabled for this model", "json_object json_schema"),
    ("Unknown parameter: 'response_format'.", "json_object json_schema"),
    ("System role not supported", "system"),
    ("Conversation roles must alternate user/assistant/user/assistant/...", "system turns"),
    ("After the optional system message, conversation roles must alternate user/assistant", "turns"),
    ("After the (optional) system message(s), user message(s) should alternate with assistant message(s)",
     "turns"),
    ("Unknown name \"additionalProperties\" at 'generation_config.response_schema': Cannot find field.",
     "json_schema"),
    ("* generation_config.response_schema.properties[steps].items: missing field.", "json_schema"),
    ("output_config.format: Extra inputs are not permitted", "json_object json_schema"),
    ("tool_choice: Thinking may not be enabled when tool_choice forces tool use.", "json_schema"),
    ("No endpoints found that can handle the requested parameters.", "json_schema"),
    ("Unexpected message role.", "system"),
    ("'messages.0' : discriminator property 'role' has invalid value", "system"),
    ("Only user and assistant roles are supported!", "system"),
    ("This model doesn't support system messages.", "system"),
    ("Unexpected role 'system' after role 'user'", "system"),
    ("Please use a valid role: user, model.", "system"),
    ("Jinja Exception: System message must be at the beginning.", "system"),
    ("Developer instruction is not enabled for models/judge-reasoning-1", "system"),
]  # fmt: skip


FOR_DEVELOPER = [
    "Unexpected message role.",
    "Error rendering prompt with jinja template: \"Unexpected message role.\".",
    "'messages.0' : discriminator property 'role' has invalid value",
    "1 validation error: messages.0.role Input should be 'user', 'assistant', 'system' or 'tool'",
    [{"loc": ["body", "messages", 0, "role"], "msg": "Input should be 'system', 'user' or 'assistant'"}],
    [{"loc": ["body", "messages", 0, "role"], "msg": "unexpected value; permitted: 'system', 'user'"}],
    [{"loc": ["body", "messages", 0, "SystemMessage", "role"], "msg": "Input should be 'system'"},
     {"loc": ["body", "messages", 0, "UserMessage", "role"], "msg": "Input should be 'user'"}],
]  # fmt: skip


@pytest.mark.parametrize("detail", FOR_DEVELOPER)
def test_a_developer_message_is_sent_as_a_system_message_before_a_user_message(detail: Any) -> None:
    request = ModelRequest("judge-1", (ModelMessage("developer", (TextPart("Be strict."),)),), {})
    assert refused({"detail": detail}, asked=request) == {"developer"}


@pytest.mark.parametrize(
    "message",
    [
        "No user query found in messages.",
        "* GenerateContentRequest.contents: contents is not specified",
        "messages: at least one message is required",
    ],
)
def test_an_instruction_alone_is_sent_as_a_user_message_where_one_is_needed(message: str) -> None:
    alone = ModelRequest("judge-1", MESSAGES[:1], {}, SAMPLING)
    assert refused(openai(message), asked=alone) == {"system"}
    assert refused(openai(message)) == set()


@pytest.mark.parametrize("role", ["user", "assistant", "tool"])
def test_another_role_that_is_unexpected_says_nothing_of_instructions(role: str) -> None:
    assert refused(openai(f"Unexpected message role: {role}")) == set()


def test_a_limit_that_is_compared_with_the_context_of_the_model_is_left_out() -> None:
    message = (
        "`max_completion_tokens` must be less than or equal to `100`, the maximum value for "
        "`max_completion_tokens` is less than the `context_window` for this model"
    )
    assert refused(openai(message, "max_completion_tokens")) == {"max_tokens"}


@pytest.mark.parametrize(("message", "parts"), FORMS)
def test_forms_that_a_message_refuses(message: str, parts: str) -> None:
    assert refused(openai(message)) == set(parts.split())
    assert refused({"error": message}, 422) == set(parts.split())


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (openai("Bad.", "temperature", "unsupported_value"), "temperature=other"),
        (openai("No.", "reasoning.effort", "unsupported_parameter"), "reasoning_effort"),
        (openai("Unsupported parameter", "max_output_tokens"), "max_tokens"),
        (openai("Unknown parameter: 'store'.", "store", "unknown_parameter"), "store"),
        (openai("Unsupported parameter: 'text.format'", "text.format"), "json_schema"),
        ({"detail": [{"loc": ["body", "reasoning", "effort"], "msg": "Input should be 'low'"}]},
         "reasoning_effort=minimal"),
    ],
)  # fmt: skip
def test_parameters_of_the_responses_form(body: Any, parts: str) -> None:
    assert refused(body, api="responses") == set(parts.split())


OTHERS = [
    openai("This model's maximum context length is 4096 tokens. However, you requested 4796 tokens "
           "(4096 in the messages, 700 in the completion).", "messages", "context_length_exceeded"),
    openai("'max_tokens' or 'max_completion_tokens' is too large: 700. This model's maximum context length "
           "is 4096 tokens and your request has 4000 input tokens."),
    openai("Could not finish the message because max_tokens or model output limit was reached. "
           "Please try again with higher max_tokens."),
    openai("Failed to generate JSON. Please adjust your prompt.", None, "json_validate_failed"),
    openai("Generated JSON does not match the expected schema.", None, "json_validate_failed"),
    openai(f"Invalid input: {ROW} is not supported"),
    openai("The system is not available, an unexpected error occurred"),
    openai("Invalid 'messages[1].content': string too long.", "messages[1].content", "string_above_max"),
    openai("Incorrect API key provided.", None, "invalid_api_key"),
    openai("The temperature of this answer was fine"),
    openai("Unknown parameter: 'user'.", "user", "unknown_parameter"),
    {"error": {"message": "Bad.", "generated_text": "seed is not supported; System role not supported"}},
    {"detail": [{"loc": ["body", "messages", 1, "content"], "msg": "no", "input": "seed not supported"}]},
    b"<html><body>Bad Gateway</body></html>",
]  # fmt: skip


@pytest.mark.parametrize("body", OTHERS)
def test_other_errors_refuse_nothing(body: Any) -> None:
    assert refused(body) == set()


def test_an_error_of_the_server_refuses_only_what_it_names_as_unsupported() -> None:
    assert refused({"error": {"message": "System role not supported"}}, 500) == {"system"}
    assert refused({"error": {"message": "unexpected failure in temperature"}}, 500) == set()
    assert refused({"error": {"message": "seed is not supported"}}, 503) == set()


def test_what_is_not_sent_is_not_refused() -> None:
    assert refused(openai("seed is not supported"), left_out=("seed",)) == set()
    assert refused(openai("json_schema not supported"), left_out=("json_schema",)) == {
        "json_object"
    }
    assert refused(openai("max_tokens is not supported"), left_out=("max_completion_tokens",)) == {
        "max_tokens"
    }
