"""Content filters: the forms in which endpoints and gateways say that one stopped a request or an answer.

What decides is a code, a class name or the beginning of a message, at any depth of an error object. A text
that an error quotes within its message, or repeats as the input, decides nothing: it may be a row's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from graders_engine.language import strict_json

FILTERED = "stopped by the endpoint's content filter"
CONTENT_FILTER = "content_filter"
"""The code of every error that a content filter is behind, whatever the endpoint calls it."""

_NAMES = frozenset({
    "contentfilter", "contentfiltered", "contentpolicyviolation", "responsibleaipolicyviolation",
    "moderationblocked",
    "contentpolicyviolationerror", "guardrailraisedexception", "violatedguardrailpolicy",  # LiteLLM
    "prohibitedcontent", "imageprohibitedcontent", "modelarmor",  # Gemini, Vertex
    "guardrailintervened", "hooksfailed",  # Bedrock, Portkey
    "datainspectionfailed", "contentexistsrisk",  # DashScope, DeepSeek
})  # fmt: skip
"""Codes and class names, in small letters and without separators."""
_WORDS = frozenset(
    {"safety", "imagesafety", "blocklist", "spii", "recitation", "refusal", "sensitive"}
)
"""Codes that are words of the language as well: they count where a code stands, and in no message."""
_CUT = frozenset({
    "length", "maxtokens", "maxoutputtokens", "maxcompletiontokens", "modellength",
    "modelcontextwindowexceeded",
})  # fmt: skip
"""Reasons to stop by which an answer is not complete, in the same form."""
_CODE_KEYS = frozenset({
    "code", "type", "status", "reason", "errorcode", "errortype", "providercode", "action",
    "finishreason", "nativefinishreason", "stopreason",
})  # fmt: skip
_BLOCKED_KEYS = frozenset({"blockreason", "blockedreason", "flaggedinput"})
"""Keys that are there only where something was blocked (Gemini, OpenRouter)."""
_TEXT_KEYS = frozenset({
    "error", "message", "msg", "errormessage", "statusmsg", "detail", "description", "raw",
})  # fmt: skip
_ECHOES = frozenset({
    "input", "inputs", "messages", "prompt", "content", "text", "failedgeneration", "request", "ctx",
})  # fmt: skip
"""Keys under which an error repeats what was asked or generated."""
_SEPARATOR = re.compile(r"[\W_]+")
_CODE = re.compile(r"[\w.:/-]+(?: [\w.:/-]+)?")
_PREFIX = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_][\w.]{0,99}(?:Error|Exception|Failed))"
    r"(?:\s*[:-]|(?=\s+[\w.]+(?:Error|Exception)\b)|\s*$)"
    r"|error code\s*:?\s*\d{3}\b\s*[:-]?|HTTP \d{3}\b\s*[:-]?|<\d{3}>|\d{3}\s*:)\s*",
    re.IGNORECASE,
)
"""What gateways put before a message: `litellm.BadRequestError: AzureException - `, `Error code: 400 - `."""
_SENTENCE = re.compile(
    r"the (response|request|prompt|content|output) (was|has been) (filtered|blocked) (due to|by) (the )?"
    r"(prompt triggering|content|safety|azure openai)"
    r"|(the |your )?(prompt|input) (was|has been) (blocked|flagged|filtered)|(the )?prompt blocked"
    r"|your request was rejected as a result of our safety system"
    r"|invalid prompt: your prompt was flagged"
    r"|\S+ requires moderation\b"
    r"|content exists risk|(input|output)( or output)?( text| image)? data may contain inappropriate content"
    r"|(input|output) (new_)?sensitive\b"
    r"|request blocked: prompt injection|violated (\w+ ){0,3}policy"
    r"|content (filter|policy) (triggered|violation)|guardrail (intervened|violat)",
    re.IGNORECASE,
)
"""How messages without a code begin."""
_MAX_NODES = 2_000
"""Values of an error object that are looked at."""
_MAX_OBJECT_CHARS = 20_000


def stops(*reasons: Any) -> tuple[bool, bool]:
    """Whether reasons to stop, in any endpoint's spelling, mean a content filter, and a cut off answer."""
    names = {name for reason in reasons if isinstance(reason, str) for name in _names(reason)}
    return bool(names & (_NAMES | _WORDS)), bool(names & _CUT)


def is_filtered(value: Any) -> bool:
    """Whether an error object, or a text in its place, says that a content filter was behind it."""
    left: list[tuple[str, Any]] = [("error", value)]
    for _ in range(_MAX_NODES):
        if not left:
            break
        key, one = left.pop()
        if isinstance(one, str) and _says_filtered(key, one):
            return True
        if isinstance(one, dict) and _is_block(one):
            return True
        left.extend(_parts(key, one))
    return False


def _says_filtered(key: str, text: str) -> bool:
    if key in _CODE_KEYS and _CODE.fullmatch(text) and stops(text)[0]:
        return True
    return key in _TEXT_KEYS and _begins_as_filtered(text)


def _parts(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What stands in a value, by its key; not what repeats the request."""
    if isinstance(value, dict):
        plain = ((_plain(name), part) for name, part in value.items())
        yield from ((name, part) for name, part in plain if name not in _ECHOES)
    elif isinstance(value, list):
        yield from ((key, part) for part in value)
    elif isinstance(value, str) and key in _TEXT_KEYS:
        yield "error", _object_in(value)


def _is_block(value: dict[str, Any]) -> bool:
    """Whether an object is what a filter found."""
    if value.get("filtered") is True:  # Azure's content_filter_result
        return True
    if isinstance(value.get("contentFilter"), list) and value["contentFilter"]:  # Zhipu
        return True
    if value.get("status_code") in (1026, 1027) and "status_msg" in value:  # MiniMax
        return True
    return any(
        isinstance(part, str) and part and not part.upper().endswith("UNSPECIFIED")
        for name, part in value.items()
        if _plain(name) in _BLOCKED_KEYS
    )


def _begins_as_filtered(text: str) -> bool:
    at = 0
    while found := _PREFIX.match(text, at):
        if found["name"] and not _NAMES.isdisjoint(_names(found["name"])):
            return True
        at = found.end()
    return bool(_SENTENCE.match(text, at)) or _plain(text[at : at + 100]) in _NAMES


def _object_in(text: str) -> Any:
    """The object or list that a message consists of, as JSON or as Python prints it; None if it does not."""
    at = 0
    while found := _PREFIX.match(text, at):
        at = found.end()
    text = text[at : at + _MAX_OBJECT_CHARS].removeprefix("b'").removeprefix('b"')
    if not text.startswith(("{", "[")):
        return None
    end = len(text)
    for _ in range(4):  # gateways write more behind it
        end = max(text.rfind("}", 0, end), text.rfind("]", 0, end))
        if end < 0:
            break
        try:
            return strict_json.decode(text[: end + 1])
        except ValueError:
            value = _literal(text[: end + 1])
        if value is not None:
            return value
    return None


def _literal(text: str) -> Any:
    import ast  # takes some milliseconds, which most runs save

    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _names(code: str) -> Iterator[str]:
    """A code, and its parts between dots, colons and blanks."""
    yield _plain(code)
    yield from map(_plain, re.split(r"[.:/\s]+", code))


def _plain(name: Any) -> str:
    """A name in small letters and without separators."""
    return _SEPARATOR.sub("", name).lower() if isinstance(name, str) else ""
