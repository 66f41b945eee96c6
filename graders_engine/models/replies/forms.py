"""A reply from an answer of an OpenAI-compatible endpoint, in both request forms and their dialects.

The text of an answer is its text parts. What a model thinks is never part of it, wherever it stands: in
chunks (Mistral), in `reasoning_content`, `reasoning` or `thinking` (DeepSeek, vLLM, OpenRouter, Ollama), in
items of its own (Responses API).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from graders_engine.errors import BackendFailure
from graders_engine.models.base import ModelReply
from graders_engine.models.replies.filters import FILTERED, is_filtered, stops
from graders_engine.outcome import Usage

_TEXT_TYPES = ("text", "output_text", None)
_REASONING_KEYS = (
    "reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks",
)  # fmt: skip
_PARTS = ("text", "thinking", "reasoning", "summary", "content")
"""Keys of a chunk of reasoning that hold its text."""
_NOT_THE_MODEL = ("user", "system", "developer", "tool")
"""Roles of messages that repeat what was asked."""
_UNFINISHED = ("in_progress", "queued")
_THOUGHTS = ("analysis", "commentary")
"""Phases and channels of messages that come before the answer."""
MAX_REASONING_CHARS = 500
"""Of the reasoning that is kept where there is no answer; it is shown to people."""
MAX_DEPTH = 8
MAX_TOKENS = 1 << 40
"""Of one reply. The sums over millions of them must fit into SQLite's integers of 64 bits."""


class _Content(NamedTuple):
    """The text, the reasoning and the refusals in a message's content."""

    text: str = ""
    reasoning: str = ""
    refusals: tuple[str, ...] = ()


def chat_reply(answer: Any) -> ModelReply:
    """The reply in a chat completion.

    Raises:
        KeyError, IndexError, TypeError, AttributeError: it has no message.
    """
    choices = answer.get("choices")
    if not choices and is_filtered(answer):
        return _reply(answer, "", "", [FILTERED], "stop")
    choice = choices[0]
    filtered, cut = stops(choice.get("finish_reason"), choice.get("native_finish_reason"))
    message = choice.get("message")
    if message is None and (filtered or cut):  # Gemini leaves it out
        message = {}
    if message.get("role") in _NOT_THE_MODEL:
        raise KeyError("message")
    content = _content(message.get("content"))
    reasoning = content.reasoning
    if not content.text.strip():  # reasoning is of use in place of a text only
        for key in _REASONING_KEYS:
            reasoning = reasoning or _said_in(message.get(key))
    refusals = [_text(message.get("refusal")), *content.refusals, FILTERED if filtered else ""]
    return _reply(answer, content.text, reasoning, refusals, "length" if cut else "stop")


def responses_reply(answer: Any) -> ModelReply:
    """The reply in an answer of the Responses API.

    Raises:
        KeyError, IndexError, TypeError, AttributeError: it has no message.
        BackendFailure: the response failed, or is not there yet.
    """
    status = answer.get("status")
    if status in _UNFINISHED:
        raise BackendFailure(
            f"the endpoint answered with the status {status!r}, before the response was there. "
            f"In graders.toml, under [endpoints.NAME], set extra_body = {{background = false}}"
        )
    if status in ("failed", "cancelled"):
        raise BackendFailure(f"the endpoint answered with the status {status!r}")
    reason = (answer.get("incomplete_details") or {}).get("reason")
    filtered, cut = stops(reason)
    parts, thoughts = [], []
    for entry in answer["output"]:
        kind = entry.get("type")
        if entry.get("role") in _NOT_THE_MODEL:
            continue
        if kind == "message" and not {entry.get("phase"), entry.get("channel")} & {*_THOUGHTS}:
            parts.append(_content(entry["content"]))
            cut = cut or entry.get("status") in ("incomplete", *_UNFINISHED)
        elif kind in ("message", "reasoning"):
            thoughts.append(_said_in(entry.get("content")) or _said_in(entry.get("summary")))
    reasoning = "".join([*thoughts, *(part.reasoning for part in parts)])
    if not (parts or reason or reasoning):
        raise KeyError("message")
    return _reply(
        answer,
        "".join(part.text for part in parts),
        reasoning,
        [*(refusal for part in parts for refusal in part.refusals), FILTERED if filtered else ""],
        "length" if cut or status == "incomplete" else "stop",
    )


def usage_of(answer: Any) -> Usage:
    """The tokens; a verdict is not lost because its endpoint counts in another form."""
    usage = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(usage, dict):
        return Usage()
    chat = "prompt_tokens" in usage or "completion_tokens" in usage
    prompt, completion = (
        ("prompt_tokens", "completion_tokens") if chat else ("input_tokens", "output_tokens")
    )
    prompt_tokens, completion_tokens = (
        token_count(usage.get(prompt)),
        token_count(usage.get(completion)),
    )
    total = token_count(usage.get("total_tokens")) or prompt_tokens + completion_tokens
    details = usage.get(f"{prompt}_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(prompt_tokens, total, completion_tokens, token_count(cached))


def _reply(
    answer: Any,
    text: str,
    reasoning: str,
    refusals: list[str],
    finish: Literal["stop", "length"],
) -> ModelReply:
    refusal = "\n".join(filter(None, refusals)) or None
    if refusal is None and not text.strip() and is_filtered(answer):
        refusal = FILTERED
    return ModelReply(
        text,
        _text(answer.get("model")),
        usage_of(answer),
        finish=finish,
        refusal=refusal,
        reasoning="" if text.strip() else reasoning.strip()[:MAX_REASONING_CHARS],
    )


def _content(content: Any) -> _Content:
    """What a message says: one text, or a list of texts and chunks.

    Raises:
        TypeError, AttributeError: it is something else.
    """
    if not isinstance(content, list):
        return _Content(_text(content))
    texts, thoughts, refusals = [], [], []
    for chunk in content:
        if isinstance(chunk, str):
            texts.append(chunk)
            continue
        kind = chunk.get("type")
        if kind in _TEXT_TYPES:
            texts.append(_text(chunk.get("text")))
        elif kind == "refusal":
            refusals.append(_text(chunk.get("refusal")))
        elif isinstance(kind, str) and ("think" in kind or "reason" in kind):
            thoughts.append(_said_in(chunk))
    return _Content("".join(texts), "".join(thoughts), tuple(refusals))


def _said_in(value: Any, depth: int = MAX_DEPTH) -> str:
    """The text in reasoning of any form."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and depth:
        return "".join(_said_in(part, depth - 1) for part in value)
    if isinstance(value, dict) and depth:
        parts = (_said_in(value.get(key), depth - 1) for key in _PARTS)
        return next(filter(None, parts), "")
    return ""


def _text(value: Any) -> str:
    """A text; null is an empty one.

    Raises:
        TypeError: it is something else.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def token_count(value: Any) -> int:
    """A number of tokens; 0 where the endpoint does not count them, or no reply can have so many."""
    return value if type(value) is int and 0 < value <= MAX_TOKENS else 0
