"""Keys of outputs: those that may hold the model's text, and those under which there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graders_engine.language.scope import SAMPLE_KEYS

NAMED = ("model_sample", "sample", "samples", "model_samples")
"""Keys that name an output; what stands beside them does not count."""
OUTPUTS = ("output", "outputs", "result")
TEXTS = ("text", "content", "completion", "response", "generated_text", "generation")
"""Keys under which an object may hold the model's text. Outputs under two keys must be the same."""
CONVERSATIONS = ("trajectory", "messages")
"""Keys of conversations, which may be prompts: they count where no other key holds an output."""
HOLDING = (*NAMED, *OUTPUTS, *TEXTS, *CONVERSATIONS, "message")

RESPONSE_KEYS = frozenset(
    {
        "background", "billing", "completed_at", "conversation", "created_at", "error", "id",
        "incomplete_details", "instructions", "max_output_tokens", "max_tool_calls", "model", "object",
        "output", "output_text", "parallel_tool_calls", "previous_response_id", "prompt_cache_key",
        "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "status", "store",
        "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "usage",
    }
)  # fmt: skip
"""The keys of a response of the Responses API."""
COMPLETION_KEYS = frozenset(
    {"choices", "created", "id", "model", "object", "service_tier", "system_fingerprint", "usage"}
)
"""The keys of a chat completion."""
MESSAGE_KEYS = frozenset(
    {
        "annotations", "audio", "citations", "content", "function_call", "id", "index", "logprobs",
        "metadata",
        "model", "name", "object", "parsed", "phase", "provider_specific_fields", "reasoning",
        "reasoning_content", "reasoning_details", "refusal", "role", "status", "stop_reason", "stop_sequence",
        "thinking", "thinking_blocks", "toolCalls", "tool_call_id", "tool_calls", "type", "usage", "weight",
    }
)  # fmt: skip
"""The keys of a chat message under which there is no text, apart from `content` and `refusal`."""
ABOUT_THE_RUN = frozenset(
    {
        "created_at", "error", "finish_reason", "id", "input", "max_completion_tokens", "max_tokens",
        "metadata", "model", "reasoning_effort", "response_format", "sampled_model_name",
        "sampled_model_params", "sampling_params", "seed", "status", "temperature", "token_usage", "tools",
        "top_p", "usage",
    }
)  # fmt: skip
"""The keys of a hosted sample that do not say what the model answered."""
_OTHERS = frozenset(
    {
        "additional_kwargs", "avgLogprobs", "body", "cost", "custom_id", "datasource_item", "details", "done",
        "done_reason",
        "duration", "eval_count", "eval_duration", "finishReason", "idx", "instruction", "item", "latency",
        "latency_ms", "load_duration", "modelVersion", "model_name", "n", "promptFeedback", "responseId",
        "usageMetadata", "prompt", "prompt_eval_count",
        "prompt_eval_duration", "prompt_id", "provider", "query", "question", "reference_answer",
        "request_id", "response_metadata", "row_id", "sample_id", "status_code", "stop", "stopReason",
        "stop_type", "system", "timestamp", "tokens", "total_duration", "usage_metadata",
    }
)  # fmt: skip
_WITHOUT_TEXT = (
    (RESPONSE_KEYS - {"output", "output_text", "text"})
    | (COMPLETION_KEYS - {"choices"})
    | (MESSAGE_KEYS - {"content", "refusal"})
    | ABOUT_THE_RUN
    | frozenset(SAMPLE_KEYS)
    | _OTHERS
)


def unknown_keys(value: Mapping[str, Any]) -> list[str]:
    """The keys of an output that hold something which may be the model's text, though nobody reads them."""
    return [
        str(key)
        for key, part in value.items()
        if part and part is not True and key not in _WITHOUT_TEXT
    ]
