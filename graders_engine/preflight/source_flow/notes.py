"""What is noted while a source is followed."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from graders_engine.preflight.source_flow import sources
from graders_engine.preflight.source_flow.facts import Chance, Opened, Read
from graders_engine.preflight.source_flow.values import Ref, Value

MOST_STEPS = 40_000
"""Most expressions that are looked at; a longer source may read anything."""


MOST_READS = 1_000
"""Most places in a row that a source is followed to."""


class TooMuch(Exception):
    """Raised if a source takes too long to follow."""


class Notes:
    """What a source reads, opens and leaves to chance.

    Attributes:
        whole: the roots that it uses in a way that names no key.
        conditional: how many conditions on the item's fields hold where the reader is.
        guarded: how many handlers catch a missing key where the reader is.
        control: the calls on whose values it depends whether this place is reached.
        decided: the calls on whose values the reward depends.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.whole: set[str] = set()
        self.conditional = self.guarded = 0
        self.control: frozenset[int] = frozenset()
        self.decided: frozenset[int] = frozenset()
        self._reads: dict[tuple[str, tuple[str, ...]], dict[int, bool]] = {}
        self._handled: set[tuple[str, tuple[str, ...]]] = set()
        self._calls: dict[tuple[str, int], int] = {}
        self._seeded: set[str] = set()
        self._opened: dict[Opened, None] = {}
        self._makes_files = False

    def step(self) -> None:
        """Count an expression.

        Raises:
            TooMuch: there were too many.
        """
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise TooMuch

    def used(self, *values: Value) -> None:
        """The source uses these as a whole."""
        for value in values:
            self.whole |= {ref.root for ref in value.refs if not ref.path}
            self.used(*value.elements)

    def read(self, holder: Value, key: str, line: int, *, needed: bool) -> None:
        """The source reads a key."""
        sure = needed and holder.alone and not (self.conditional or self.guarded)
        if len(self._reads) > MOST_READS:
            raise TooMuch
        for ref in holder.refs:
            lines = self._reads.setdefault((ref.root, (*ref.path, key)), {})
            lines[line] = lines.get(line, False) or (sure and not ref.optional)

    def handled(self, holder: Value, key: str) -> None:
        """The source asks whether a key is there, or sets it."""
        self._handled |= {(ref.root, (*ref.path, key)) for ref in holder.refs}

    def call(self, name: str, line: int) -> frozenset[int]:
        """The source calls what gives another value each time."""
        return frozenset({self._calls.setdefault((name, line), len(self._calls))})

    def seed(self, family: str) -> None:
        """The source fixes the values of a family of calls."""
        self._seeded.add(family)

    def seeded(self) -> tuple[str, ...]:
        """The families that are given a seed."""
        return tuple(sorted(self._seeded))

    def open(self, names: Iterable[str], line: int, kind: str) -> None:
        """The source names a file or program."""
        self._opened |= dict.fromkeys(Opened(name, line, kind) for name in names)

    def makes_files(self) -> None:
        """The source makes files, or starts what may make some."""
        self._makes_files = True

    def choosing(self, test: ast.expr, calls: frozenset[int]) -> frozenset[int]:
        """Those of the calls that decide in a condition.

        A clock there only ends what takes long, but for a part of the time, such as a remainder.
        """
        if any(map(_is_part_of_time, ast.walk(test))):
            return calls
        names = list(self._calls)
        return frozenset(c for c in calls if sources.family(names[c][0]) != sources.CLOCK)

    def without_names(self, calls: frozenset[int]) -> frozenset[int]:
        """Those of the calls that give more than names and marks."""
        names = list(self._calls)
        return frozenset(call for call in calls if not sources.gives_names(names[call][0]))

    def reads_of(self, root: str) -> tuple[Read, ...]:
        """The reads of a root, in the order of their lines."""
        found = [
            Read(path, line, needed and (of, path) not in self._handled)
            for (of, path), lines in self._reads.items()
            if of == root
            for line, needed in lines.items()
        ]
        return tuple(sorted(found, key=lambda read: (read.line, len(read.path))))

    def opened(self) -> tuple[Opened, ...]:
        """The files and programs; relative paths only where the source makes no file."""
        return tuple(
            found for found in self._opened if not (found.kind == "relative" and self._makes_files)
        )

    def chance(self) -> tuple[Chance, ...]:
        """The calls that give another value each time, and are not seeded."""
        return tuple(
            Chance(name, line, number in self.decided)
            for (name, line), number in self._calls.items()
            if sources.family(name) not in self._seeded
        )


def _is_part_of_time(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in sources.PARTS_OF_TIME
    return isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mod, ast.BitAnd))


ROOTS = {root: Value(frozenset({Ref(root)}), alone=True) for root in ("sample", "item")}
"""The arguments of `grade`."""
