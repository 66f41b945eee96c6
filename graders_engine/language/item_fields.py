"""Fields of the item that a python source uses as they are, seen in its syntax tree.

They are for one question: if the value were a text, as in a CSV, would the code compare it with something
that no text equals, without anybody noticing? What cannot be seen is left out: a caution that is wrong is
worse than one that is missing. Not seen are

- a key that is computed or a parameter, and the loop over `item.items()`;
- the item as an argument of another function, unless it is called `item` there, too;
- what a function, of the source or of a library, does with a field that it is given; what becomes of one
  in a list or an object, or with `match`;
- a use as it is, where the same field is converted or used as a text anywhere else.

Names are followed as `source_kinds` follows them.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from graders_engine.language.source_kinds import (
    MOST_STEPS,
    Kinds,
    bindings_of,
    called,
    either,
    same,
)

_READERS = ("get", "pop", "setdefault", "__getitem__")
_AS_IT_IS = frozenset(
    {"abs", "all", "any", "bool", "enumerate", "filter", "frozenset", "isclose", "list", "map", "max", "min",
     "reversed", "round", "set", "sorted", "sum", "tuple", "zip"}
)  # fmt: skip
"""Functions that take a text, or fail, where they are meant to get something else."""
_TAKE_ANY = frozenset({"ascii", "len", "print", "repr", "str", "type"})
"""Functions that take anything, and say nothing of what is meant."""
_OF_LISTS = frozenset({"count", "index"})
"""Methods of texts that lists have as well."""


class ItemFields(NamedTuple):
    """Fields of the item.

    Attributes:
        as_they_are: those that are used as they are, and nowhere as a text.
        as_numbers: of these, those that are compared with what is plainly a number.
    """

    as_they_are: list[str]
    as_numbers: list[str]


def item_fields(nodes: Sequence[ast.AST], named: Iterable[tuple[ast.expr, str]]) -> ItemFields:
    """What a source uses as it is of the item; nothing of one that nests too deep to be followed.

    Args:
        nodes: all of the source.
        named: its `named_fields`.
    """
    reads = [(node, key) for node, key in named if not isinstance(node, ast.Compare)]
    try:
        return _Uses(nodes, reads).found() if reads else ItemFields([], [])
    except RecursionError:
        return ItemFields([], [])


def named_fields(tree: ast.Module, nodes: Sequence[ast.AST]) -> Iterator[tuple[ast.expr, str]]:
    """Where a field of the item is named: read, or asked for.

    Args:
        tree: of the source.
        nodes: all of it.
    """
    names, constants = _names_of_item(tree, nodes), _constants(nodes)
    for node in nodes:
        key: ast.expr | None = None
        holder: ast.expr | None = None
        if isinstance(node, ast.Subscript):
            holder, key = node.value, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            holder, key = node.func.value, node.args[0] if node.func.attr in _READERS else None
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            holder, key = node.comparators[0], node.left
        if isinstance(node, ast.expr) and key is not None and _is_item(holder, names):
            yield from ((node, text) for text in _texts(key, constants))


def _texts(key: ast.expr, constants: dict[str, set[str]]) -> Iterable[str]:
    if isinstance(key, ast.Name):
        return sorted(constants.get(key.id, ()))
    return [key.value] if isinstance(key, ast.Constant) and isinstance(key.value, str) else []


def _constants(nodes: Sequence[ast.AST]) -> dict[str, set[str]]:
    """Names that are nothing but one of these texts."""
    found: dict[str, set[str]] = defaultdict(set)
    others: set[str] = set()
    for node in nodes:
        others |= {node.arg} if isinstance(node, ast.arg) else set()
        for name, value, looped in bindings_of(node):
            listed = isinstance(value, (ast.List, ast.Tuple, ast.Set))
            parts = value.elts if looped and listed else [] if looped else [value]  # type: ignore[attr-defined] # if listed
            texts = [text for part in parts for text in _texts(part, {})]
            found[name].update(texts)
            others |= set() if texts and len(texts) == len(parts) else {name}
    return {name: texts for name, texts in found.items() if name not in others}


def _is_item(node: ast.expr | None, names: set[str]) -> bool:
    """Whether an expression is the item: its name, or `(item or {})`, `dict(item)`."""
    if isinstance(node, ast.BoolOp):
        return _is_item(node.values[0], names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return len(node.args) == 1 and _is_item(node.args[0], names)
    return isinstance(node, ast.Name) and node.id in names


def _names_of_item(tree: ast.Module, nodes: Sequence[ast.AST]) -> set[str]:
    """`item`, the second parameter of `grade`, and the names that they are assigned to."""
    names = {"item"}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "grade":
            parameters = [*node.args.posonlyargs, *node.args.args]
            names = {parameters[1].arg} if len(parameters) > 1 else names
    for part in nodes:
        names |= {one.name for one in bindings_of(part) if _is_item(one.value, names)}
    return names


def _passed_on(node: ast.AST) -> list[ast.expr]:
    """The expressions in a node of which nothing is seen from here on."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return node.elts
    if isinstance(node, ast.Dict):
        return node.values
    if isinstance(node, ast.Match):
        return [node.subject]
    return [node.value] if isinstance(node, ast.FormattedValue) else []


class _Uses:
    """How the fields are used.

    Args:
        nodes: of the source.
        reads: where it reads a field by name.
    """

    def __init__(self, nodes: Sequence[ast.AST], reads: Iterable[tuple[ast.expr, str]]) -> None:
        self._nodes = [node for node in nodes if isinstance(node, (ast.expr, ast.Match))]
        self._kinds = Kinds(nodes)
        self._reads: dict[int, dict[str, None]] = defaultdict(dict)
        for node, key in reads:
            self._reads[id(node)][key] = None
        self._texts: set[str] = set()
        self._numbers: set[str] = set()
        self._mentioned: set[int] = set()
        self._names: dict[str, dict[str, None]] = defaultdict(dict)
        for _ in range(MOST_STEPS):
            for name, value, looped in self._kinds.bindings:
                if not looped:
                    self._names[name] |= self._fields(value)

    def found(self) -> ItemFields:
        """The fields that are used as they are."""
        for one in self._kinds.bindings:
            if not one.looped:
                self._mention(one.value)
        for node in self._nodes:
            self._look(node)
        used: dict[str, None] = {}
        for node in self._nodes:
            if isinstance(node, ast.expr) and id(node) not in self._mentioned:
                used |= self._of_leaf(node)
        fields = [key for key in used if key not in self._texts]
        return ItemFields(fields, [key for key in fields if key in self._numbers])

    def _of_leaf(self, node: ast.expr) -> dict[str, None]:
        """The fields that an expression is, if it reads one, or is the name of one."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id, {}) if isinstance(node.ctx, ast.Load) else {}
        return self._reads.get(id(node), {})

    def _leaves(self, node: ast.expr) -> Iterator[ast.expr]:
        if self._of_leaf(node):
            yield node
        for part in same(node):
            yield from self._leaves(part)

    def _fields(self, node: ast.expr) -> dict[str, None]:
        return {key: None for leaf in self._leaves(node) for key in self._of_leaf(leaf)}

    def _text(self, *nodes: ast.expr) -> None:
        """These are used as texts."""
        self._texts |= {key for node in nodes for key in self._fields(node)}

    def _mention(self, *nodes: ast.expr) -> None:
        """These are used in a way that says nothing."""
        self._mentioned |= {id(leaf) for node in nodes for leaf in self._leaves(node)}

    def _look(self, node: ast.AST) -> None:
        self._mention(*_passed_on(node))
        if isinstance(node, ast.Attribute):
            if hasattr(str, node.attr) and node.attr not in _OF_LISTS:
                self._text(node.value)
        elif isinstance(node, ast.Call):
            self._look_at_call(node)
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
                self._look_at_two(left, operator, right)
        elif isinstance(node, ast.Subscript):
            self._text(node.slice)
        elif isinstance(node, (ast.BinOp, ast.BoolOp, ast.IfExp)):
            parts = either(node)
            # In a condition, `or` joins what is not alike; `or ""` says what the other one is.
            telling = isinstance(parts[-1], ast.Constant) or not isinstance(node, ast.BoolOp)
            if telling and self._kinds.is_text(node):
                self._text(*parts)

    def _look_at_call(self, node: ast.Call) -> None:
        given = [*node.args, *(word.value for word in node.keywords)]
        if called(node) in _TAKE_ANY:
            self._mention(*given)
        elif called(node) not in _AS_IT_IS:
            self._text(*given)
        if id(node) in self._reads and any(map(self._kinds.is_text, node.args[1:])):
            self._text(node)  # `item.get("a", "")`

    def _look_at_two(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> None:
        text, number = self._kinds.is_text, self._kinds.is_number
        listed = isinstance(right, (ast.List, ast.Tuple, ast.Set))
        if isinstance(operator, (ast.Is, ast.IsNot)):
            self._mention(left, right)
        elif isinstance(operator, (ast.In, ast.NotIn)):
            if number(right):
                self._numbers |= self._fields(left).keys()
            elif not listed or any(map(text, right.elts)):  # type: ignore[attr-defined] # if listed
                self._text(left)  # it is looked for in a text, or among texts
        elif self._fields(left) and self._fields(right):
            self._mention(left, right)
        else:
            for one, other in ((left, right), (right, left)):
                if text(other):
                    self._text(one)
                elif number(other):
                    self._numbers |= self._fields(one).keys()
