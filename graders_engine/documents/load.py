"""JSON or YAML 1.2 text that users type, to JSON values.

The rules are those of the official command line (goccy/go-yaml): `yes` and `2024-01-01` are text, `0777`
is octal, an integer of more than 64 bits is text, duplicate keys and infinity are errors. One rule is
ours: a scalar in a text field stays as it was typed, so `reference: 1.50` is "1.50".

A text that was meant as JSON is read as JSON only: YAML would take a slip in it for something else.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection
from typing import Any, NoReturn

from graders_engine.documents.invalid_document import InvalidDocument, invalid
from graders_engine.documents.yaml_document import YamlDocument
from graders_engine.language import strict_json
from graders_engine.language.json_fault import half_pair, json_fault, meant_as_json

TEXT_FIELDS = frozenset(
    {
        "calculate_output",
        "content",
        "data",
        "detail",
        "evaluation_metric",
        "format",
        "id",
        "image_tag",
        "image_url",
        "input",
        "labels",
        "model",
        "name",
        "operation",
        "passing_labels",
        "reasoning_effort",
        "reference",
        "role",
        "source",
        "text",
        "type",
        "url",
    }
)
"""The text fields of a grader; a test compares them with the JSON Schema, which is too slow to use here."""

_YAML_NAMES = (".yaml", ".yml")
_JSON_NAME = re.compile(r"\.json[^./\\]*$")
_FENCED = re.compile(r"\s*```\w*\n(.*?)```\s*", re.DOTALL)
_FENCES = re.compile(r"^```[\w ]*\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)


class _Number(str):
    """A JSON number as its source text."""

    __slots__ = ()


def load(
    text: str,
    what: str,
    text_fields: Collection[str] = (),
    *,
    name: str = "",
    on_note: Callable[[str], object] | None = None,
) -> Any:
    """Parse a document.

    Args:
        text: JSON or YAML.
        what: its origin, for messages: "--grader".
        text_fields: keys whose scalars stay text.
        name: of the file that holds it; one named .json holds JSON, and one named .yaml YAML.
        on_note: is called with each sentence on what is read in a way that may surprise.

    Raises:
        InvalidDocument: with the line and a caret.
    """
    text = text.removeprefix("\ufeff")
    note = on_note or _ignore
    if _FENCED.fullmatch(text):
        text = _unfenced(text, what, note)
    if _is_read_as_json(text, name.lower()):
        return _load_json(text, what, text_fields)
    yaml = YamlDocument(text, what, text_fields)
    try:
        value = yaml.load()
    except InvalidDocument:
        value = ""
        if not _FENCES.search(text):
            raise
    if isinstance(value, str) and _FENCES.search(text):
        return load(_unfenced(text, what, note), what, text_fields, on_note=on_note)
    for sentence in yaml.notes:
        note(f"{what}: {sentence}")
    return value


def _ignore(_: str) -> None:
    """Say nothing."""


def _is_read_as_json(text: str, name: str) -> bool:
    if name.endswith(_YAML_NAMES):
        return _is_json(text)
    if _JSON_NAME.search(name) and text.strip() and not _FENCES.search(text):
        return True
    return meant_as_json(text) or (text.lstrip()[:1] == '"' and _is_json(text))


def _load_json(text: str, what: str, text_fields: Collection[str]) -> Any:
    try:
        value = json.loads(
            text,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_refuse_constant,
            object_pairs_hook=strict_json.unique,
        )
        if text_fields and half_pair(text):
            raise ValueError
        return _with_numbers(value, text_fields, as_text=False)
    except (ValueError, RecursionError):
        _refuse_lines(text, what)
        if fault := json_fault(text):
            raise invalid(what, fault.reason, fault.span) from None
    raise InvalidDocument(f"{what}: it nests too deep, or has a number of too many digits.")


def _unfenced(text: str, what: str, note: Callable[[str], object]) -> str:
    """What stands in the only code fence of a text; what stands around it is left out."""
    fences = _FENCES.findall(text) or _FENCED.findall(text)
    if len(fences) > 1:
        raise InvalidDocument(
            f"{what}: {len(fences)} code fences stand here, but one value is wanted: give what is in one."
        )
    note(f"{what}: what stands in the code fence is read.")
    return str(fences[0])


def _refuse_lines(text: str, what: str) -> None:
    """Refuse JSONL: several values, one a line."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(map(_is_json, lines[:2])) and _is_json(lines[-1]):
        raise InvalidDocument(
            f"{what}: these are {len(lines)} JSON values, one a line (JSONL), but one is wanted here: "
            "give one of them. `graders score --data FILE` grades all rows of a file."
        )


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _with_numbers(value: Any, text_fields: Collection[str], *, as_text: bool) -> Any:
    """JSON values with their numbers parsed, or left as source text inside text fields."""
    if isinstance(value, dict):
        return {
            key: _with_numbers(part, text_fields, as_text=key in text_fields)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [_with_numbers(part, text_fields, as_text=as_text) for part in value]
    if isinstance(value, _Number):
        return str(value) if as_text else _number(value)
    return json.dumps(value) if as_text and isinstance(value, bool) else value


def _number(text: str) -> int | float:
    value: int | float = json.loads(text)
    if math.isinf(value):
        raise ValueError(text)
    return value
