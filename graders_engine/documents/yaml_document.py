"""YAML 1.2 with JSON values only, from its nodes; the rules are those of `load`."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Any, NoReturn

from graders_engine.documents.invalid_document import invalid
from graders_engine.language.json_fault import TYPOGRAPHIC
from graders_engine.language.span import Span

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
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_HALF = re.compile("[\ud800-\udfff]")
_COMMENT = re.compile(r"(?://|/\*)\s")
_COMMENT_BEFORE = re.compile(r"[\s,{\[]//\s")
_LAST_COMMENT = re.compile(r"\s//.*")
_FOLDED = "line breaks in a text become blanks here, by YAML's rules"
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class YamlDocument:
    """Converts one YAML document from its nodes, which still have their source text.

    Attributes:
        notes: what is read in a way that may surprise.
    """

    def __init__(self, text: str, what: str, text_fields: Collection[str]) -> None:
        self.text, self.what, self.text_fields = text, what, text_fields
        self.nodes = 0
        self.notes: dict[str, None] = {}

    def load(self) -> Any:
        """The document's JSON values.

        Raises:
            InvalidDocument: with the line and a caret.
        """
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
        return None if root is None else self.value(root, as_text=False, depth=0, flow=False)

    def value(self, node: Any, *, as_text: bool, depth: int, flow: bool) -> Any:
        """The value of a node.

        Args:
            node: of ruamel.yaml.
            as_text: whether its scalars stay text.
            depth: how many nodes it is in.
            flow: whether it is within braces or brackets.
        """
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.fail(f"it has more than {MAX_NODES} values, repeated aliases included", 0)
        if depth > MAX_DEPTH:
            self.fail(f"it nests more than {MAX_DEPTH} levels deep", node.start_mark.index)
        if node.id == "scalar":
            return self.scalar(node, as_text=as_text, flow=flow)
        flow = flow or bool(node.flow_style)
        if node.id == "mapping":
            return self.mapping(node, depth, flow=flow)
        return [
            self.value(part, as_text=as_text, depth=depth + 1, flow=flow) for part in node.value
        ]

    def mapping(self, node: Any, depth: int, *, flow: bool) -> dict[str, Any]:
        """The values of a mapping by key."""
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            at = key_node.start_mark.index
            if key_node.id != "scalar":
                self.fail("a key must be a word", at)
            key = self.text_of(key_node, flow=flow)
            if key in mapping:
                self.fail(f"the key '{key}' is used twice in one mapping", at)
            if node.flow_style and self.lacks_colon(key_node, value_node):
                quote = (
                    "a colon is missing after this key, or a text with a comma must be in quotes"
                )
                self.fail("write `null` after this colon" if key.endswith(":") else quote, at)
            mapping[key] = self.value(
                value_node, as_text=key in self.text_fields, depth=depth + 1, flow=flow
            )
        return mapping

    def lacks_colon(self, key: Any, value: Any) -> bool:
        """Whether a key within braces stands there alone, which YAML reads as a key with null."""
        if value.id != "scalar" or value.style is not None or value.value:
            return False
        return not self.text[key.end_mark.index :].lstrip().startswith(":")

    def text_of(self, node: Any, *, flow: bool) -> str:
        """The text of a scalar, if YAML means by it what those who typed it did."""
        text, at, end = str(node.value), node.start_mark.index, node.end_mark.index
        bare = node.style is None
        if node.style == '"':
            text = _PAIR.sub(
                lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text
            )
            if _HALF.search(text):
                self.fail("half of a pair of surrogates stands in this text", at)
        if flow and bare and _COMMENT.match(self.text, at):
            self.fail("YAML's comments begin with `#`", at)
        if flow and bare and text[:1] and text[0] in TYPOGRAPHIC:
            self.fail(f'`{text[0]}` is a typographic quote: a text stands in `"`', at)
        if node.style not in ("|", ">") and "\n" in self.text[at:end].rstrip():
            if flow:
                self.fail(f"{_FOLDED}: write `\\n` in double quotes to keep one", at)
            line = self.text.count("\n", 0, at) + 1
            self.notes[f"{_FOLDED} (line {line}); after `|` they are kept."] = None
        elif bare and (comment := _LAST_COMMENT.search(text)) and self.ends_line(end):
            if flow:
                self.fail("YAML's comments begin with `#`", at + comment.start() + 1)
            line = self.text.count("\n", 0, at) + 1
            part = f"`{comment[0].strip()}` is part of the text (line {line})"
            self.notes[f"{part}: YAML's comments begin with `#`."] = None
        return text

    def ends_line(self, at: int) -> bool:
        """Whether nothing but a comma stands between here and the end of the line."""
        return self.text[at:].lstrip(" \t,")[:1] in ("", "\n", "\r")

    def scalar(self, node: Any, *, as_text: bool, flow: bool) -> Any:
        """The value of a node without parts."""
        text, at = self.text_of(node, flow=flow), node.start_mark.index
        tag = str(node.tag).removeprefix(_TAG)
        if tag not in ("str", "int", "float", "bool", "null", "timestamp"):
            self.fail(f"the tag {node.tag} has no meaning in JSON", at)
        if flow and node.style is None and text in ("None", "undefined", "NaN"):
            self.notes[f'`{text}` is read as the text "{text}"; null is written `null`.'] = None
        if node.style is not None or tag == "str":
            return text
        if _NULL.fullmatch(text):
            return None
        if as_text:
            return text
        return self.plain(text, at)

    def plain(self, text: str, at: int) -> Any:
        """The value of a scalar without quotes that is not null."""
        if boolean := _BOOLEAN.fullmatch(text):
            return bool(boolean[1])
        if integer := _INTEGER.fullmatch(text):
            return _integer(integer)
        if _DECIMAL.fullmatch(text):
            number = float(text.replace("_", ""))
            if math.isinf(number):
                self.fail(f"{text} is beyond the range of a double", at)
            return number
        if _NOT_FINITE.fullmatch(text):
            self.fail(f"{text} is not a JSON number", at)
        return text

    def fail(self, reason: str, at: int) -> NoReturn:
        """Raise InvalidDocument for what stands at a place."""
        meaning = next(
            (
                found.expand(own)
                for theirs, own in _YAML_FAULTS
                if (found := re.search(theirs, reason))
            ),
            reason,
        )
        if _COMMENT_BEFORE.search(self.text, 0, at):
            meaning += "; YAML's comments begin with `#`"
        raise invalid(self.what, meaning, Span(self.text, min(at, len(self.text)), at + 1))


def _integer(match: re.Match[str]) -> int | str:
    for digits, base in zip(match.groups()[1:], _BASES, strict=True):
        if digits:
            value = int(digits.replace("_", "") or "0", base) * (-1 if match[1] == "-" else 1)
            return value if -(2**63) <= value < 2**64 else match[0]
    return match[0]
