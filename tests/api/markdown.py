"""Docstrings in Google's style, as Markdown in lines of 80 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import griffe

WIDTH = 80
_LONGEST_DEFAULT = 30
_LITERAL = re.compile(r"^(.*)::\n\n((?: {4}.*(?:\n|$)|\n)+)", re.MULTILINE)
"""A paragraph that ends with `::`, and the indented lines below it."""
_BULLET = re.compile(r"^- ", re.MULTILINE)


def docstring_markdown(item: griffe.Object, *, made: bool = True) -> Iterator[str]:
    """The blocks of an object's docstring; without what its constructor takes, if nobody is to make it."""
    for section in item.docstring.parsed if item.docstring else ():
        if made or section.kind.value not in ("parameters", "raises"):
            yield from _section(section)


def _section(section: Any) -> Iterator[str]:
    match section.kind.value:
        case "text":
            yield from prose(section.value)
        case "parameters" | "other parameters":
            yield "**Arguments**"
            yield _listed(section.value)
        case "attributes":
            yield "**Attributes**"
            yield _listed(section.value)
        case "raises":
            yield "**Raises**"
            yield "\n".join(
                _bullet(f"`{str(part.annotation).strip('()')}`: {part.description}")
                for part in section.value
            )
        case "returns" | "yields":
            yield "**Returns**"
            yield "\n".join(_bullet(part.description) for part in section.value)
        case "admonition" if section.title == "Example":
            yield "**Example**"
            yield fenced(section.value.description)
        case other:
            raise ValueError(f"a docstring has a section of the kind {other!r}: write it here, too")


def _listed(parts: Iterable[Any]) -> str:
    return "\n".join(
        _bullet(f"`{part.name}`{_default(part)}: {part.description}") for part in parts
    )


def _default(part: Any) -> str:
    value = getattr(part, "value", None)
    return "" if value in (None, "", "{}") else f" (default `{_short(value)}`)"


def _short(default: Any) -> str:
    """A default as one writes it: an empty mapping, or the value of a constant, for its name."""
    text = str(default)
    if text in ("dict()", "NOTHING"):
        return "{}"
    if isinstance(default, griffe.ExprName) and text.isupper():
        path = default.canonical_path.partition(".")[2]
        value = str(default.parent.package[path].value)  # type: ignore[union-attr] # a constant of the package
        return value if len(value) <= _LONGEST_DEFAULT else "…"
    return text


def _bullet(text: str) -> str:
    return wrapped(text, first="- ", other="  ")


def prose(text: str) -> Iterator[str]:
    """Paragraphs, lists, and what stands indented behind a `::`."""
    at = 0
    for found in _LITERAL.finditer(text):
        yield from _paragraphs(text[at : found.start()])
        before, code = found[1].strip(), textwrap.dedent(found[2]).strip("\n")
        if before == "Example":
            yield "**Example**"
        elif before:
            yield wrapped(f"{before}:")
        yield fenced(code, "text" if "├──" in code else "python")
        at = found.end()
    yield from _paragraphs(text[at:])


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in filter(None, re.split(r"\n\s*\n", text.strip())):
        if _BULLET.match(paragraph):
            items = filter(None, _BULLET.split(paragraph))
            yield "\n".join(_bullet(item) for item in items)
        else:
            yield wrapped(paragraph)


def wrapped(text: str, *, first: str = "", other: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()), WIDTH, initial_indent=first, subsequent_indent=other,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def fenced(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}\n```"


def signature(name: str, parameters: Iterable[griffe.Parameter], returns: Any = None) -> str:
    """A call as one writes it: in one line if there is room, else a line for each argument."""
    parts = list(_parts(parameters))
    result = "" if returns is None else f" -> {returns}"
    short = f"{name}({', '.join(parts)}){result}"
    if len(short) <= WIDTH or not parts:
        return short
    lines = "".join(f"    {part},\n" for part in parts)
    return f"{name}(\n{lines}){result}"


def _parts(parameters: Iterable[griffe.Parameter]) -> Iterator[str]:
    before = None
    for parameter in parameters:
        kind = parameter.kind
        if parameter.name in ("self", "cls"):
            continue
        if kind is griffe.ParameterKind.keyword_only and before not in (
            griffe.ParameterKind.keyword_only, griffe.ParameterKind.var_positional,
        ):  # fmt: skip
            yield "*"
        before = kind
        stars = {
            griffe.ParameterKind.var_positional: "*",
            griffe.ParameterKind.var_keyword: "**",
        }.get(kind or griffe.ParameterKind.positional_or_keyword, "")
        typed = f": {parameter.annotation}" if parameter.annotation else ""
        is_given = parameter.default not in (None, "") and not stars
        default = f"{' = ' if typed else '='}{_short(parameter.default)}" if is_given else ""
        yield f"{stars}{parameter.name}{typed}{default}"
