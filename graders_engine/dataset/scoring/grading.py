"""Rows in, result lines out: what every way of scoring a data set has in common."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.line import ResultLine, encoded, result_line
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.rows.shapes import Shape
from graders_engine.dataset.scoring.shards import Shard

Place = tuple[int, int, str | None, Any]
"""Line, place among the line's samples, their group, and the row to grade; see `shapes.Piece`."""


class Job(msgspec.Struct, frozen=True):
    """What a worker must know before its first shard.

    Attributes:
        grader: the grader's JSON values.
        settings: those of the worker's `Engine`.
        shape: how to take a raw row apart.
    """

    grader: dict[str, Any]
    settings: Mapping[str, Any]
    shape: Shape


class Scored(msgspec.Struct, frozen=True):
    """What became of a shard.

    Attributes:
        results: its result lines, encoded.
        tally: their numbers.
        digest: `Shard.digest` of what was read.
    """

    results: bytes
    tally: Tally
    digest: str


def places_of(shard: Shard, shape: Shape) -> Iterator[Place]:
    """The rows to grade in a shard."""
    if shape.plain:
        for line, row in shard.read():
            yield line, 0, None, row
        return
    for line, raw in shard.read():
        for sample, group, row in shape.pieces(raw, line):
            yield line, sample, group, row


def graded(
    engine: Engine, compiled: CompiledGrader, places: Iterable[Place]
) -> Iterator[ResultLine]:
    """Grade rows, in their order."""
    begun: deque[Place] = deque()

    def rows() -> Iterator[Any]:
        for place in places:
            begun.append(place)
            yield place[3]

    for row in engine.score(compiled, rows()):
        line, sample, group, _ = begun.popleft()
        yield result_line(line, row, sample, group)


def score_shard(engine: Engine, compiled: CompiledGrader, shape: Shape, shard: Shard) -> Scored:
    """Grade a whole shard."""
    return scored_as(list(graded(engine, compiled, places_of(shard, shape))), shard)


def scored_as(results: Sequence[ResultLine], shard: Shard) -> Scored:
    """What became of a shard, from its results."""
    tally = Tally()
    for result in results:
        tally.add(result)
    return Scored(encoded(results), tally, shard.digest())
