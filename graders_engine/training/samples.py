"""What a model sampled, as a grader sees it: a text, or an object where it calls tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def reads_calls(tokenizer: Any) -> Any:
    """The same tokenizer; if TRL knows how its model writes calls of tools, it can read them."""
    from trl.chat_template_utils import add_response_schema

    try:
        return add_response_schema(tokenizer)
    except ValueError:
        return tokenizer


def sample_of(
    tokenizer: Any, tools: Any, text: str, ids: Sequence[int], before: Sequence[int]
) -> Any:
    """A completion as the grader sees it.

    Args:
        tokenizer: of `reads_calls`.
        tools: that the model may call.
        text: the completion.
        ids: its tokens.
        before: those of the prompt; a template may write a part of the answer itself.
    """
    if not tools or not can_read(tokenizer):
        return text
    from trl.chat_template_utils import parse_response

    message = parse_response(tokenizer, list(ids), prefix=list(before), tools=tools)
    calls = message.get("tool_calls")
    if not calls:
        return text
    found = [
        {
            "id": call.get("id") or f"call_{number}",
            "type": "function",
            "function": {
                "name": call["function"]["name"],
                # The API has them as JSON text.
                "arguments": json.dumps(call["function"].get("arguments", {}), ensure_ascii=False),
            },
        }
        for number, call in enumerate(calls)
    ]
    content = message.get("content") or ""
    answer = {"role": "assistant", "content": content, "tool_calls": found}
    choice = {"index": 0, "message": answer, "finish_reason": "tool_calls"}
    return {"output_text": content, "output_tools": found, "choices": [choice]}


def can_read(tokenizer: Any) -> bool:
    """Whether a tokenizer of `reads_calls` can."""
    return bool(
        getattr(tokenizer, "response_template", None) or getattr(tokenizer, "response_schema", None)
    )
