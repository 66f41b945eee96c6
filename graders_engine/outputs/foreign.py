"""Outputs in the forms of other providers and libraries, as chat messages or choices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from graders_engine.errors import NoOutput, UnknownForm
from graders_engine.outputs.messages import finish_of
from graders_engine.outputs.responses import error_in

_PRINTED = re.compile(
    r"""(?:Parsed)?(?:ChatCompletion|ModelResponse)(?:\[[^\]]*\])?\(id=
    |(?:Parsed)?ChatCompletionMessage(?:\[[^\]]*\])?\(content=|AIMessage\(content=
    |(?:Parsed)?(?:Response|Message|Completion)(?:\[[^\]]*\])?\(id=['"](?:resp|msg|cmpl|gen)[_-]
    |GenerateContentResponse\(|AgentRunResult\(|RequestOutput\(request_id=|CompletionOutput\(index=
    |\[TextBlock\((?:citations|text)=|Choice\(finish_reason=
    |content=['"](?=.*['"]\ additional_kwargs=\{)
    |\{'output_text'\s*:|\[?\{'role'\s*:\s*'(?:assistant|user|system)',\s*'content'\s*:
    |\{'(?=.{0,400}'(?:choices'\s*:\s*\[\s*\{'|object'\s*:\s*'(?:chat\.completion|response)'))
    |<(?:openai|anthropic|litellm|google|langchain\w*)\.[\w.]+\ object\ at\ 0x""",
    re.VERBOSE | re.DOTALL,
)
"""How Python prints answers of clients: objects, and dictionaries with the keys of an API."""
_SENT = re.compile(
    r"""\s*(?:event:[^\n]*\n)?data:\s*\{
    (?=.{0,600}"(?:(?:delta|choices|candidates)"|type"\s*:\s*"(?:message_start|content_block|response\.)))""",
    re.VERBOSE | re.DOTALL,
)
"""How events of a stream are sent."""
JOIN = "join the texts of all parts first, or save the whole response"
_FAILED = ("error", "errored", "expired", "canceled", "cancelled")
_ROLES = {
    "ai": "assistant",
    "human": "user",
    "system": "system",
    "tool": "tool",
    "function": "function",
}
"""The roles of LangChain's messages by the start of their type."""
_AI = ("ai", "aimessage", "aimessagechunk")
"""The `type` of LangChain's messages of a model, in lower case."""


def is_failed_result(value: Mapping[str, Any]) -> bool:
    """Whether an object is the result of a request that failed, as in Anthropic's batches."""
    return value.get("type") in _FAILED or value.get("is_error") is True


def raise_failed(value: Mapping[str, Any], _depth: int) -> Any:
    """Say why the request failed."""
    reason = (
        error_in(value.get("error")) or value.get("message") or f"the request is {value['type']}"
    )
    raise NoOutput(f"There is no output, but an error: {reason}.")


def is_langchain(value: Mapping[str, Any]) -> bool:
    """Whether an object is a message of a model as LangChain writes it."""
    kind = value.get("type")
    if "role" in value:
        return False
    named = isinstance(kind, str) and kind.lower() in _AI
    unnamed = "id" not in value and isinstance(value.get("kwargs"), Mapping)
    constructed = kind == "constructor" and (unnamed or _role(value) == "assistant")
    return (named and ("content" in value or isinstance(value.get("data"), Mapping))) or constructed


def langchain_conversation(values: Sequence[Any]) -> list[dict[str, Any]]:
    """The chat messages of a conversation of LangChain's; empty for a list of something else."""
    roles = [_role(one) if isinstance(one, Mapping) else "" for one in values]
    if not all(roles) or set(roles) == {"assistant"}:  # which may be several samples
        return []
    both = zip(roles, values, strict=True)
    return [{**langchain_message(one), "role": role} for role, one in both]


def _role(value: Mapping[str, Any]) -> str:
    """The role of a message of LangChain's; empty for any other object."""
    kind, names = value.get("type"), value.get("id")
    if "role" in value or not isinstance(kind, str):
        return ""
    if kind == "constructor":
        if not isinstance(value.get("kwargs"), Mapping) or not isinstance(names, list) or not names:
            return ""
        kind = str(names[-1])
    elif "content" not in value and not isinstance(value.get("data"), Mapping):
        return ""
    return _ROLES.get(kind.lower().removesuffix("chunk").removesuffix("message"), "")


def langchain_message(value: Mapping[str, Any]) -> dict[str, Any]:
    """The chat message of such an object."""
    within = value if "content" in value else value.get("data", {})
    within = value["kwargs"] if value.get("type") == "constructor" else within
    about = within.get("response_metadata")
    finish = {"finish_reason": finish_of(about, "")} if isinstance(about, Mapping) else {}
    dropped = ("type", "id", "name", "example")
    return {
        **finish,
        **{key: part for key, part in within.items() if key not in dropped},
        "role": "assistant",
    }


def is_of_harness(value: Mapping[str, Any]) -> bool:
    """Whether an object is a line of lm-evaluation-harness, with the texts of one request."""
    texts = value.get("resps") if "doc" in value or "doc_id" in value else None
    if not isinstance(texts, list) or len(texts) != 1 or not isinstance(texts[0], list):
        return False
    return bool(texts[0]) and all(isinstance(one, str) for one in texts[0])


def is_batch_line(value: Mapping[str, Any]) -> bool:
    """Whether an object is a line of the Batch API's output."""
    response = value.get("response")
    answered = isinstance(response, Mapping) and ("body" in response or "status_code" in response)
    return answered or ("custom_id" in value and "response" in value)


def is_gemini(value: Mapping[str, Any]) -> bool:
    """Whether an object is an answer of Gemini's own API."""
    candidates = value.get("candidates")
    if not candidates:
        return is_blocked(value)
    return isinstance(candidates, list) and all(map(_is_candidate, candidates))


def is_blocked(value: Mapping[str, Any]) -> bool:
    """Whether an object is Gemini's answer to a prompt that it blocked."""
    feedback = value.get("promptFeedback")
    return isinstance(feedback, Mapping) and bool(feedback.get("blockReason"))


def _is_candidate(one: Any) -> bool:
    return isinstance(one, Mapping) and ("content" in one or bool(finish_of(one, "")))


def gemini_choices(value: Mapping[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """The message, and why it ends, of each candidate; an empty one for a prompt that was blocked."""
    return [
        ({"role": "assistant", **_content(one)}, finish_of(one, ""))
        for one in value.get("candidates") or [{"finish_reason": "content_filter"}]
    ]


def _content(candidate: Mapping[str, Any]) -> dict[str, Any]:
    content = candidate.get("content")
    if not isinstance(content, Mapping) or "parts" not in content:
        lacks = content is None or (isinstance(content, Mapping) and set(content) <= {"role"})
        return {} if lacks else {"content": content}
    return {"content": content["parts"]}


def is_printed(text: str) -> bool:
    """Whether a text is what Python prints of an answer, or events of a stream as they are sent."""
    return bool(_PRINTED.match(text) or _SENT.match(text))


def require_not_printed(output: Any) -> Any:
    """The same output, if it is no text that Python prints of an answer, and no events of a stream.

    The model's text is a part of such a text.

    Raises:
        UnknownForm: it is.
    """
    if isinstance(output, str) and _PRINTED.match(output):
        raise UnknownForm(
            "The output is what Python prints of a response: save `response.model_dump()` or its text."
        )
    if isinstance(output, str) and _SENT.match(output):
        raise UnknownForm(f"The output is the text of a stream's events: {JOIN}.")
    return output
