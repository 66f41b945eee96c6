"""The text in the content of a model's message: a string, or parts of which some are text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.errors import UnknownForm
from graders_engine.language.kinds import kind_of

TEXT_PARTS = ("text", "output_text")
"""The types of content parts that are the model's answer."""
THOUGHTS = frozenset(
    {"reasoning", "reasoning_text", "redacted_thinking", "summary_text", "thinking", "thought"}
)
"""The types of parts that the model thought and did not answer."""
_OTHER_PARTS = THOUGHTS | {
    "audio", "file", "function_call", "image", "image_url", "output_audio", "output_image", "reference",
    "refusal", "server_tool_use", "tool_call", "tool_result", "tool_use", "web_search_tool_result",
}  # fmt: skip
"""The types of parts that are known, and are no text."""
_KEYS_WITHOUT_TEXT = frozenset(
    {
        "cachePoint", "codeExecutionResult", "executableCode", "functionCall",
        "functionResponse", "guardContent", "image", "inlineData", "reasoningContent", "toolResult",
        "toolUse",
    }
)  # fmt: skip
"""The keys of parts without a type, of Bedrock and Gemini, that are known, and are no text."""
PARTS = (_OTHER_PARTS - {"function_call"}) | set(TEXT_PARTS)
"""The types of the parts of a content."""
CUT_OFF = frozenset(
    {
        "length",
        "limit",
        "max_length",
        "max_output_tokens",
        "max_tokens",
        "model_length",
        "token_limit",
    }
)
"""Reasons, in lower case, which say that a text ends where its limit was reached."""
_BROKEN_OFF = (
    "abort", "cancel", "error", "expired", "fail", "in_progress", "insufficient_system_resource",
    "internal_error", "internal_server_error", "interrupt", "network_error", "overloaded", "queued",
    "rate_limit", "server_error", "service_unavailable", "timed_out", "timeout", "unavailable", "user_cancel",
)  # fmt: skip
"""How reasons begin, in lower case, which say that a request came to no end."""
_ANSWERED = frozenset({"error_limit", "error_toxic"})
"""Reasons of Cohere's that begin so, but say that the answer reached its limit, or was withheld."""
_MAX_DEPTH = 8
"""How many lists and objects may be around a text."""


def is_broken_off(reason: Any) -> bool:
    """Whether a reason why a text ends says that the endpoint failed: then it is no answer, however long."""
    if not isinstance(reason, str) or reason == "stop":
        return False
    name = reason.lower().replace("-", "_").replace(" ", "_")
    return name.startswith(_BROKEN_OFF) and name not in _ANSWERED


def text_of(content: Any, where: str = "content") -> str:
    """The texts in a message's content, joined; what the model refused with, if there is no other text.

    Args:
        content: None, a string, a part, or a list of strings and parts.
        where: what it is, for messages.

    Raises:
        UnknownForm: it has none of these forms, or nothing but parts of unknown types.
    """
    if type(content) is str:
        return content
    if not content and (content is None or isinstance(content, (str, list, dict))):
        return ""
    texts: list[str] = []
    refusals: list[str] = []
    unknown: list[str] = []
    for kind, part in _parts(content, where, _MAX_DEPTH):
        if kind == "text":
            texts.append(part)
        elif kind == "refusal":
            refusals.append(part)
        else:
            unknown.append(kind)
    text = "".join(texts) or "".join(refusals)
    if not text and unknown:
        raise UnknownForm(
            f"`{where}` has no text but parts of unknown types: {', '.join(dict.fromkeys(unknown))} "
            f"(text has the type {' or '.join(TEXT_PARTS)})."
        )
    return text


def _parts(content: Any, where: str, depth: int) -> Iterator[tuple[str, str]]:
    """(kind, text) of each part: "text", "refusal", or an unknown type."""
    if depth == 0:
        raise UnknownForm(f"`{where}` nests too deep.")
    if isinstance(content, str):
        yield "text", content
    elif isinstance(content, (list, tuple)):
        for part in content:
            yield from _parts(part, where, depth - 1)
    elif isinstance(content, Mapping):
        yield from _part(content, where, depth)
    else:
        raise UnknownForm(f"`{where}` must be a string, but it is {kind_of(content)}.")


def _part(part: Mapping[str, Any], where: str, depth: int) -> Iterator[tuple[str, str]]:
    kind = part.get("type")
    if kind == "refusal":
        yield "refusal", str(part.get("refusal") or "")
    elif "text" in part and (kind is None or kind in TEXT_PARTS):
        text = part["text"]
        if isinstance(text, Mapping):  # of the Assistants API
            text = text.get("value", text)
        if text is not None and part.get("thought") is not True:  # Gemini's mark of a thought
            yield from _parts(text, where, depth - 1)
    elif kind is None and isinstance(part.get("parts"), list):
        yield from _parts(part["parts"], where, depth - 1)
    elif kind is None and not _KEYS_WITHOUT_TEXT.isdisjoint(part):
        return
    elif not isinstance(kind, str) or kind in TEXT_PARTS:
        keys = ", ".join(map(str, part)) or "none"
        raise UnknownForm(f"`{where}` has a part without a text (its keys: {keys}).")
    elif kind not in _OTHER_PARTS:
        yield kind, ""
