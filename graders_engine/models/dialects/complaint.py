"""Which parts of a request an endpoint says that it does not support.

Only what the error object says for itself counts (`error_body` leaves out what it quotes), in the words of
OpenAI, Azure, vLLM, SGLang, Ollama, llama.cpp, LM Studio, LiteLLM, Mistral, Groq, Gemini, xAI and others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graders_engine.errors import BackendFailure
from graders_engine.models.base import ModelRequest
from graders_engine.models.dialects.dialect import option_in
from graders_engine.models.dialects.evidence import Quotable, evidence, quotable

_STATUSES = frozenset({400, 404, 415, 422, 500, 501})
"""Answers by which endpoints say that they do not support a part; 500 is llama.cpp's, for templates."""
_OF_ONE_ROW = re.compile(
    r"json_validate_failed|tool_use_failed|context_length_exceeded|failed_generation"
    r"|failed to (?:generate|validate) json|generated json"
)
"""Errors about what was asked or generated this time, not about what is supported."""
_PASSING = re.compile(
    r"generation (?:has )?failed|model(?:'s)? (?:output|response|answer)|the output (?:did|does|is|was)"
    r"|\bmodel (?:did not|didn't|failed|could not)"
    r"|time[- ]?out|timed out|rate[ _-]?limit|too many requests|\bquota\b|per (?:second|minute|hour|day)\b"
    r"|overload|temporar|at the moment|restart|crash|\bbusy\b|try again (?:later|in )|\bretry\b"
    r"|(?:message|prompt|instruction|content|text)s? (?:is|are|was) too (?:long|large|big)"
    r"|\bcharacters\b"
    r"|\bapi[ _-]?key\b|\bblocked\b|moderat|\brejected\b|\buser content\b"
    r"|(?:forbidden|disallowed|banned) (?:word|phrase|content|term)|in your (?:message|prompt)"
)
"""Words of outages, limits, failed generations and lengths: they are about one attempt, or one row."""
_CLEAR = re.compile(
    r"unsupported|unknown|unrecogni[sz]ed|unexpected|unavailable|deprecated|disabled|incompatible|removed"
    r"|extra[ _]|extraneous|additional propert|strictly|\bmust (?:only )?be\b|should be|ha(?:s|ve) to"
    r"|\bonly\b|\bone of\b|\brange\b|(?:less|greater|higher|lower) than|too (?:large|high|low|small|big)"
    r"|valid roles?|alternat|none of|at the beginning|discriminator|cannot find field|no user|at least one"
    r"|not specified|can(?:not| not|'t) (?:both|be (?:used|set|specified))"
    r"|invalid grammar|grammar error|(?:compile|parse) (?:the )?grammar|initiali[sz]e sampl"
    r"|(?:\bnot?|n't)\W(?:\w+\W+){0,3}?(?:support|permit|allow|accept|recogni|available|enabled|implement"
    r"|compatib|known|expect|applicab)"
)
"""Says what is not supported, in so many words; other errors count when they come a second time."""
_REFUSING = re.compile(
    r"unsupported|unknown|unrecogni[sz]ed|unexpected|unavailable|deprecated|disabled|incompatible|disallowed"
    r"|forbidden|removed|extra|additional propert|cannot|can ?not|can't|strictly|\binvalid\b|\bmust\b"
    r"|should be|ha(?:s|ve) to|\bonly\b|\brange\b|too (?:large|high|low|small|big|long)"
    r"|(?:less|greater|higher|lower) than"
    r"|(?:\bnot?|n't)\W(?:\w+\W+){0,3}?(?:support|permit|allow|accept|recogni|available|enabled|implement"
    r"|compatib|valid|known|expect|applicab|configur|work|exist|match)"
)
_BY_SERVER = re.compile(
    r"jinja|raise_exception|system role not supported|roles must alternate|unsupportedparams"
    r"|does not support param|does not support thinking"
    r"|(?:not supported|unsupported) (?:by|for|with) this model"
)
"""In an answer with status 500 or 501, otherwise an outage: the words of llama.cpp, Ollama and LiteLLM."""
_OF_VALUE = re.compile(
    r"unsupported_value|invalid_value|strictly|ha(?:s|ve) to|\bvalues?\b|\bmust be\b|should be|\bonly\b"
    r"|one of|\binvalid\b|budget"
)
_OPTION_WORDS = {
    "max_tokens": r"max_?(?:completions?_|output_|new_)?tokens|maxoutputtokens",
    "reasoning_effort": r"reasoning[_. -]?effort|\beffort\b|\bthink value\b|\bthinking_?(?:budget|level)"
    r"|(?<![-\w/.])(?:thinking|reasoning)(?![-\w]| (?:models?|tokens?)\b)",
    "seed": r"\b(?:random_)?seed\b",
    "store": r"\bstore\b",
    "stream": r"\bstream\b",
    "temperature": r"\btemperature\b",
    "top_p": r"\btop[_ -]?p\b",
}
_ONE_OF_TWO = re.compile(r"\bboth\b|same time|mutually|one of|together")
_ASIDE = re.compile(
    r"\b(?:unless|instead|while|when|if|use|using|to drop|try|set|supported with"
    r"|(?:greater|higher|larger|less|lower|smaller) than)\b"
)
"""What follows speaks of other parameters: a way out, a condition, or what it is compared with."""
_KNOWN = re.compile(
    r"\bexpected\b|\bone of the following\b"
    r"|(?<!not )\b(?:supported|allowed|valid|accepted) (?:values|param|field|option|key|propert|argument)"
)
"""What follows lists what is known, such as the fields of a request."""
_OF_LIMIT = re.compile(
    r"too (?:large|high|big|long|small)|at (?:most|least)|maximum|exceed|limit|(?:less|greater|higher) than"
)
_OF_PROMPT = re.compile(
    r"context(?!_window\W+for this model)|input tokens|in the messages|prompt|reached|could not finish"
    r"|max_model_len|\binputs?\b\W+(?:tokens|length)|\d inputs?\b|\+|\bsum of\b|\btotal\b"
)
"""It is about how long a row is, together with the limit on its answer."""
_BINDING = re.compile(
    r"response_format|json_schema|json_object|text\.format|structured|output_config\W+format"
    r"|handle the requested parameters"
)
_TOOL = re.compile(r"\btool_choice\b|\bforces? tool use\b")
"""No request has tools: a gateway asks a provider for the form of the answer by one."""
_SCHEMA = re.compile(
    r"grammar|\bschema|response_?schema|sampler|guided|json[ -]mode|(?:response|output) format"
)
_FAILED = re.compile(
    r"fail|error|unable|could not|cannot|missing|invalid|compil|disabled|unavailable|n't|\bnot?\b|unsupported"
)
_ALL_WAYS = re.compile(r"extra|unrecogni[sz]ed|unknown|unsupported_parameter|json[ -]mode")
_OF_FORMAT = re.compile(r"json_schema|json_object|\btype\b|\bvalue\b|response_?schema")
_SYSTEM = re.compile(
    r"\bsystem[ _-]?(?:role|message|prompt|instruction|field)|[`'\"]system[`'\"]|developer instruction"
    r"|\broles?\b[^.]{0,40}\bsystem\b"
)
_LIST = re.compile(
    r"\b(?:only|expected|values are|one of|must be|should be|(?<!not )permitted|valid roles?|allowed)\b"
)
_STRANGE_ROLE = re.compile(
    r"\b(?:unexpected|unknown|invalid|unsupported) (?:message )?role\b"
    r"|\brole\W{1,3}has (?:an )?invalid value"
)
_OTHER_ROLE = re.compile(r"\b(?:user|assistant|tool|function)\b")
_NO_USER = re.compile(
    r"\bno user (?:query|messages?)\b|\bcontents (?:is|are) (?:not specified|required)"
    r"|\bat least one (?:user )?message\b"
)
_TAKES_SYSTEM = re.compile(r"\bshould be 'system'")
"""One of several objects, each of which names one role that is known."""
MAX_LINES = 50
"""Objects of an error that are read."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was sent.

    Attributes:
        request: what was to be asked.
        body: what was sent for it.
        url: where to.
        parts: what was sent of all that can be left out.
    """

    request: ModelRequest
    body: Mapping[str, Any]
    url: str
    parts: frozenset[str]


def refused_parts(asked: Asked, error: BackendFailure) -> dict[str, bool]:
    """The parts among those that were sent which an error says are not supported, and whether it is clear.

    An option stands there with its value if only this value is refused. It is clear where the error's
    parameter is this part, or where it says in so many words that the part is not supported.
    """
    details = error.details.lower()
    if error.status not in _STATUSES or _OF_ONE_ROW.search(details):
        return {}
    lines = details.splitlines()[:MAX_LINES]
    if error.status >= 500:
        lines = [line for line in lines if _BY_SERVER.search(line)]
    quotes = list(quotable(asked.request))
    found: dict[str, bool] = {}
    for line in lines:
        for part, is_clear in _named_in(line, asked, quotes, error.param):
            found[part] = is_clear or found.get(part, False)
    if "developer" in found and any(map(_TAKES_SYSTEM.search, lines)):
        found.pop("system", None)
    return found


def _named_in(
    line: str, asked: Asked, quotes: list[Quotable], error_param: str | None
) -> Iterator[tuple[str, bool]]:
    """The parts that one object of an error names; it begins with its parameter, if it has one."""
    param, _, rest = line.partition(": ")
    field = re.split(r"[.\[]", param)[0]
    text, rest = (evidence(part, asked.url, asked.request.model, quotes) for part in (line, rest))
    if _PASSING.search(text):
        return
    by_param = True
    parts: Iterator[str] = iter(())
    if option := _option_named(field):
        parts = _options(rest, asked, option)
    elif field in ("response_format", "text") and (field in asked.body or "." in param):
        by_param = bool(error_param)
        parts = _bindings(text, asked)
    elif field in ("messages", "input") and param != field:
        # It is one of the messages, or a part of one.
        if "role" in param or re.fullmatch(r"\w+\W\d+\W?", param):
            by_param = "role" in param
            parts = _roles(rest, asked, is_role=by_param)
    elif field not in asked.body or field in ("model", "messages", "input"):
        by_param, parts = False, _in_words(text, asked)
    is_clear = by_param or bool(_CLEAR.search(text))
    yield from ((part, is_clear) for part in parts)


def _in_words(text: str, asked: Asked) -> Iterator[str]:
    """The parts that a text refuses which belongs to no parameter."""
    refused = _KNOWN.split(text)[0]
    if _TOOL.search(refused) and not asked.parts.isdisjoint(("json_schema", "json_object")):
        yield from _bindings(refused, asked)
        return
    yield from _options(refused, asked)
    if _BINDING.search(refused) or (_SCHEMA.search(refused) and _FAILED.search(refused)):
        yield from _bindings(refused, asked)
    yield from _roles(text, asked)


def _option_named(field: str) -> str | None:
    names = _OPTION_WORDS.items()
    return next((name for name, words in names if re.fullmatch(words, field)), None)


def _options(text: str, asked: Asked, option: str | None = None) -> Iterator[str]:
    """The options that a text refuses, or the one that its parameter names."""
    sent = {name: part for part in asked.parts if (name := option_in(part))}
    if option:
        names = [option] if option in sent and _REFUSING.search(text) else []
        if "max_completion_tokens" in asked.parts and option == "max_tokens":
            names = [option]
    else:
        found = [name for sentence in _sentences(text) for name in _names_in(sentence)]
        names = [name for name in dict.fromkeys(found) if name in sent]
    both = {"temperature", "top_p"} <= sent.keys() and _is_about_both(text)
    if both:
        names = [name for name in ("top_p", *names) if name != "temperature"]
    for name in dict.fromkeys(names):
        if name != "max_tokens":
            yield sent[name] if both or _OF_VALUE.search(text) else name
        elif not _OF_PROMPT.search(text):
            renamed = "max_completion_tokens" in asked.parts and not _OF_LIMIT.search(text)
            yield "max_completion_tokens" if renamed else name


def _is_about_both(text: str) -> bool:
    """Whether `temperature` and `top_p` are refused only where both are sent."""
    both = ("temperature", "top_p")
    return bool(_ONE_OF_TWO.search(text)) and all(
        re.search(_OPTION_WORDS[name], text) for name in both
    )


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+|;\s*", text)


def _names_in(sentence: str) -> list[str]:
    """The options that a sentence refuses."""
    if "max_completion_tokens" in sentence and not _REFUSING.search(sentence):
        return ["max_tokens"]
    if not _REFUSING.search(sentence):
        return []
    for part in (_ASIDE.split(sentence)[0], sentence):
        if names := [name for name, words in _OPTION_WORDS.items() if re.search(words, part)]:
            return names
    return []


def _bindings(text: str, asked: Asked) -> Iterator[str]:
    """The way in which the form of the answer was requested; all ways if the parameter itself is unknown."""
    for way in ("json_schema", "json_object"):
        if way in asked.parts:
            yield way
            if _ALL_WAYS.search(text) and not _OF_FORMAT.search(text):
                yield "json_object"


def _lacks_user(text: str, request: ModelRequest) -> bool:
    """Whether a text asks for a user's message, which a request does not have."""
    return bool(_NO_USER.search(text)) and all(one.role != "user" for one in request.messages)


def _roles(text: str, asked: Asked, *, is_role: bool = False) -> Iterator[str]:
    """The roles that a text refuses, or their order."""
    if "alternat" in text:
        own_turns = "turns" in asked.parts and re.search(r"optional\W{1,2}system", text)
        yield from {"turns"} if own_turns else asked.parts & {"turns", "system"}
        return
    refused = set()
    about_roles = is_role or "role" in text
    listed = _LIST.search(text) if about_roles else None
    before = text[: listed.start()] if listed else text
    if listed and re.search(r"\buser\b", text[listed.end() :]):
        known = text[listed.end() :]
        refused = {role for role in ("developer", "system") if not re.search(rf"\b{role}\b", known)}
    elif about_roles and "developer" in before and "developer instruction" not in before:
        refused = {"developer"}
    elif (_SYSTEM.search(before) and _REFUSING.search(text)) or _lacks_user(text, asked.request):
        refused = {"system"}
    elif is_role or (_STRANGE_ROLE.search(text) and not _OTHER_ROLE.search(text)):
        refused = {"developer"} if "developer" in asked.parts else {"system"}
    yield from refused & asked.parts
