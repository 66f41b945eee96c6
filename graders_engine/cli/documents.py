"""What people type: JSON or YAML 1.2 text to JSON values.

The rules are the official command line's (goccy/go-yaml): `yes` and `2024-01-01` are text, `0777` is
octal, an integer beyond 64 bits is text, a key must not stand twice, there is no infinity. One is ours: a
scalar for a field that holds text keeps its source text, so `reference: 1.50` is "1.50".
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any, NoReturn

from graders_engine.errors import InvalidRequest
from graders_engine.language.span import Span

MAX_NODES = 200_000
"""Values in one YAML document, aliases counted each time; ends what would otherwise grow without end."""
MAX_DEPTH = 100
"""Levels of nesting in one document."""

_TAG = "tag:yaml.org,2002:"
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INTEGER = re.compile(r"([-+]?)(?:0x([0-9a-fA-F_]+)|0b([01_]+)|0o?([0-7_]+)|(0|[1-9][0-9_]*))")
_BASES = (16, 2, 8, 10)
_DECIMAL = re.compile(r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class InvalidDocument(InvalidRequest):
    """Raised when a text is neither JSON nor YAML that stands for JSON values."""


class _Number(str):
    """A JSON number that still has its source text."""

    __slots__ = ()


def load(text: str, what: str, text_fields: Collection[str] = ()) -> Any:
    """Read a document.

    Args:
        text: JSON or YAML.
        what: where it comes from, for messages: "--grader".
        text_fields: keys whose scalars are kept as text.

    Raises:
        InvalidDocument: with the line and a caret.
    """
    if text.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(
                text,
                parse_int=_Number,
                parse_float=_Number,
                parse_constant=lambda name: _refuse_number(name, what),
                object_pairs_hook=lambda pairs: _without_duplicates(pairs, what),
            )
            return _typed(value, text_fields, keep=False)
        except (ValueError, RecursionError):
            pass  # most YAML flow mappings are no JSON; what is neither gets YAML's message
    return _Yaml(text, what, text_fields).load()


def _without_duplicates(pairs: list[tuple[str, Any]], what: str) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InvalidDocument(f"{what}: the key '{twice}' stands twice in one object.")
    return mapping


def _refuse_number(name: str, what: str) -> NoReturn:
    raise InvalidDocument(f"{what}: {name} is not a number that JSON knows.")


def _typed(value: Any, text_fields: Collection[str], *, keep: bool) -> Any:
    """JSON values with each number made one, or left as its source text where `keep` says so."""
    if isinstance(value, dict):
        return {
            key: _typed(part, text_fields, keep=key in text_fields) for key, part in value.items()
        }
    if isinstance(value, list):
        return [_typed(part, text_fields, keep=keep) for part in value]
    if isinstance(value, _Number):
        return str(value) if keep else json.loads(value)
    return json.dumps(value) if keep and isinstance(value, bool) else value


class _Yaml:
    """Reads one YAML document by way of its nodes, which still have their source text."""

    def __init__(self, text: str, what: str, text_fields: Collection[str]) -> None:
        self.text, self.what, self.text_fields = text, what, text_fields
        self.nodes = 0

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
        return None if root is None else self.value(root, keep=False, depth=0)

    def value(self, node: Any, *, keep: bool, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.fail(f"it has more than {MAX_NODES} values, repeated aliases included", 0)
        if depth > MAX_DEPTH:
            self.fail(f"it nests more than {MAX_DEPTH} levels deep", node.start_mark.index)
        if node.id == "sequence":
            return [self.value(part, keep=keep, depth=depth + 1) for part in node.value]
        if node.id == "mapping":
            return self.mapping(node, depth)
        return self.scalar(node, keep=keep)

    def mapping(self, node: Any, depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            at = key_node.start_mark.index
            if key_node.id != "scalar":
                self.fail("a key must be a word", at)
            key = str(key_node.value)
            if key in mapping:
                self.fail(f"the key '{key}' stands twice in one mapping", at)
            mapping[key] = self.value(value_node, keep=key in self.text_fields, depth=depth + 1)
        return mapping

    def scalar(self, node: Any, *, keep: bool) -> Any:
        text, at = str(node.value), node.start_mark.index
        tag = str(node.tag).removeprefix(_TAG)
        if tag not in ("str", "int", "float", "bool", "null", "timestamp"):
            self.fail(f"the tag {node.tag} has no meaning in JSON", at)
        if node.style is not None or tag == "str":
            return text
        if _NULL.fullmatch(text):
            return None
        if keep:
            return text
        if boolean := _BOOLEAN.fullmatch(text):
            return bool(boolean[1])
        if integer := _INTEGER.fullmatch(text):
            return _integer(integer)
        if _DECIMAL.fullmatch(text):
            return float(text.replace("_", ""))
        if _NOT_FINITE.fullmatch(text):
            self.fail(f"{text} is not a number that JSON knows", at)
        return text

    def fail(self, reason: str, at: int) -> NoReturn:
        span = Span(self.text, min(at, len(self.text)), at + 1)
        lines = [f"{self.what}: {reason} (line {span.line}, column {span.column}).", span.caret()]
        if "{{" in self.text:
            lines.append(
                'A template must stand in quotes, as in {input: "{{sample.output_text}}"}.'
            )
        raise InvalidDocument("\n".join(lines))


def _integer(match: re.Match[str]) -> int | str:
    for digits, base in zip(match.groups()[1:], _BASES, strict=True):
        if digits:
            value = int(digits.replace("_", "") or "0", base) * (-1 if match[1] == "-" else 1)
            return value if -(2**63) <= value < 2**64 else match[0]
    return match[0]
