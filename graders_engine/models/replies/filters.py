"""Content filters: the forms in which endpoints and gateways say that one stopped a request or an answer.

What decides is a code, a class name or the beginning of a message, at any depth of an error object. A text
that an error quotes within its message, or repeats as the input, decides nothing: it may be a row's.
With a status that outages have, only an exact code or class name decides: an outage may speak of filters,
too, and one that is taken for a refusal is never tried again.
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
_AMBIGUOUS = frozenset({"guardrailraisedexception", "hooksfailed", "violatedguardrailpolicy"})
"""Names among them that stand for a check that failed itself as well, if the status is one of an outage."""
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
_EXACT_CODE = re.compile(r"[\w.-]+")
_PREFIX = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_][\w.]{0,99}(?:Error|Exception|Failed))"
    r"(?:\s*[:-]|(?=\s+[\w.]+(?:Error|Exception)\b)|\s*$)"
    r"|error code\s*:?\s*\d{3}\b\s*[:-]?|HTTP \d{3}\b\s*[:-]?|<\d{3}>|\d{3}\s*:)\s*",
    re.IGNORECASE,
)
"""What gateways put before a message: `litellm.BadRequestError: AzureException - `, `Error code: 400 - `."""
_END = r"(?=\s*(?:[.:;,!(-]|$))"
_FILTER = (
    r"(?:the |our |a |its )?(?:prompt triggering\b|moderation\b|guardrail|responsible ai"
    r"|(?:azure openai'?s? )?content (?:filter|management|moderation|polic|safety)"
    rf"|safety(?: (?:filter|system|polic|setting|reason|concern|guideline)|{_END})"
    r"|prohibited.content|potentially|violat|harmful|inappropriate|security configuration)"
)
"""What stopped a text, behind "blocked by", "filtered due to" and the like."""
_SENTENCE = re.compile(
    r"(?:the |your )?(?:response|request|prompt|input|content|output) (?:was |has been )?"
    r"(?:filtered|blocked|flagged)"
    rf"(?: (?:due to|because of|by|for|as) {_FILTER})"
    rf"|(?:the |your )?(?:prompt|input) (?:was |has been )?(?:blocked|flagged|filtered)(?=\s*(?:[.!]|$))"
    r"|your request was rejected as a result of our safety system"
    r"|invalid prompt: (?:your prompt was flagged"
    r"|we(?:['\u2019]ve| have) limited access to this content for safety reasons)"
    r"|content violates (?:\w+ )?usage (?:guidelines|polic)"
    r"|(?:the )?system (?:has )?detect(?:s|ed) potentially unsafe or sensitive content"
    r"|系统检测到输入或生成内容可能包含不安全或敏感内容"
    r"|\S+ requires moderation\b"
    rf"|content exists risk{_END}"
    rf"|(?:input|output)(?: or output)?(?: text| image)? data may contain inappropriate content{_END}"
    rf"|(?:input|output) (?:new_)?sensitive{_END}"
    rf"|request blocked: prompt injection{_END}"
    rf"|violated (?:\w+ ){{0,3}}(?:guardrail|moderation|content|safety)(?: safety)? policy{_END}"
    rf"|content (?:filter triggered|policy violation){_END}"
    rf"|guardrail (?:intervened|violated|violation){_END}",
    re.IGNORECASE,
)
"""How messages without a code begin: the sentences of known endpoints and gateways."""
_MAX_NODES = 2_000
"""Values of an error object that are looked at."""
_MAX_OBJECT_CHARS = 20_000


_USUAL = frozenset({"", "stop", "completed", "end_turn"})
"""Reasons to stop that nearly all answers have; they need no closer look."""


def stops(*reasons: Any) -> tuple[bool, bool]:
    """Whether reasons to stop, in any endpoint's spelling, mean a content filter, and a cut off answer."""
    given = [reason for reason in reasons if isinstance(reason, str) and reason not in _USUAL]
    if not given:
        return False, False
    names = {name for reason in given for name in _names(reason)}
    # Words count alone: "connection refusal" is no refusal.
    words = {name for reason in given if " " not in reason for name in _names(reason)}
    return bool(names & _NAMES or words & _WORDS), bool(names & _CUT)


def is_filtered(value: Any, *, exact: bool = False) -> bool:
    """Whether an error object, or a text in its place, says that a content filter was behind it.

    Args:
        value: the object or the text.
        exact: no sentence counts, nor a word that is not only a code; so for the status of an outage.
    """
    left: list[tuple[str, Any]] = [("error", value)]
    for _ in range(_MAX_NODES):
        if not left:
            break
        key, one = left.pop()
        if isinstance(one, str) and (
            _names_filter(key, one) if exact else _says_filtered(key, one)
        ):
            return True
        if isinstance(one, dict) and _is_block(one, exact):
            return True
        left.extend(_parts(key, one))
    return False


def _says_filtered(key: str, text: str) -> bool:
    if key in _CODE_KEYS and _CODE.fullmatch(text) and stops(text)[0]:
        return True
    return key in _TEXT_KEYS and _begins_as_filtered(text)


def _names_filter(key: str, text: str) -> bool:
    """Whether a text is a filter's code, or begins with its class name, and means nothing else."""
    known = _NAMES - _AMBIGUOUS
    if key not in _CODE_KEYS | _TEXT_KEYS:
        return False
    if _EXACT_CODE.fullmatch(text):
        return not known.isdisjoint((_plain(text), _plain(text.rpartition(".")[2])))
    return key in _TEXT_KEYS and not known.isdisjoint(_class_names(text)[0])


def _parts(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What stands in a value, by its key; not what repeats the request."""
    if isinstance(value, dict):
        plain = ((_plain(name), part) for name, part in value.items())
        yield from ((name, part) for name, part in plain if name not in _ECHOES)
    elif isinstance(value, list):
        yield from ((key, part) for part in value)
    elif isinstance(value, str) and key in _TEXT_KEYS:
        yield "error", _object_in(value)


def _is_block(value: dict[str, Any], exact: bool) -> bool:
    """Whether an object is what a filter found."""
    if value.get("filtered") is True:  # Azure's content_filter_result
        return True
    if isinstance(value.get("contentFilter"), list) and value["contentFilter"]:  # Zhipu
        return True
    if value.get("status_code") in (1026, 1027) and "status_msg" in value:  # MiniMax
        return True
    reasons = [
        part
        for name, part in value.items()
        if _plain(name) in _BLOCKED_KEYS and isinstance(part, str) and part
    ]
    if exact:
        return any(_plain(reason) in _NAMES | _WORDS | {"other"} for reason in reasons)
    return any(not reason.upper().endswith("UNSPECIFIED") for reason in reasons)


def _begins_as_filtered(text: str) -> bool:
    names, at = _class_names(text)
    if not _NAMES.isdisjoint(names):
        return True
    return bool(_SENTENCE.match(text, at)) or _plain(text[at : at + 100]) in _NAMES


def _class_names(text: str) -> tuple[set[str], int]:
    """The class names that gateways put before a message, and where the message begins."""
    names: set[str] = set()
    at = 0
    while found := _PREFIX.match(text, at):
        names.update(_names(found["name"] or ""))
        at = found.end()
    return names, at


def _object_in(text: str) -> Any:
    """The object or list that a message consists of, as JSON or as Python prints it; None if it does not."""
    _, at = _class_names(text)
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

    from graders_engine.language.syntax_tree import expression_tree

    try:
        return ast.literal_eval(expression_tree(text.lstrip(" \t")))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _names(code: str) -> Iterator[str]:
    """A code, and its parts between dots, colons and blanks."""
    yield _plain(code)
    yield from map(_plain, re.split(r"[.:/\s]+", code))


def _plain(name: Any) -> str:
    """A name in small letters and without separators."""
    return _SEPARATOR.sub("", name).lower() if isinstance(name, str) else ""
