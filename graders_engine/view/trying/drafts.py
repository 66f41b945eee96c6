"""A grader as it is typed: read as the command line reads a file, with the place of each mistake."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from graders_engine.compiled import CompiledGrader
from graders_engine.documents.invalid_document import InvalidDocument
from graders_engine.documents.load import TEXT_FIELDS, load
from graders_engine.documents.places import Places
from graders_engine.errors import InvalidGrader, InvalidRequest, Mistake
from graders_engine.graders.parse import ROOT
from graders_engine.graders.parts import wrapped
from graders_engine.language.scope import kind_of
from graders_engine.language.span import Span

Form = Literal["json", "yaml"]
_INNER_PLACE = re.compile(r"\(line (\d+), column (\d+)\)")
_FILE = re.compile(r"@\S+")


@dataclass(frozen=True, slots=True)
class Draft:
    """A grader's text, read.

    Attributes:
        compiled: the grader; None if there are mistakes.
        mistakes: of the text or the grader, as the routes send them.
        notes: what is read in a way that may surprise, and what is allowed but probably unintended.
    """

    compiled: CompiledGrader | None = None
    mistakes: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_draft(text: str, form: Form, compile_: Callable[[Any], CompiledGrader]) -> Draft:
    """Read and compile a grader's text.

    Args:
        text: as it was typed.
        form: what it is.
        compile_: of an engine.
    """
    notes: list[str] = []
    what = f"grader.{form}"
    try:
        loaded = load(text, what, TEXT_FIELDS, name=what, on_note=notes.append)
        given, path = _grader_in(loaded)
    except InvalidDocument as error:
        return Draft(mistakes=[_of_document(error, text, what)])
    except InvalidRequest as error:
        return Draft(mistakes=[_placed(Mistake(str(error)), Span(text, 0, 0))])
    if path:
        notes.append(f"The grader is taken from `{path}`.")
    try:
        if found := _files_named(given):
            raise InvalidGrader(found)
        compiled = compile_(given)
    except InvalidGrader as error:
        places = Places(text)
        found = list(error.mistakes)
        return Draft(mistakes=[_of_grader(mistake, places, path) for mistake in found], notes=notes)
    return Draft(compiled, notes=[*notes, *map(str, compiled.warnings())])


def _grader_in(loaded: Any) -> tuple[Any, str]:
    """The grader in what was typed, and where it is.

    Raises:
        InvalidRequest: there is none, or there are several.
    """
    if loaded is None:
        raise InvalidRequest("The grader is empty.")
    grader, path, problem = wrapped(loaded)
    if problem:
        raise InvalidRequest(problem[0].upper() + problem[1:])
    if isinstance(grader, list):
        raise InvalidRequest(
            f"A grader is an object, but this is an array of {len(grader)}: keep one of them."
        )
    if not isinstance(grader, dict):
        raise InvalidRequest(f"A grader is an object, but this is {kind_of(grader)}.")
    return grader, path


def _files_named(grader: Any) -> list[Mistake]:
    """The sources that name a file, which this page does not read."""
    parts = grader.get("graders")
    inner = parts.items() if isinstance(parts, dict) else ()
    sources = [("source", grader), *((f"graders.{key}.source", part) for key, part in inner)]
    return [
        Mistake(
            f"{part['source']} names a file, which is not read here: put what it holds in its place.",
            path,
        )
        for path, part in sources
        if isinstance(part, dict)
        and isinstance(part.get("source"), str)
        and _FILE.fullmatch(part["source"])
    ]


def _of_document(error: InvalidDocument, text: str, what: str) -> dict[str, Any]:
    """A mistake in the form of the text."""
    first, _, detail = str(error).removeprefix(f"{what}: ").partition("\n")
    message = first[:1].upper() + first[1:]
    span = error.span
    if span is None:
        return _placed(Mistake(message, detail=detail), Span(text, 0, 0))
    # Of a text in a code fence, only what stands in it was read.
    before = max(0, text.find(span.source)) if span.source != text else 0
    return _placed(
        Mistake(message, detail=detail), Span(text, before + span.start, before + span.end)
    )


def _of_grader(mistake: Mistake, places: Places, within: str) -> dict[str, Any]:
    """A mistake in the grader, with its place in the text."""
    path = "" if mistake.param in (None, ROOT) else str(mistake.param)
    whole = ".".join(filter(None, (within, path)))
    if mistake.code == "unknown_parameter":
        return _placed(mistake, places.key_of(whole))
    inner = _INNER_PLACE.search(mistake.message)
    if inner is None:
        return _placed(mistake, places.of(whole))
    carets = mistake.detail.rpartition("\n")[2].count("^") or 1
    return _placed(mistake, places.within(whole, int(inner[1]), int(inner[2]), carets))


def _placed(mistake: Mistake, span: Span) -> dict[str, Any]:
    return {
        "message": mistake.message,
        "path": mistake.param,
        "line": span.line,
        "column": span.column,
        "length": max(1, span.end - span.start),
        "detail": mistake.detail,
        "hint": mistake.hint,
    }
