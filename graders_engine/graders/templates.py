"""The templates in a grader's spec."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from graders_engine.errors import Mistake
from graders_engine.language.as_served import LenientTemplate
from graders_engine.language.json_fault import TYPOGRAPHIC
from graders_engine.language.keys import expression, quoted
from graders_engine.language.scope import SAMPLE_KEYS
from graders_engine.language.span import Span, SyntaxIssue
from graders_engine.language.template import Template, Variable
from graders_engine.language.words import code_points, same_looking

_TAG = re.compile(r"\{%.*?%\}|\{#.*?#\}", re.DOTALL)
"""Block tags and comments of Jinja and its relatives."""
_ONE_BRACE = re.compile(r"(?<!\{)\{\s*(?:item|sample)\s*[.\[][^{}]*\}(?!\})")
"""A path in single braces."""
_BRACE = r"(?:\{|\uff5b|\ufe5b|&(?:#0*123|#x0*7b|lbrace|lcub);)"
_OTHER_BRACES = re.compile(
    rf"(?!\{{\{{){_BRACE}{{2}}\s*(?P<path>(?:item|sample)[.\[][^{{}}&\uff5d\ufe5c\s]*)",
    re.IGNORECASE,
)
"""A variable whose braces are those of other scripts, or references of HTML."""
_SIDES = ("input", "reference")
"""The keys of texts that are compared as they are; a judge's messages have others."""
_BARE_PATH = re.compile(
    rf"[<\[(%$\s]*(?P<path>item\.[^\W\d]\w*|sample\.(?:{'|'.join(SAMPLE_KEYS)})(?:\.\w+)*)[>\])%\s]*"
)
"""A path without braces."""
_MAX_SHOWN = 60


def variables_in(spec: BaseModel) -> tuple[Variable, ...]:
    """Every variable of a grader's templates, in source order."""
    return tuple(variable for _, template in templates_in(spec) for variable in template.variables)


def templates_in(value: Any, path: str = "") -> Iterator[tuple[str, Template]]:
    """Every template in a grader's spec, or in a part of it, with its path in the grader."""
    if isinstance(value, Template):
        yield path, value
    elif value is None or isinstance(value, (str, float)):
        return  # most fields; the check of a mapping takes longer
    elif isinstance(value, BaseModel):
        for name, part in value:
            yield from templates_in(part, f"{path}.{name}" if path else name)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from templates_in(part, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for position, part in enumerate(value):
            yield from templates_in(part, f"{path}[{position}]")


def template_cautions(spec: BaseModel) -> Iterator[Mistake]:
    """What in a grader's templates is allowed, but was probably meant as something else."""
    paths: dict[str, None] = {}
    for path, template in templates_in(spec):
        yield from _texts(path, template.source)
        for variable in template.variables:
            yield from _keys_like_code(path, variable)
            name = variable.name
            if name not in paths and (alike := same_looking(name, tuple(paths))):
                yield Mistake(
                    f"'{path}' reads two paths that look the same: one is written with other code points "
                    f"({code_points(alike, name)}).",
                    path,
                    detail=variable.span.caret(),
                    hint="If the rows have one key for both, copy it from them.",
                )
            paths[name] = None


def _texts(path: str, source: str) -> Iterator[Mistake]:
    if tag := _TAG.search(source):
        yield _text_caution(
            path,
            Span(source, *tag.span()),
            "Templates have variables only: no conditions, loops or comments.",
        )
    if variable := _ONE_BRACE.search(source):
        inside = variable[0][1:-1].strip().rstrip("\\")
        hint = f"A variable has two braces: {{{{{inside}}}}}."
        yield _text_caution(path, Span(source, *variable.span()), hint)
    if variable := _OTHER_BRACES.search(source):
        hint = f"A variable is written with `{{{{` and `}}}}`: {{{{{variable['path']}}}}}."
        yield _text_caution(path, Span(source, *variable.span()), hint)
    if path.rpartition(".")[2] in _SIDES:
        yield from _side(path, source)


def _side(path: str, source: str) -> Iterator[Mistake]:
    """What is compared with more than was meant, or with something else."""
    text = source.strip()
    if text[:1] in TYPOGRAPHIC and text[-1:] in TYPOGRAPHIC and len(text) > 1:
        yield Mistake(
            f"'{path}' begins with `{text[0]}` and ends with `{text[-1]}`: these typographic quotes are part "
            "of the text that is compared.",
            path,
            hint='If they are meant to quote it, write `"` instead.',
        )
    if bare := _BARE_PATH.fullmatch(text):
        hint = f"A variable has two braces: {{{{{bare['path']}}}}}."
        yield _text_caution(path, Span(source, 0, len(source)), hint)


def _text_caution(path: str, span: Span, hint: str) -> Mistake:
    found = span.source[span.start : span.end]
    cited = found if len(found) <= _MAX_SHOWN else f"{found[:_MAX_SHOWN]}…"
    where = f"(line {span.line}, column {span.column})"
    message = f"'{path}' has `{cited}`, which is text here and stays as it is {where}."
    return Mistake(message, path, detail=span.caret(), hint=hint)


def _keys_like_code(path: str, variable: Variable) -> Iterator[Mistake]:
    for key in variable.keys_like_code():
        span = variable.span
        yield Mistake(
            f"'{path}' takes `{key}` for a key of the row, but {expression(key)} in a template "
            f"(line {span.line}, column {span.column}).",
            path,
            detail=span.caret(),
            hint=f"If the rows have such a key, write {quoted(key)} to be clear.",
        )


def lenient_cautions(spec: BaseModel) -> Iterator[Mistake]:
    """What is wrong with each template that is compiled as the service took it, and what becomes of it."""
    for path, template in templates_in(spec):
        if not isinstance(template, LenientTemplate):
            continue
        for issues, sentence in ((template.faulty, _FAULTY), (template.unclosed, _UNCLOSED)):
            if issues:
                yield Mistake(sentence.format(path), path, detail=_first_of(issues))


_FAULTY = (
    "'{}' has what is not a variable between {{{{ and }}}}: as at the service, no row has a value for it, "
    "and each gets 0.0 with invalid_variable_error."
)
_UNCLOSED = "'{}' has {{{{ without }}}}: as at the service, it is text."


def _first_of(issues: list[SyntaxIssue]) -> str:
    more = f"\n(and {len(issues) - 1:,} more)" if len(issues) > 1 else ""
    return f"{issues[0]}{more}"
