"""What a framework keeps of a model's answer, as an output that the engine reads, and what it gets."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Sequence
from typing import Any

from graders_engine.adapters.reward import STATUSES, GraderReward, status_of
from graders_engine.outcome import RowOutcome

_FINISHES = {"max_tokens": "length", "model_length": "length", "unknown": "stop", None: "stop"}
_COLUMNS = ("input", "expected_output", "context", "retrieval_context")
_REASONS = {"sample": "invalid_response_format", "grader": "scoring_failed", None: None}


def tool_call(name: str, arguments: Any, call_id: str | None = None) -> dict[str, Any]:
    """A tool call in the form of chat completions.

    Args:
        name: the function's.
        arguments: an object, or its JSON text as the model wrote it.
        call_id: the call's id; left out if there is none.
    """
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    call = {"type": "function", "function": {"name": name, "arguments": text}}
    return call if call_id is None else {"id": call_id, **call}


def answer(text: str | None, calls: Sequence[Any] = (), finish: str | None = None) -> Any:
    """A text alone, or a chat completion where there are tool calls or the text was cut off.

    Args:
        text: what the model said.
        calls: its tool calls, from `tool_call`.
        finish: why the text ends, in the words of chat completions or of Inspect AI.
    """
    reason = _FINISHES.get(finish, finish)
    if not calls and reason == "stop":
        return text
    message = {"role": "assistant", "content": text, "tool_calls": list(calls)}
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason}]}


def no_answer(error: str) -> dict[str, Any]:
    """An error in place of an answer: such a row failed."""
    return {"choices": [], "error": error}


def of_inspect(output: Any) -> Any:
    """Inspect AI's ModelOutput: its completion, which a solver may have replaced, and its tool calls."""
    if output.error:  # its text is the provider's, not the model's
        return no_answer(output.error)
    if not output.choices:
        return answer(output.completion)
    calls = output.message.tool_calls or ()
    sent = [tool_call(call.function, call.arguments, call.id) for call in calls]
    return answer(output.completion, sent, output.stop_reason)


def reason_for_inspect(output: Any, blame: str | None) -> str | None:
    """Inspect AI's word for why a score is unusual; None if it is not."""
    if output.error or blame in (None, "sample"):
        if output.choices and output.stop_reason == "content_filter":
            return "refusal"
        called = bool(output.choices and output.message.tool_calls)
        if output.error or not (called or output.completion.strip()):
            return "no_response"
    return _REASONS.get(blame, "grader_failed")


def of_deepeval(case: Any) -> Any:
    """The output of a test case of DeepEval, with the tools that it called."""
    calls = [tool_call(call.name, call.input_parameters or {}) for call in case.tools_called or ()]
    if not calls:
        calls = [tool_call(call.name, call.args) for call in case.mcp_tools_called or ()]
    return answer(case.actual_output, calls)


def item_of_deepeval(case: Any) -> dict[str, Any]:
    """The metadata of a test case of DeepEval, and over it its columns that are set."""
    columns = {key: getattr(case, key) for key in _COLUMNS}
    set_ones = {key: value for key, value in columns.items() if value is not None}
    return {**(case.metadata or {}), **set_ones}


def of_verifiers(trace: Any) -> Any:
    """The last reply of a trace of verifiers, with the tool calls of its message."""
    text, messages = trace.last_reply, trace.assistant_messages
    last = messages[-1] if messages else None
    # The last message may be of another agent than the root's, whose reply counts.
    calls = (last.tool_calls or ()) if last and (last.content or "").strip() == text else ()
    sent = [tool_call(call.name, call.arguments, call.id) for call in calls]
    return answer(text, sent, "length" if trace.is_truncated else "stop")


def fields_for_nemo_gym(
    reward: GraderReward, row: RowOutcome, taken: Container[str]
) -> dict[str, Any]:
    """The fields of a verified response; a part whose name is taken is `NAME/PART` on top."""
    value = reward.value(row)
    masked = value is None or math.isnan(value)
    parts, mine = {key: row.sub_rewards.get(key) or 0.0 for key in reward.keys}, status_of(row)
    kind = "judge_failed" if row.blame == "judge" else "verifier_error"
    return {
        **{f"{reward.name}/{key}" if key in taken else key: part for key, part in parts.items()},
        **{f"{reward.name}/{status}": float(mine == status) for status in STATUSES},
        "reward": 0.0 if masked else value,
        "mask_sample": masked,
        "reward_components": parts,
        "failure_kind": kind if masked else None,
        "failure_reason": reward.reason(row) if masked else None,
    }
