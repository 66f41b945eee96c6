"""Templates: `{{ item.answer }}` compiled once and rendered once per row.

The grammar (the API's guide documents the two namespaces and the dotted path)::

    template  = { text | "{{" variable "}}" }
    variable  = ("item" | "sample") step { step }
    step      = "." key | "[" integer "]" | "[" quoted key "]"

A key after a dot is anything without `.`, brackets, `|`, quotes and braces: `{{item.Input Query}}`.
White space around tokens is ignored. In a run of three or more opening braces, the last two open.
Rendering is a single pass: the value of a variable is never expanded again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from graders_engine.errors import UnrenderableValue
from graders_engine.language.keys import DOTTED, expression, quoted
from graders_engine.language.scope import SAMPLE_KEYS, Scope, Step, resolve, spell
from graders_engine.language.span import SourceError, Span, SyntaxIssue
from graders_engine.language.spelling import nearest

NAMESPACES = ("item", "sample")

_BLANK = re.compile(r"\s*")
_WORD = re.compile(r"[\w-]+")
_INDEX = re.compile(r"-?[0-9]{1,99}(?![0-9])")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'", re.DOTALL)
_BRACKETS = re.compile(r"\[[^\]]*\]")
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode

_QUOTE = 'there are no expressions in a template; a key with quotes is written ["like \\"this\\""]'
_REASONS = {
    "|": "filters are not part of the language",
    '"': _QUOTE,
    "'": _QUOTE,
    "{": "the variable before this is not closed by `}}`",
    "}": "a variable is closed by two braces, `}}`",
}
"""Why a variable cannot go on with a character."""


class Variable:
    """One `{{ ... }}`: a namespace and the steps after it."""

    __slots__ = ("namespace", "span", "steps")

    def __init__(self, namespace: str, steps: tuple[Step, ...], span: Span) -> None:
        self.namespace, self.steps, self.span = namespace, steps, span

    @property
    def name(self) -> str:
        """Its path in template syntax, in its shortest form."""
        return spell(self.namespace, self.steps)

    def value(self, scope: Scope) -> Any:
        """The value for this row; raises what `scope.resolve` raises."""
        return resolve(scope, self.namespace, self.steps)

    def keys_like_code(self) -> list[str]:
        """Its keys after a dot that were probably meant as code of another language."""
        text = self.span.source[self.span.start + 2 : self.span.end - 2]
        bare = _BRACKETS.sub("", _QUOTED.sub("", text))
        return [key for part in bare.split(".")[1:] if expression(key := part.strip())]

    def render(self, scope: Scope) -> str:
        """The value as text: a string unchanged, anything else as JSON.

        Raises:
            UnrenderableValue: the value has no JSON form; only rows made in Python can have such values.
        """
        value = resolve(scope, self.namespace, self.steps)
        if type(value) is str:
            return value
        try:
            return value if isinstance(value, str) else _encode(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise UnrenderableValue(
                f"`{self.span.source[self.span.start : self.span.end]}`: {error}"
            ) from error


class Template:
    """A compiled template.

    Attributes:
        source: the text it was compiled from.
        variables: its variables, in source order.
        literal_length: characters of its literal text, a lower bound for the length of every rendering.
        render: `render(scope) -> str`; raises what `Variable.render` raises.
    """

    __slots__ = ("literal_length", "render", "source", "variables")

    def __init__(self, source: str, parts: list[str | Variable]) -> None:
        self.source = source
        self.variables = tuple(part for part in parts if isinstance(part, Variable))
        self.literal_length = sum(len(part) for part in parts if isinstance(part, str))
        self.render: Callable[[Scope], str] = _renderer(parts)

    @classmethod
    def compile(cls, source: str) -> Template:
        """Split a source text into literal text and variables.

        Raises:
            SourceError: something between the braces is not a variable; all such places are listed.
        """
        parts: list[str | Variable] = []
        issues: list[SyntaxIssue] = []
        text_from = at = 0
        while (at := source.find("{{", at)) >= 0:
            if source.startswith("{", at + 2):
                at += 1
                continue
            try:
                variable, end = _Reader(source, at).variable()
            except SourceError as error:
                issues += error.issues
                close = source.find("}}", at)
                text_from = at = close + 2 if close >= 0 else len(source)
                continue
            if at > text_from:
                parts.append(source[text_from:at])
            parts.append(variable)
            text_from = at = end
        if issues:
            raise SourceError(issues)
        if text_from < len(source):
            parts.append(source[text_from:])
        return cls(source, parts)

    def __repr__(self) -> str:
        return f"Template({self.source!r})"


def _renderer(parts: list[str | Variable]) -> Callable[[Scope], str]:
    """The cheapest function that renders these parts: most templates are one literal or one variable."""
    if not parts:
        return lambda scope: ""
    if len(parts) == 1:
        only = parts[0]
        return _variable_renderer(only) if isinstance(only, Variable) else lambda scope: only
    return lambda scope: "".join(
        [part if isinstance(part, str) else part.render(scope) for part in parts]
    )


def _variable_renderer(variable: Variable) -> Callable[[Scope], str]:
    """`variable.render`, with the two commonest variables read directly where their value is a text."""
    render = variable.render
    if variable.namespace == "item" and len(variable.steps) == 1:
        (step,) = variable.steps

        def item_key(scope: Scope) -> str:
            item = scope.item
            value = item.get(step) if type(item) is dict else None
            return value if type(value) is str else render(scope)

        return item_key
    if (variable.namespace, *variable.steps) == ("sample", "output_text"):

        def output_text(scope: Scope) -> str:
            text = scope.output_text
            return text if type(text) is str else render(scope)

        return output_text
    return render


def variable_at(source: str, opening: int) -> tuple[Variable, int]:
    """The variable whose braces open here, and where the text after it begins.

    Raises:
        SourceError: something else is there.
    """
    return _Reader(source, opening).variable()


class _Reader:
    """Reads one variable, starting at its opening braces."""

    def __init__(self, source: str, opening: int) -> None:
        self.source, self.opening, self.at = source, opening, opening + 2
        self.in_sample = False

    def variable(self) -> tuple[Variable, int]:
        namespace = self.namespace()
        steps: list[Step] = []
        while not self.closes():
            start = self.at
            steps.append(self.step())
            if namespace == "sample" and len(steps) == 1:
                self.check_sample_key(steps[0], start)
                # In a row's item any key may be; in the sample, what fails counts as the model's fault.
                self.in_sample = True
        if not steps:
            raise self.error(
                self.at_word_end,
                self.at_word_end + 1,
                f"`{namespace}` alone is not a variable: name a key, as in {{{{{namespace}.key}}}}",
            )
        end = self.at
        return Variable(namespace, tuple(steps), Span(self.source, self.opening, end)), end

    def namespace(self) -> str:
        self.skip_blanks()
        word = _WORD.match(self.source, self.at)
        if not word:
            raise self.error(self.at, self.at + 1, "a variable was expected, as in {{item.key}}")
        if word[0] not in NAMESPACES:
            near = nearest(word[0], NAMESPACES)
            advice = f"did you mean `{near}`?" if near else "there are `item` and `sample`"
            raise self.error(word.start(), word.end(), f"unknown namespace `{word[0]}`: {advice}")
        self.at = self.at_word_end = word.end()
        return word[0]

    def check_sample_key(self, step: Step, start: int) -> None:
        if step in SAMPLE_KEYS:
            return
        near = nearest(step, SAMPLE_KEYS) if isinstance(step, str) else ""
        advice = f"did you mean `{near}`?" if near else f"there are {', '.join(SAMPLE_KEYS)}"
        what = f"key `{step}`" if isinstance(step, str) else f"index {step}"
        dot = self.source[start : self.at].startswith(".")
        raise self.error(start + dot, self.at, f"`sample` has no {what}: {advice}")

    def closes(self) -> bool:
        """Whether the variable ends here; if so, moves past the closing braces."""
        self.skip_blanks()
        if self.source.startswith("}}", self.at):
            self.at += 2
            return True
        return False

    def step(self) -> Step:
        mark = self.source[self.at : self.at + 1]
        if mark == ".":
            self.at += 1
            self.skip_blanks()
            return self.key()
        if mark == "[":
            self.at += 1
            self.skip_blanks()
            return self.bracketed()
        if _WORD.match(self.source, self.at):
            raise self.error_at_word("a step starts with `.` or `[`")
        reason = _REASONS.get(mark, "this is not part of a variable")
        raise self.error(self.at, self.at + 1, reason)

    def key(self) -> str:
        start = self.at
        dotted = DOTTED.match(self.source, start)
        key = dotted[0].strip() if dotted else ""
        if not dotted or not key:
            raise self.error(start, start + 1, "a key was expected after the dot")
        self.at = start + len(key)
        if self.in_sample and (why := expression(key)):
            advice = f"a key of this name is written {quoted(key)}"
            raise self.error(start, start + len(key), f"{why} in a template; {advice}")
        return key

    def bracketed(self) -> Step:
        step: Step
        if index := _INDEX.match(self.source, self.at):
            step, self.at = int(index[0]), index.end()
        elif quoted := _QUOTED.match(self.source, self.at):
            step, self.at = self.unquote(quoted), quoted.end()
        else:
            raise self.error(
                self.at, self.at + 1, 'an index or a quoted key was expected, as in [0] or ["key"]'
            )
        self.skip_blanks()
        if not self.source.startswith("]", self.at):
            raise self.error(self.at, self.at + 1, "`]` was expected")
        self.at += 1
        return step

    def unquote(self, quoted: re.Match[str]) -> str:
        inner = quoted[0][1:-1]
        if quoted[0][0] == "'":
            inner = inner.replace("\\'", "'").replace('"', '\\"')
        try:
            key = json.loads(f'"{inner}"')
        except ValueError:
            raise self.error(
                quoted.start(), quoted.end(), "the quoted key is not a JSON string"
            ) from None
        return str(key)

    def skip_blanks(self) -> None:
        blank = _BLANK.match(self.source, self.at)
        self.at = blank.end() if blank else self.at

    def error_at_word(self, reason: str) -> SourceError:
        word = _WORD.match(self.source, self.at)
        return self.error(self.at, word.end() if word else self.at + 1, reason)

    def error(self, start: int, end: int, reason: str) -> SourceError:
        """An error here; where the braces are never closed, that is the error instead."""
        if self.source.find("}}", self.opening) < 0:
            start, end, reason = self.opening, self.opening + 2, "`{{` is never closed by `}}`"
        return SourceError([SyntaxIssue(reason, Span(self.source, start, end))])
