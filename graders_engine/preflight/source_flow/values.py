"""What an expression of a source may be, as far as it can be said without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import NamedTuple

_MOST = 24
"""Most paths, or texts, that an expression is followed for; of more, nothing is known."""
_DEEPEST = 12
"""Longest path that is followed."""


class Ref(NamedTuple):
    """A place in the sample or the item.

    Attributes:
        root: "sample" or "item".
        path: the keys to it.
        optional: whether a key on the way may be missing.
    """

    root: str
    path: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression may be.

    Attributes:
        refs: the places in the sample and the item that it may be.
        alone: whether it is one of `refs` for sure.
        derived: of which roots' fields it is made.
        chance: the calls, by their number, that make it another value each time.
        texts: the texts that it may be, where all are known.
        starts: the texts that it may start with.
        elements: its elements, if it is a list or tuple that is written out.
        module: its dotted name, if it is a module or in one.
        function: its definition, if it is a function of the source.
    """

    refs: frozenset[Ref] = frozenset()
    alone: bool = False
    derived: frozenset[str] = frozenset()
    chance: frozenset[int] = frozenset()
    texts: frozenset[str] = frozenset()
    starts: frozenset[str] = frozenset()
    elements: tuple[Value, ...] = ()
    module: str = ""
    function: Function | None = None

    @property
    def roots(self) -> frozenset[str]:
        """Of which roots' fields it is, or is made."""
        return self.derived | {ref.root for ref in self.refs if ref.path}

    def step(self, key: str, *, optional: bool) -> Value:
        """What stands under a key."""
        refs = frozenset(
            Ref(ref.root, (*ref.path, key), ref.optional or optional)
            for ref in self.refs
            if len(ref.path) < _DEEPEST
        )
        return Value(refs, self.alone, self.derived, self.chance)


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of the source, with the names around it."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    around: Env = field(repr=False)
    method: bool = False


class Env:
    """The names of a function, and those around it."""

    __slots__ = ("names", "outer")

    def __init__(self, outer: Env | None, names: dict[str, Value] | None = None) -> None:
        self.outer, self.names = outer, {} if names is None else names

    def find(self, name: str) -> Value | None:
        """The value of a name; None if the source does not define it."""
        env: Env | None = self
        while env is not None:
            if name in env.names:
                return env.names[name]
            env = env.outer
        return None

    def copy(self) -> Env:
        """The same names, for one of several ways."""
        return Env(self.outer, dict(self.names))


UNKNOWN = Value()


def made_of(*parts: Value) -> Value:
    """What is computed from these."""
    return Value(
        derived=frozenset().union(*(part.roots for part in parts)),
        chance=frozenset().union(*(part.chance for part in parts)),
    )


def either(values: Iterable[Value]) -> Value:
    """What is one of these."""
    return reduce(_or, values) if (values := tuple(values)) else UNKNOWN


def _or(one: Value, other: Value) -> Value:
    if one == other:
        return one
    refs, texts = one.refs | other.refs, one.texts | other.texts
    known = bool(one.texts and other.texts)
    return Value(
        refs if len(refs) <= _MOST else frozenset(),
        # What is a constant otherwise, as in `item or {}`, is no other place.
        alone=one.alone and other.alone and len(refs) == 1,
        derived=one.derived | other.derived,
        chance=one.chance | other.chance,
        texts=texts if known and len(texts) <= _MOST else frozenset(),
        starts=one.starts | other.starts
        if len(one.starts | other.starts) <= _MOST
        else frozenset(),
        module=one.module if one.module == other.module else "",
        function=one.function or other.function,
    )


def with_chance(value: Value, chance: frozenset[int]) -> Value:
    """The value, which also depends on these calls."""
    return value if chance <= value.chance else replace(value, chance=value.chance | chance)
