"""A document that cannot be read, with the place of its fault."""

from __future__ import annotations

import re

from graders_engine.errors import InvalidRequest
from graders_engine.language.span import Span
from graders_engine.models.redaction import may_hold_key

_CITED = re.compile(r"`[^`]{12,}`")
"""What a reason cites that is long enough for a key of a service."""
_BARE_TEMPLATE = re.compile(r"(?:^|[:,\[-])\s*\{\{")
_QUOTED = re.compile(r'"(?>(?:[^"\\]|\\.)*)(?:"|$)')
"""A text in double quotes; the last of a line may go on."""


class InvalidDocument(InvalidRequest):
    """Raised when a text is neither JSON nor YAML with JSON values only.

    Attributes:
        span: where the fault is; None for the whole text.
    """

    def __init__(self, message: str, span: Span | None = None) -> None:
        self.span = span
        super().__init__(message)


def invalid(what: str, reason: str, span: Span) -> InvalidDocument:
    """The exception for a fault, which cites no key of a service."""
    secret = may_hold_key(span.source)
    reason = _CITED.sub("this", reason) if secret else reason
    lines = [f"{what}: {reason} (line {span.line}, column {span.column})."]
    if not secret:
        lines.append(span.caret())
    if _has_bare_template(span):
        lines.append('A template must be in quotes, as in {input: "{{sample.output_text}}"}.')
    return InvalidDocument("\n".join(lines), span)


def _has_bare_template(fault: Span) -> bool:
    """Whether a template without quotes stands where the fault is, or right before it."""
    start, end = fault.source.rfind("\n", 0, fault.start) + 1, fault.source.find("\n", fault.start)
    line = fault.source[start : end if end >= 0 else None]
    return _BARE_TEMPLATE.search(_QUOTED.sub('""', line)) is not None
