"""What is known of a python source that was not run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Keys = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Read:
    """A place where a source reads a key of its sample or item.

    Attributes:
        path: the keys, from the outermost.
        line: the line of the source, from 1.
        needed: whether the source raises if the key is not there.
    """

    path: tuple[str, ...]
    line: int
    needed: bool


@dataclass(frozen=True, slots=True)
class Import:
    """A module that a source imports.

    Attributes:
        module: its dotted name.
        line: the line of the source, from 1.
        optional: whether the source also does without it.
    """

    module: str
    line: int
    optional: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """A file, or a program, that a source names with what it starts with.

    Attributes:
        name: the path, or the program.
        line: the line of the source, from 1.
        kind: "absolute" for a path from the root, "relative" for one that is only read, "program".
    """

    name: str
    line: int
    kind: str


@dataclass(frozen=True, slots=True)
class Chance:
    """A call whose value is not the same each time.

    Attributes:
        source: what is called, by its dotted name.
        line: the line of the source, from 1.
        decides: whether the reward depends on it.
    """

    source: str
    line: int
    decides: bool


@dataclass(frozen=True, slots=True)
class PythonReads:
    """What a source reads, imports and calls.

    Attributes:
        known: whether its `grade` could be followed; if not, it may read anything.
        item: its reads of the item.
        sample: its reads of the sample.
        whole_sample: whether it uses the sample in a way that names no key.
        reads_sample: whether it uses its first argument at all.
        imports: what it imports, wherever that stands.
        opened: files that it names.
        chance: calls that give another value each time.
        seeded: the modules of chance that it gives a seed.
        rewards: the lowest and the highest number that its `grade` returns, if all stand in it.
        highest: the most that its `grade` can return, as far as its numbers say.
    """

    known: bool = False
    item: tuple[Read, ...] = ()
    sample: tuple[Read, ...] = ()
    whole_sample: bool = True
    reads_sample: bool = True
    imports: tuple[Import, ...] = ()
    opened: tuple[Opened, ...] = ()
    chance: tuple[Chance, ...] = ()
    seeded: tuple[str, ...] = ()
    rewards: tuple[float, float] | None = None
    highest: float | None = None

    @property
    def item_needs(self) -> Keys:
        """Keys of the item without which it raises, with their lines."""
        return _first_keys(read for read in self.item if read.needed)

    @property
    def item_may(self) -> Keys:
        """Keys of the item that may be missing, with their lines."""
        return _first_keys(read for read in self.item if not read.needed)

    @property
    def sample_keys(self) -> tuple[str, ...]:
        """Keys of the sample that it names."""
        return tuple(dict.fromkeys(read.path[0] for read in self.sample))

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return dataclasses.asdict(self)


def _first_keys(reads: Any) -> Keys:
    return tuple(dict.fromkeys((read.path[0], read.line) for read in reads if len(read.path) == 1))


def from_json(fields: Mapping[str, Any]) -> PythonReads:
    """What `to_json` gave."""

    def reads(name: str) -> tuple[Read, ...]:
        return tuple(Read(tuple(r["path"]), r["line"], r["needed"]) for r in fields[name])

    return PythonReads(
        fields["known"],
        reads("item"),
        reads("sample"),
        fields["whole_sample"],
        fields["reads_sample"],
        tuple(Import(**found) for found in fields["imports"]),
        tuple(Opened(**found) for found in fields["opened"]),
        tuple(Chance(**found) for found in fields["chance"]),
        tuple(fields["seeded"]),
        (fields["rewards"][0], fields["rewards"][1]) if fields["rewards"] else None,
        fields["highest"],
    )
