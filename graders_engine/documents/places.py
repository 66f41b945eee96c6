"""Where the values of a document stand in its text: for mistakes that name a path and no place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from graders_engine.language.json_fault import meant_as_json
from graders_engine.language.span import Span

_TOKEN = re.compile(r'"(?>(?:[^"\\]|\\.)*)"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_CHARACTER = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|.", re.DOTALL
)
"""One character of a JSON text, as it is written."""


@dataclass(slots=True)
class Node:
    """A value of a document.

    Attributes:
        start: offset of its first character.
        end: offset after the last one.
        text: of a text, what it means; None for other values.
        keys: of an object, the offsets of each key.
        parts: the values inside it, by key or index.
    """

    start: int
    end: int
    text: str | None = None
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    parts: dict[str | int, Node] = field(default_factory=dict)


class Places:
    """Finds the values of a document that could be read.

    Args:
        source: JSON or YAML, without a code fence around it.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._is_json = meant_as_json(source)
        self._root = _json_node(source) if self._is_json else _yaml_node(source)

    def of(self, path: str) -> Span:
        """Where the value at a path such as `graders.name.input[0].content` stands.

        Of a value that is missing, it is the beginning of what should hold it.
        """
        node, rest = self._find(path)
        if node is None:
            return Span(self._source, 0, 0)
        if rest:
            return Span(self._source, node.start, min(node.start + 1, node.end))
        return Span(self._source, node.start, self._line_end(node))

    def key_of(self, path: str) -> Span:
        """Where the key of the value at a path stands; as `of` for what has none."""
        keys, rest = self._find(path, whole=False)
        if keys is None or rest not in keys.keys:
            return self.of(path)
        return Span(self._source, *keys.keys[rest])

    def within(self, path: str, line: int, column: int, length: int = 1) -> Span:
        """Where a part of the text at a path stands.

        Args:
            path: as for `of`.
            line: of the part in the text, from 1.
            column: the same.
            length: in characters of the text.
        """
        node, rest = self._find(path)
        if node is None or rest or node.text is None:
            return self.of(path)
        starts = [0, *(found.end() for found in re.finditer("\n", node.text))]
        at = min(starts[min(line, len(starts)) - 1] + column - 1, len(node.text))
        start, end = (self._offset(node, place) for place in (at, at + length))
        if start is None:
            return self.of(path)
        return Span(self._source, start, max(start, start if end is None else min(end, node.end)))

    def _find(self, path: str, *, whole: bool = True) -> tuple[Node | None, str]:
        """The innermost value on the way to a path, and what of the path is left.

        Args:
            path: as for `of`.
            whole: whether the last step is gone, too.
        """
        node, rest = self._root, path
        while node is not None and rest and (whole or rest not in node.keys):
            for key in sorted(node.parts, key=lambda key: -len(str(key))):
                step = f"[{key}]" if isinstance(key, int) else key
                following = rest[len(step) :]
                if rest.startswith(step) and (not following or following[0] in ".["):
                    node, rest = node.parts[key], following.removeprefix(".")
                    break
            else:
                break
        return node, rest

    def _line_end(self, node: Node) -> int:
        """The end of the value, or of the line that it begins on."""
        end = self._source.find("\n", node.start, node.end)
        return node.end if end < 0 else end

    def _offset(self, node: Node, at: int) -> int | None:
        """The offset of a character of a text; None if it is written in a way that nothing is known of."""
        literal, text = self._source[node.start : node.end], node.text or ""
        if literal[:1] == '"':
            ends = [1, *(1 + found.end() for found in _CHARACTER.finditer(literal[1:-1]))]
            return node.start + ends[min(at, len(ends) - 1)]
        head = text.rfind("\n", 0, at) + 1
        tail = text.find("\n", head)
        line = text[head : len(text) if tail < 0 else tail]
        found = literal.find(line) if line else -1
        return None if found < 0 else node.start + found + at - head


def _json_node(source: str) -> Node | None:
    tokens = _TOKEN.finditer(source)
    try:
        return _json_value(tokens, next(tokens))
    except (
        StopIteration,
        ValueError,
        RecursionError,
    ):  # no JSON, which is a mistake with its own place
        return None


def _json_value(tokens: Iterator[re.Match[str]], first: re.Match[str]) -> Node:
    if first[0] == "{":
        return _json_object(tokens, first.start())
    if first[0] == "[":
        return _json_array(tokens, first.start())
    text = json.loads(first[0]) if first[0][0] == '"' else None
    return Node(first.start(), first.end(), text)


def _json_object(tokens: Iterator[re.Match[str]], start: int) -> Node:
    node = Node(start, start + 1)
    while (token := next(tokens))[0] != "}":
        if token[0] == ",":
            continue
        key = str(json.loads(token[0]))
        node.keys[key] = token.span()
        if next(tokens)[0] != ":":
            raise ValueError
        node.parts[key] = _json_value(tokens, next(tokens))
    node.end = token.end()
    return node


def _json_array(tokens: Iterator[re.Match[str]], start: int) -> Node:
    node = Node(start, start + 1)
    while (token := next(tokens))[0] != "]":
        if token[0] != ",":
            node.parts[len(node.parts)] = _json_value(tokens, token)
    node.end = token.end()
    return node


def _yaml_node(source: str) -> Node | None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        root = YAML(typ="safe", pure=True).compose(source)
        return None if root is None else _converted(root, source)
    except (YAMLError, RecursionError):  # no YAML, which is a mistake with its own place
        return None


def _converted(yaml: Any, source: str) -> Node:
    start = yaml.start_mark.index
    # What ruamel takes for the end of a block stands where the next key begins.
    end = max(start, start + len(source[start : yaml.end_mark.index].rstrip()))
    if yaml.id == "scalar":
        return Node(start, end, str(yaml.value))
    node = Node(start, end)
    if yaml.id == "sequence":
        node.parts = {at: _converted(part, source) for at, part in enumerate(yaml.value)}
        return node
    for key, value in yaml.value:
        node.keys[str(key.value)] = key.start_mark.index, key.end_mark.index
        node.parts[str(key.value)] = _converted(value, source)
    return node
