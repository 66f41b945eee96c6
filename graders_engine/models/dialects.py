"""What endpoints do not support: read from their errors, and remembered for each model.

OpenAI-compatible endpoints differ in three things: how the form of the answer is requested, what the limit
on its tokens is called, and whether the role `developer` is known. The full form is tried first. What the
endpoint names as unsupported is left out, and what worked once is never left out again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from graders_engine.errors import BackendRejected
from graders_engine.models.base import ModelRequest, TextPart
from graders_engine.models.openai_wire import BINDINGS, Dialect

_WRONG_REQUEST = frozenset({400, 404, 415, 422, 501})
"""Answers by which endpoints say that they do not support a parameter."""
_VALUES: dict[str, tuple[Any, ...]] = {
    "max_tokens": ("max_completion_tokens", "max_tokens"),
    "developer": (True, False),
    "binding": BINDINGS,
}
"""For each field of a dialect its values, the full form first."""
_BINDING_NAMES = ("response_format", "json_schema", "json_object", "text.format", "structured")
_NAMES = (*_BINDING_NAMES, "max_completion_tokens", "developer")
_ADDRESS = re.compile(r"https?://[^\s\"'<>\\]+")
_PUNCTUATION = "'\"`()[]{}<>,;:.!?"
_CONTEXT_CHARS = 12
"""So much text around a word, found in the request as well, shows that the error quotes the request."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was sent.

    Attributes:
        request: what was to be asked.
        body: what was sent for it.
        url: where to.
    """

    request: ModelRequest
    body: Mapping[str, Any]
    url: str


class Dialects:
    """The dialects of one endpoint, by model.

    Args:
        binding: how the form of the answer is requested; discovered when left out.
    """

    def __init__(self, binding: str | None = None) -> None:
        self._fixed: dict[str, Any] = {} if binding is None else {"binding": binding}
        self._proven: dict[str, dict[str, Any]] = {}
        self._full = Dialect(**self._fixed)
        self._dialects: dict[str, Dialect] = {}

    def of(self, model: str) -> Dialect:
        """The fullest form that is not known to fail."""
        return self._dialects.get(model, self._full)

    def worked(self, request: ModelRequest, dialect: Dialect) -> None:
        """Remember those parts of the dialect that this request used."""
        proven = self._proven.setdefault(request.model, {})
        for name in _used(request):
            values, value = _VALUES[name], getattr(dialect, name)
            if name not in proven or values.index(value) < values.index(proven[name]):
                proven[name] = value
                self._dialects[request.model] = replace(self._full, **{**proven, **self._fixed})

    def simpler(self, dialect: Dialect, asked: Asked, error: BackendRejected) -> Dialect | None:
        """The dialect without what the endpoint says that it does not support.

        None if the endpoint complains of something else, if the part has worked for this model, or if nothing
        simpler is left.
        """
        if error.status not in _WRONG_REQUEST:
            return None
        proven = {**self._proven.get(asked.request.model, {}), **self._fixed}
        for name in _unsupported(asked, error):
            value = getattr(dialect, name)
            if name in proven:
                # It worked, perhaps since this request was sent; then this one is sent in the same form.
                if proven[name] != value:
                    return replace(dialect, **{name: proven[name]})
                continue
            later = _VALUES[name][_VALUES[name].index(value) + 1 :]
            if later:
                return replace(dialect, **{name: later[0]})
        return None


def _used(request: ModelRequest) -> Iterator[str]:
    if request.sampling.max_tokens is not None:
        yield "max_tokens"
    if any(message.role == "developer" for message in request.messages):
        yield "developer"
    yield "binding"


def _unsupported(asked: Asked, error: BackendRejected) -> Iterator[str]:
    """Fields of a dialect that an error names, among those that the request used."""
    param = (error.param or "").lower()
    field = re.split(r"[.\[]", param)[0]
    # A parameter that is a field of the body decides, unless it is one that others do not go with.
    decides = field in asked.body and param not in ("model", "messages", "input")
    text = "" if decides else _evidence(error.details, asked)
    names_binding = any(name in param or name in text for name in _BINDING_NAMES)
    if re.fullmatch(r"(messages|input)(\W\d+\W?)?", param):  # it may be the role of one of them
        text = _evidence(error.details, asked)
    names_role = "role" in param or ("role" in text and "developer" in text)
    named = {
        "max_tokens": "max_completion_tokens" in param or "max_completion_tokens" in text,
        "developer": names_role,
        "binding": names_binding or param == "text",
    }
    yield from (name for name in _used(asked.request) if named[name])


def _evidence(details: str, asked: Asked) -> str:
    """What an error says, without addresses, the name of the model and what it quotes of the request."""
    address = asked.url.lower().partition("?")[0]
    place = address.partition("://")[2]
    path = place.partition("/")[2]
    text = details.lower()
    for own in filter(None, (address, place, path)):
        text = text.replace(own, " ")
    text = _ADDRESS.sub(" ", text)
    model = re.escape(asked.request.model.lower())
    words = re.sub(rf"(?<!\w){model}(?!\w)", " ", text).split()
    segments = set(place.split("/"))
    text = " ".join(word for word in words if word.strip(_PUNCTUATION) not in segments)
    for quoted in _texts(asked.request):
        text = _without_quotes(text, quoted)
    return text


def _texts(request: ModelRequest) -> Iterator[str]:
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, TextPart):
                yield " ".join(part.text.lower().split())


def _without_quotes(text: str, quoted: str) -> str:
    """The text without a whole quote, and without names in the same words as in what may be quoted."""
    if quoted and len(quoted) <= len(text):
        text = re.sub(rf"(?<!\w){re.escape(quoted)}(?!\w)", " ", text)
    matches = [
        match for name in _NAMES if name in quoted for match in re.finditer(re.escape(name), text)
    ]
    for match in sorted(matches, key=lambda match: match.start(), reverse=True):
        before = match.string[max(match.start() - _CONTEXT_CHARS, 0) : match.end()]
        after = match.string[match.start() : match.end() + _CONTEXT_CHARS]
        min_chars = len(match[0]) + _CONTEXT_CHARS // 2
        if any(len(part) >= min_chars and part in quoted for part in (before, after)):
            text = f"{text[: match.start()]} {text[match.end() :]}"
    return text
