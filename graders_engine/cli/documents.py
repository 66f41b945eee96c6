"""JSON or YAML 1.2 text that users type, to JSON values.

The rules are those of the official command line (goccy/go-yaml): `yes` and `2024-01-01` are text, `0777`
is octal, an integer of more than 64 bits is text, duplicate keys and infinity are errors. One rule is
ours: a scalar in a text field stays as it was typed, so `reference: 1.50` is "1.50".
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any, NoReturn

from graders_engine.cli import failing
from graders_engine.errors import InvalidRequest
from graders_engine.language.json_fault import json_fault
from graders_engine.language.span import Span
from graders_engine.models.redaction import may_hold_key

MAX_NODES = 200_000
"""Most values in one YAML document, each use of an alias counted; bounds what aliases can expand to."""
MAX_DEPTH = 100
"""Deepest nesting of one document."""

_TAG = "tag:yaml.org,2002:"
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INTEGER = re.compile(r"([-+]?)(?:0x([0-9a-fA-F_]+)|0b([01_]+)|0o?([0-7_]+)|(0|[1-9][0-9_]*))")
_BASES = (16, 2, 8, 10)
_DECIMAL = re.compile(r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?")
_MEANT_AS_JSON = re.compile(r"[\s{\[]*[\"“”„]")
"""Begins with double quotes inside brackets: JSON's fault is more help than YAML's."""
_FENCED = re.compile(r"\s*```\w*\n(.*?)```\s*", re.DOTALL)
_FENCES = re.compile(r"^```[\w ]*\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"\s*(?://|/\*)")
_BARE_TEMPLATE = re.compile(r"[:,\[-]\s*\{\{")
_YAML_FAULTS = (
    (r"found character '\\t'", "a tab cannot indent YAML: use blanks"),
    (r"found character '(.)' that cannot", r"a text that starts with `\1` must be in quotes"),
    ("found another document", "several documents stand here (`---`), but one is wanted"),
    (r"'<document start>'", "the value ends before this"),
    (r"expected ',' or '(.)', but got '<stream end>'", r"`\1` is missing at the end"),
    (r"expected ',' or '(.)'", r"a comma or `\1` is missing before this"),
    ("mapping values are not allowed", "a text with a colon and a blank must be in quotes"),
    ("could not find expected ':'", "a colon is missing after this key"),
    ("found unexpected end of stream", "a quote is never closed"),
    ("found undefined alias", "a text that starts with `*` must be in quotes"),
    (
        "found unknown escape character",
        "a backslash starts no such sequence: write two of them for one",
    ),
)
"""What ruamel.yaml says, and what it means for those who typed it."""
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class InvalidDocument(InvalidRequest):
    """Raised when a text is neither JSON nor YAML with JSON values only."""


class _Number(str):
    """A JSON number as its source text."""

    __slots__ = ()


def load(text: str, what: str, text_fields: Collection[str] = ()) -> Any:
    """Parse a document.

    Args:
        text: JSON or YAML.
        what: its origin, for messages: "--grader".
        text_fields: keys whose scalars stay text.

    Raises:
        InvalidDocument: with the line and a caret.
    """
    text = text.removeprefix("\ufeff")
    if _FENCED.fullmatch(text):
        text = _unfenced(text, what)
    if text.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(
                text,
                parse_int=_Number,
                parse_float=_Number,
                parse_constant=lambda name: _refuse_number(name, what),
                object_pairs_hook=lambda pairs: _without_duplicates(pairs, what),
            )
            return _with_numbers(value, text_fields, as_text=False)
        except (ValueError, RecursionError):
            _refuse_lines(text, what)
            fault = json_fault(text) if _MEANT_AS_JSON.match(text) else None
            if fault and fault.kind != "yaml":
                raise _invalid(what, fault.reason, fault.span) from None
    if _COMMENT.match(text) and (fault := json_fault(text)):
        raise _invalid(what, fault.reason, fault.span)
    yaml = _Yaml(text, what, text_fields)
    try:
        value = yaml.load()
    except InvalidDocument:
        value = ""
        if not _FENCES.search(text):
            raise
    if isinstance(value, str) and _FENCES.search(text):
        return load(_unfenced(text, what), what, text_fields)
    if yaml.null_like and text.lstrip()[:1] in ("{", "["):
        word = yaml.null_like
        failing.caution(
            f'note: {what}: `{word}` is read as the text "{word}"; null is written `null`.'
        )
    return value


def _unfenced(text: str, what: str) -> str:
    """What stands in the only code fence of a text; what stands around it is left out."""
    fences = _FENCES.findall(text) or _FENCED.findall(text)
    if len(fences) > 1:
        raise InvalidDocument(
            f"{what}: {len(fences)} code fences stand here, but one value is wanted: give what is in one."
        )
    failing.caution(f"note: {what}: what stands in the code fence is read.")
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


def _invalid(what: str, reason: str, span: Span) -> InvalidDocument:
    lines = [f"{what}: {reason} (line {span.line}, column {span.column})."]
    if not may_hold_key(span.source):
        lines.append(span.caret())
    if _BARE_TEMPLATE.search(span.source):
        lines.append('A template must be in quotes, as in {input: "{{sample.output_text}}"}.')
    return InvalidDocument("\n".join(lines))


def _without_duplicates(pairs: list[tuple[str, Any]], what: str) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InvalidDocument(f"{what}: the key '{twice}' is used twice in one object.")
    return mapping


def _refuse_number(name: str, what: str) -> NoReturn:
    raise InvalidDocument(f"{what}: {name} is not a JSON number.")


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
        return str(value) if as_text else json.loads(value)
    return json.dumps(value) if as_text and isinstance(value, bool) else value


class _Yaml:
    """Converts one YAML document from its nodes, which still have their source text."""

    def __init__(self, text: str, what: str, text_fields: Collection[str]) -> None:
        self.text, self.what, self.text_fields = text, what, text_fields
        self.nodes = 0
        self.null_like = ""

    def load(self) -> Any:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        yaml = YAML(typ="safe", pure=True)
        try:
            root = yaml.compose(self.text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.fail(error.problem or error.context or "not YAML", mark.index if mark else 0)
        except YAMLError as error:
            self.fail(str(error).splitlines()[0], getattr(error, "position", 0))
        except RecursionError:
            self.fail(f"it nests more than {MAX_DEPTH} levels deep", 0)
        return None if root is None else self.value(root, as_text=False, depth=0)

    def value(self, node: Any, *, as_text: bool, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.fail(f"it has more than {MAX_NODES} values, repeated aliases included", 0)
        if depth > MAX_DEPTH:
            self.fail(f"it nests more than {MAX_DEPTH} levels deep", node.start_mark.index)
        if node.id == "sequence":
            return [self.value(part, as_text=as_text, depth=depth + 1) for part in node.value]
        if node.id == "mapping":
            return self.mapping(node, depth)
        return self.scalar(node, as_text=as_text)

    def mapping(self, node: Any, depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            at = key_node.start_mark.index
            if key_node.id != "scalar":
                self.fail("a key must be a word", at)
            key = str(key_node.value)
            if key in mapping:
                self.fail(f"the key '{key}' is used twice in one mapping", at)
            mapping[key] = self.value(value_node, as_text=key in self.text_fields, depth=depth + 1)
        return mapping

    def scalar(self, node: Any, *, as_text: bool) -> Any:
        text, at = str(node.value), node.start_mark.index
        tag = str(node.tag).removeprefix(_TAG)
        if tag not in ("str", "int", "float", "bool", "null", "timestamp"):
            self.fail(f"the tag {node.tag} has no meaning in JSON", at)
        if node.style is None and text in ("None", "undefined"):  # of Python and JavaScript
            self.null_like = text
        if node.style is not None or tag == "str":
            return text
        if _NULL.fullmatch(text):
            return None
        if as_text:
            return text
        if boolean := _BOOLEAN.fullmatch(text):
            return bool(boolean[1])
        if integer := _INTEGER.fullmatch(text):
            return _integer(integer)
        if _DECIMAL.fullmatch(text):
            return float(text.replace("_", ""))
        if _NOT_FINITE.fullmatch(text):
            self.fail(f"{text} is not a JSON number", at)
        return text

    def fail(self, reason: str, at: int) -> NoReturn:
        meaning = next(
            (
                found.expand(own)
                for theirs, own in _YAML_FAULTS
                if (found := re.search(theirs, reason))
            ),
            reason,
        )
        raise _invalid(self.what, meaning, Span(self.text, min(at, len(self.text)), at + 1))


def _integer(match: re.Match[str]) -> int | str:
    for digits, base in zip(match.groups()[1:], _BASES, strict=True):
        if digits:
            value = int(digits.replace("_", "") or "0", base) * (-1 if match[1] == "-" else 1)
            return value if -(2**63) <= value < 2**64 else match[0]
    return match[0]
