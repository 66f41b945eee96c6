"""Outputs that say nothing: which are an answer of nothing, and which are no answer."""

from __future__ import annotations

from typing import Any

ROLE = {"role": "assistant"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def chat(message: Any, finish: Any = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish, **more}]}


def response(*output: Any, **more: Any) -> dict[str, Any]:
    return {"object": "response", "output": list(output), **more}


def message(**more: Any) -> dict[str, Any]:
    return {"type": "message", **ROLE, **more}


def cut(reason: str) -> dict[str, Any]:
    return {"status": "incomplete", "incomplete_details": {"reason": reason}}


THOUGHTS = {"type": "reasoning", "summary": []}
PART = {"type": "text", "text": "par"}
EMPTY_PART = {"type": "output_text", "text": ""}
CALL_ITEM = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
SILENT = {**ROLE, "content": None}
OUTAGES = (
    "abort", "aborted", "cancelled", "error", "failed", "in_progress", "insufficient_system_resource",
    "internal_error", "interrupted", "network_error", "overloaded", "rate_limited", "server_error",
    "TIMEOUT", "service unavailable",
)  # fmt: skip
"""Reasons by which an endpoint says that it broke off, whatever it had written before."""
ANSWERED = (
    "content_filter", "eos_token", "ERROR_TOXIC", "length", "MALFORMED_FUNCTION_CALL", "max_tokens", "OTHER",
    "refusal", "SAFETY", "tool_calls", "unknown",
)  # fmt: skip
"""Reasons with which a model's answer ends."""
EMPTY: dict[str, Any] = {
    "chat, an empty text": chat({**ROLE, "content": ""}),
    "chat, an empty text, stop": chat({**ROLE, "content": ""}, "stop"),
    "chat, null": chat(SILENT),
    "chat, null, stop": chat(SILENT, "stop"),
    "chat, null, length": chat(SILENT, "length"),
    "chat, null, max_tokens": chat(SILENT, "max_tokens"),
    "chat, null, MAX_TOKENS": chat(SILENT, "MAX_TOKENS"),
    "chat, null, tool_calls": chat(SILENT, "tool_calls"),
    "chat, no parts, stop": chat({**ROLE, "content": []}, "stop"),
    "chat, no content, stop": chat(ROLE, "stop"),
    "chat, no content, length": chat(ROLE, "length"),
    "chat, an empty message, length": chat({}, "length"),
    "chat, thoughts alone, length": chat({**ROLE, "reasoning_content": "hm"}, "length"),
    "chat, calls alone": chat({**SILENT, "tool_calls": [CALL]}, "tool_calls"),
    "chat, calls alone, no content": chat({**ROLE, "tool_calls": [CALL]}),
    "completion, null, length": {"choices": [{"text": None, "finish_reason": "length"}]},
    "chat, filtered": chat(SILENT, "content_filter"),
    "chat, filtered to an empty text": chat({**ROLE, "content": ""}, "content_filter"),
    "response, completed": response(status="completed"),
    "response, filtered": response(**cut("content_filter")),
    "response, out of tokens": response(**cut("max_output_tokens")),
    "response, out of tokens in thoughts": response(THOUGHTS, **cut("max_output_tokens")),
    "response, an empty part": response(message(content=[EMPTY_PART]), status="completed"),
    "response, no content, completed": response(message(), status="completed"),
    "response, calls alone": response(CALL_ITEM),
    "row, an empty text": {"output_text": ""},
    "row, null, stop": {"output_text": None, "finish_reason": "stop"},
    "row, null, length": {"output_text": None, "finish_reason": "length"},
    "row, null and calls": {"output_text": None, "output_tools": [CALL]},
    "hosted, no content, length": {"output": [ROLE], "finish_reason": "length"},
    **{f"chat, null, the reason {reason}": chat(SILENT, reason) for reason in ANSWERED},
}  # fmt: skip
"""What the model answered with nothing, by what it is: it is graded as the empty text."""
REFUSED: dict[str, Any] = {
    "chat, a refusal": chat({**SILENT, "refusal": "I cannot."}, "stop"),
    "response, a refusal": response(
        message(content=[{"type": "refusal", "refusal": "I cannot."}]), status="completed"
    ),
    **{
        f"chat, a text, the reason {reason}": chat({**ROLE, "content": "I cannot."}, reason)
        for reason in ANSWERED
    },
}
"""What the model refused with "I cannot.": it is graded as this text."""
NONE: dict[str, tuple[Any, str]] = {
    "chat, an empty message": (chat({}), "`choices[0].message` has no `content`"),
    "chat, a role alone": (chat(ROLE), "`choices[0].message` has no `content`"),
    "chat, thoughts alone": (chat({**ROLE, "reasoning_content": "hm"}), "has no `content`"),
    "chat, no message": (chat(None), "`choices[0]` has no `message`"),
    "chat, no message, stop": (chat(None, "stop"), "`choices[0]` has no `message`"),
    "chat, no choices": ({"choices": []}, "its `choices` are empty"),
    "chat, null choices": ({"choices": None}, "null under `choices`"),
    "chat, an error": (chat(SILENT, "error"), "its finish reason is error"),
    "chat, aborted": (chat({**ROLE, "content": ""}, "abort"), "its finish reason is abort"),
    "an error": ({"error": {"message": "The model is down."}}, "The model is down"),
    "response, empty": (response(), "The response's `output` is empty"),
    "response, no content": (response(message()), "`output` has no `content`"),
    "response, failed": (response(status="failed", error={"message": "boom"}), "boom"),
    "row, null": ({"output_text": None}, "null under `output_text`"),
    "row, null and no choices": ({"output_text": None, "choices": []}, "`choices` are empty"),
    "row, all null": (
        {"output_text": None, "output_json": None},
        "null under `output_text`, `output_json`",
    ),
    "row, an empty object": ({}, "an empty object"),
    "message, a role alone": (ROLE, "message has no `content`"),
    "hosted, no content": ({"output": [ROLE]}, "message has no `content`"),
    **{
        f"chat, {what}, {reason}": (
            chat({**ROLE, "content": text}, reason),
            f"its finish reason is {reason}",
        )
        for reason in OUTAGES
        for what, text in (("null", None), ("no text", ""), ("a text", "par"), ("parts", [PART]))
    },
    **{
        f"{name}, abort": (output, "its finish reason is abort")
        for name, output in {
            "chat, calls": chat({**SILENT, "tool_calls": [CALL]}, "abort"),
            "chat, the reason beside": {
                **chat({**ROLE, "content": "par"}),
                "finish_reason": "abort",
            },
            "completion": {"choices": [{"text": "par", "finish_reason": "abort"}]},
            "row": {"output_text": "par", "finish_reason": "abort"},
            "row, SGLang": {"text": "par", "meta_info": {"finish_reason": {"type": "abort"}}},
            "row, a text elsewhere": {"output": "par", "stop_reason": "abort"},
            "message": {**ROLE, "content": "par", "finish_reason": "abort"},
            "messages": {"output": [{**ROLE, "content": "par"}], "finish_reason": "abort"},
            "response": response(message(content=[PART]), **cut("abort")),
        }.items()
    },
}
"""What is no answer, by what it is, and words of the sentence about it: it has no score."""
