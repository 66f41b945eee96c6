"""Templates as the hosted service took them, which checked little when an eval was created.

What the strict grammar takes means the same here. Of the rest, `{{` without its `}}` is text, also where one
brace closes it; anything else between `{{` and `}}` is a variable that no row has a value for.
"""

from __future__ import annotations

import re
from typing import Literal, NoReturn

from graders_engine.errors import UndefinedVariable
from graders_engine.language.scope import Scope
from graders_engine.language.span import SourceError, Span, SyntaxIssue
from graders_engine.language.template import NAMESPACES, Template, Variable, variable_at

Strictness = Literal["strict", "as_served"]
"""Whether a template that cannot be read is refused when it is compiled, or kept as the service kept it."""

_MAX_NAME_CHARS = 60
# A single brace ends the search: no variable has one, except in a quoted key.
_INSIDE = (
    re.compile(r"""(?>(?:[^{}"']|"(?>(?:[^"\\]|\\.)*)"|'(?>(?:[^'\\]|\\.)*)')*)\}\}""", re.DOTALL),
    re.compile(r"[^{}]*+\}\}"),
)
"""What follows the opening braces up to the closing ones: with pairs of quotes, or with any."""


class FaultyVariable(Variable):
    """One `{{ ... }}` that is no variable: no row has a value for it, and the grader is to blame."""

    __slots__ = ("_reason",)

    def __init__(self, span: Span, reason: str) -> None:
        inner = span.source[span.start + 2 : span.end - 2].split()
        first = re.split(r"\W", inner[0])[0] if inner else ""
        super().__init__(first if first in NAMESPACES else "", (), span)
        self._reason = reason

    @property
    def name(self) -> str:
        """What stands between the braces, on one line."""
        source = self.span.source[self.span.start + 2 : self.span.end - 2]
        name = " ".join(source.split())
        return name if len(name) <= _MAX_NAME_CHARS else f"{name[:_MAX_NAME_CHARS]}…"

    def keys_like_code(self) -> list[str]:
        """None of its keys: its fault says what stands there."""
        return []

    def value(self, scope: Scope) -> NoReturn:
        """Raises UndefinedVariable."""
        raise UndefinedVariable(
            f"`{{{{{self.name}}}}}` cannot be read as a variable: {self._reason}", "grader"
        )

    def render(self, scope: Scope) -> NoReturn:
        """Raises UndefinedVariable."""
        self.value(scope)


class LenientTemplate(Template):
    """A compiled template that the strict grammar refuses.

    Attributes:
        faulty: what is wrong with each variable that no row has a value for.
        unclosed: the places of `{{` that are text.
    """

    __slots__ = ("faulty", "unclosed")

    def __init__(self, source: str) -> None:
        self.faulty: list[SyntaxIssue] = []
        self.unclosed: list[SyntaxIssue] = []
        super().__init__(source, self._parts(source))

    def _parts(self, source: str) -> list[str | Variable]:
        parts: list[str | Variable] = []
        text_from = at = 0
        while (at := source.find("{{", at)) >= 0:
            if source.startswith("{", at + 2):
                at += 1
                continue
            end = _end(source, at)
            if end < 0:
                self.unclosed.append(
                    SyntaxIssue("`{{` is never closed by `}}`", Span(source, at, at + 2))
                )
                at += 2
                continue
            if at > text_from:
                parts.append(source[text_from:at])
            try:
                variable, end = variable_at(source, at)
            except SourceError as error:
                self.faulty.append(error.issues[0])
                variable = FaultyVariable(Span(source, at, end), error.issues[0].reason)
            parts.append(variable)
            text_from = at = end
        if text_from < len(source):
            parts.append(source[text_from:])
        return parts


def _end(source: str, opening: int) -> int:
    """Where the braces that open here are closed; -1 if they are not."""
    found = next((match for one in _INSIDE if (match := one.match(source, opening + 2))), None)
    return found.end() if found else -1


def compile_as_served(source: str) -> Template:
    """Compile any source text; a `LenientTemplate` if the strict grammar refuses it."""
    try:
        return Template.compile(source)
    except SourceError:
        return LenientTemplate(source)
