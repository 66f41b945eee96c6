"""What an HTTP error says: the code, the parameter and the message, in any common form; and what it means.

- `{"error": {"message": ..., "code": ..., "param": ...}}`: OpenAI and most others; also as a list (Gemini)
- `{"error": {"code": ..., "innererror": {"code": ...}}}`: Azure's content filter
- `{"error": "text"}`: Ollama and others
- `{"object": "error", "message": ..., "code": ..., "param": ...}`: vLLM
- `{"detail": "text"}`, `{"detail": [{"loc": [...], "msg": ...}]}`: FastAPI, problem details (RFC 9457)
- `{"message": "text"}`, `{"message": {"detail": [...]}}`: gateways, Mistral

A judge's content filter is the code `content_filter` in all of them, with any status: it is no outage. Some
gateways answer with status 200 and put the error beside the answer, or into it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from graders_engine.errors import BackendBusy, BackendFailure, BackendRejected, ErrorFields
from graders_engine.language import strict_json
from graders_engine.language.content import is_broken_off
from graders_engine.models.replies.filters import CONTENT_FILTER, is_filtered
from graders_engine.outcome import Cause

RETRIED_STATUS = frozenset({408, 409, 429, *range(500, 600)})
"""Answers after which another attempt may succeed; the official SDKs retry the same ones."""
OVERLOADED_STATUS = frozenset({429, 503, 529})
"""Answers that ask for fewer requests; the last one is Anthropic's."""
_REFUSED_STATUS = frozenset({401, 402, 405})
"""Answers that depend on the key, the account, the address and the model, but hardly on what is asked."""
_FORBIDDEN_STATUS = frozenset({403, 404})  # they may depend on what is asked: some moderate it so
_MODERATED_STATUS = frozenset({400, 403, 422, 424, 446, 451})
"""Answers that are no outage, so that the sentence that an error begins with may be a filter's."""
_GUARDRAIL_STATUS = 446
"""By which Portkey and other gateways say that a guardrail stopped the request."""
_QUOTA = re.compile(
    r"(?:insufficient_quota|billing_hard_limit_reached|billing_not_active)\b"
    r"|(?:\w+: )?(?:your )?credit balance is too low\b",
    re.IGNORECASE,
)
"""How an error begins, or its code, where nothing is left to spend; its status may be a rate limit's."""
_NO_MODEL = re.compile(
    r"\b(no such|unknown|invalid|unsupported|not a valid) (model|deployment)|\bno models loaded|"
    r"\b(model|deployment)[^\n]{0,200}\b(does ?n[o']t exist|not[ _](exist|found|available|a valid))",
    re.IGNORECASE,
)
_SAYING = re.compile(
    r"(?i)message|msg|detail|details|\w*errors?|description|reasons?|title|metadata|raw|causes?"
    r"|\w*field|\w*violations?|status"
)
"""Keys under which an error object speaks for itself."""
_QUOTING = re.compile(
    r"""(?s)(?:['"]input['"]\s*:|\binput_value\s*=|\bfailed_generation['"]?\s*[:=])\s*"""
    r"""(?:(?:'[^'\n]{0,40}'|"[^"\n]{0,40}"|[-\w.]{1,40})(?=\s*[,}\]])|.*)"""
)
"""In a text, what it quotes: a short value, or all the rest, since nothing tells where it ends."""
_STATUS_OF = {
    "rate_limit": 429, "ratelimit": 429, "too_many_requests": 429, "resource_exhausted": 429,
    "overloaded": 503, "unavailable": 503, "timeout": 504, "deadline_exceeded": 504,
    "server_error": 500, "internal": 500, "api_error": 500, "bad_gateway": 502, "network_error": 502,
}  # fmt: skip
"""For parts of words by which errors without a number name their kind, the status of that kind."""

MAX_MESSAGE_CHARS = 500
"""Of an error's message; endpoints give the reason within them."""
MAX_EVENT_CHARS = 80
_EVENTS = re.compile(rb"\s*(?:\xef\xbb\xbf)?(?:(?:data|event|id|retry):|: ?[A-Z\n])")
"""The beginning of a stream of server-sent events."""
MAX_DETAILS_CHARS = 10_000
"""Of all texts of an error object."""
MAX_DEPTH = 8  # objects inside objects
_GENERIC_CODES = frozenset(
    {"badrequest", "bad_request", "invalid_request", "invalid_request_error"}
)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an endpoint says of an error.

    Attributes:
        code: its code, the most specific one; "content_filter" where a content filter is behind the error,
            whatever the endpoint calls it.
        param: the field of the request that is wrong, such as "response_format".
        message: for people; the text of the body where that is not such an object.
        details: what each object in it says, a line each, which begins with its `param` and a colon where it
            has one; nothing that it quotes of a request or of an answer. Or the text of the body.
    """

    code: str | None = None
    param: str | None = None
    message: str | None = None
    details: str = ""


def read_error_body(text: bytes) -> ErrorBody:
    """What a body says; of a body that is not an error object, only the text."""
    value = _decoded(text)
    if not isinstance(value, (dict, list)):
        message = shortened(text)
        return ErrorBody(message=message or None, details=message)
    body = _read(value, MAX_DEPTH) or ErrorBody(message=shortened(text) or None)
    return replace(
        body, details="\n".join(filter(None, _lines(value, MAX_DEPTH)))[:MAX_DETAILS_CHARS]
    )


def _decoded(text: bytes) -> Any:
    """The JSON of a body; its beginning as text where it is none."""
    try:
        return strict_json.decode(text) or shortened(text)
    except ValueError:
        return shortened(text)


def failure_of(
    address: str,
    status: int,
    wait_s: float | None,
    text: bytes,
    source: str = "HTTP",
    *,
    filters: bool = True,
) -> BackendFailure:
    """The exception for an answer with another status than 200.

    Args:
        address: what was asked.
        status: of HTTP.
        wait_s: seconds to wait before another request, where the server says so.
        text: the body, without keys.
        source: where the status stands, for the message.
        filters: whether a content filter may be behind it, as with judges: then it is no outage.
    """
    body = read_error_body(text)
    filtered = filters and (
        status == _GUARDRAIL_STATUS
        or is_filtered(_decoded(text), exact=status not in _MODERATED_STATUS)
    )
    if filtered:
        body = replace(body, code=CONTENT_FILTER)
    spent = not filtered and _says_spent(body)
    fields = ErrorFields(
        status=status,
        code=body.code,
        param=body.param,
        message=body.message,
        details=body.details,
        cause="" if filtered else _cause(status, spent=spent),
    )
    if 300 <= status < 400:
        to = f": write {shortened(text)} in place of this address" if text else ""
        return BackendFailure(f"{address}: HTTP {status}: a redirect is not followed{to}", **fields)
    reason = f"{address}: {source} {status}: {shortened(text)}"
    if status in RETRIED_STATUS and not (filtered or spent):
        overloaded = status in OVERLOADED_STATUS
        return BackendBusy(reason, wait_s, overloaded=overloaded, **fields)
    return BackendRejected(reason, **fields)


def failure_within(address: str, answer: Any) -> BackendFailure | None:
    """The exception for an answer with status 200 that says, in its body, that there is an error."""
    error = _error_within(answer)
    body = _read(error, MAX_DEPTH)
    if body is None or (body.code in ("0", "200") and not body.message):
        return None
    text = strict_json.encode({"error": error})
    status = _status_of(error, body)
    if status is None and not is_filtered(error):
        reason = f"{address}: the endpoint answered with an error: {shortened(text)}"
        return BackendFailure(reason, status=200, code=body.code, message=body.message)
    return failure_of(address, status or 400, None, text, "HTTP 200 with the error")


def _error_within(answer: Any) -> Any:
    if not isinstance(answer, dict):
        return None
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    choice = choice if isinstance(choice, dict) else {}
    details = answer.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else choice.get("finish_reason")
    broken_off = {"message": f"finish_reason is {reason}", "code": 502}
    error = answer.get("error") or choice.get("error")
    return error or (broken_off if is_broken_off(reason) else None)


def _status_of(error: Any, body: ErrorBody) -> int | None:
    """The status that an error would have had as an answer of its own; None if it does not say."""
    inner = error if isinstance(error, dict) else {}
    names = [inner.get(key) for key in ("code", "status", "type")]
    for name in [*names, body.code]:
        text = str(name).lower()
        if text.isdecimal() and 400 <= int(text) < 600:
            status = int(text)
            return status if status < 500 or status in RETRIED_STATUS else 500
        for part, status in _STATUS_OF.items():
            if isinstance(name, str) and part in text:
                return status
    return None


def _says_spent(body: ErrorBody) -> bool:
    """Whether an error says that nothing is left to spend: another attempt changes nothing then."""
    return any(map(_QUOTA.match, (body.code or "", body.message or "", *body.details.splitlines())))


def _cause(status: int, *, spent: bool) -> Cause:
    if status in _REFUSED_STATUS or 300 <= status < 400 or spent:
        return "refused"
    if status in RETRIED_STATUS:
        return "busy" if status in OVERLOADED_STATUS else "unavailable"
    return "forbidden" if status in _FORBIDDEN_STATUS else ""


def lacks_model(error: BackendFailure, model: str) -> bool:
    """Whether an endpoint says that it does not have a model.

    Args:
        error: its answer.
        model: what it was asked for.
    """
    code = (error.code or "").lower()
    if "model" in code and re.search("not_found|not_available|decommission", code):
        return True
    if error.status not in (400, 404, 422) or not _NO_MODEL.search(error.details):
        return False
    # A 400 may quote what was asked: then the name of the model must stand in it, too.
    return error.status == 404 or model.lower() in error.details.lower()


def _lines(value: Any, depth: int) -> Iterator[str]:
    """What an object and those in it say, without what they quote: a row must not decide for others."""
    if isinstance(value, str):
        text, inner = _without_json(value)
        yield text
        value = [inner]
    if isinstance(value, list) and depth:
        for part in value:
            yield from _lines(part, depth - 1)
    elif isinstance(value, dict) and depth:
        # Codes come first: the first sentence is what they are about.
        own = [str(value[key]) for key in ("code", "type") if value.get(key)]
        parts = [part for key, part in value.items() if _SAYING.fullmatch(key)]
        for number, part in enumerate(parts):
            if isinstance(part, str):
                text, parts[number] = _without_json(part)
                own.append(text)
        yield ": ".join(filter(None, (_param(value), " ".join(own))))
        yield from _lines(parts, depth)


def _without_json(text: str) -> tuple[str, Any]:
    """A text on one line, without quotes; and the JSON in it: gateways pass on a provider's object so."""
    inner = None
    for match in islice(re.finditer(r"[{\[]", text), MAX_DEPTH):
        try:
            inner, end = json.JSONDecoder().raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        objects = inner if isinstance(inner, list) else [inner]
        if any(isinstance(part, dict) and any(_lines(part, MAX_DEPTH)) for part in objects):
            text = f"{text[: match.start()]} {text[end:]}"
            break
        inner = None  # such as the names of parameters
    return " ".join(_QUOTING.sub(" ", text).split()), inner


def unreadable(address: str, text: bytes) -> BackendFailure:
    """The exception for an answer with status 200 that is not JSON; only a stream is none that may pass."""
    if not _EVENTS.match(text):
        what = f"not JSON: {shortened(text)}" if text.strip() else "empty"
        return BackendBusy(f"{address}: the answer is {what}", status=200)
    beginning = shortened(text[:MAX_EVENT_CHARS])
    return BackendFailure(
        f"{address}: the endpoint streams its answer, which is not read: {beginning}…. Some do "
        "unless a request forbids it: in graders.toml, under [endpoints.NAME], set extra_body = "
        "{stream = false}",
        status=200,
    )


def shortened(text: bytes) -> str:
    """The beginning of a text, on one line."""
    return _one_line(text[:MAX_MESSAGE_CHARS].decode("utf-8", "replace"))


def _one_line(text: str) -> str:
    return " ".join(text[:MAX_MESSAGE_CHARS].split())


def _read(value: Any, depth: int) -> ErrorBody | None:
    if isinstance(value, str):
        return ErrorBody(message=_one_line(value)) if value.strip() else None
    if depth == 0:
        return None
    if isinstance(value, list):
        return _read_list(value, depth - 1)
    if not isinstance(value, dict):
        return None
    inner = None
    for key in ("error", "errors", "detail", "message", "msg"):
        inner = _read(value.get(key), depth - 1)
        if inner is not None:
            break
    code, param = _code(value), _param(value)
    if inner is None:
        return ErrorBody(code, param) if code or param else None
    return ErrorBody(inner.code or code, inner.param or param, inner.message)


def _read_list(values: list[Any], depth: int) -> ErrorBody | None:
    """Several mistakes: the first one's code and parameter, and what all of them say."""
    bodies = [body for value in values if (body := _read(value, depth))]
    if len(bodies) < 2:
        return bodies[0] if bodies else None
    parts = (": ".join(filter(None, (body.param, body.message))) for body in bodies)
    return ErrorBody(bodies[0].code, bodies[0].param, _one_line("; ".join(parts)))


def _code(value: dict[str, Any]) -> str | None:
    """The outer code, unless only an inner one says more than that the request is wrong."""
    codes = []
    inner: Any = value
    for _ in range(MAX_DEPTH):
        if not isinstance(inner, dict):
            break
        code = inner.get("code")
        if isinstance(code, str) and code:
            codes.append(code)
        elif type(code) is int:
            codes.append(str(code))
        inner = inner.get("innererror") or inner.get("inner_error")
    specific = (code for code in codes if not code.isdigit() and code.lower() not in _GENERIC_CODES)
    return next(specific, codes[0] if codes else None)


def _param(value: dict[str, Any]) -> str | None:
    param = value.get("param")
    if isinstance(param, str) and param:
        return param
    path = value.get("loc")
    if isinstance(path, list):
        steps = path[1:] if path[:1] == ["body"] else path
        return ".".join(map(str, steps)) or None
    return None
