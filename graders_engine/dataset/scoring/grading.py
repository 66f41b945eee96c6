"""Rows in, result lines out: what all ways of scoring a data set have in common."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.line import ResultLine, encode_results, result_line, row_name
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shapes import Shape
from graders_engine.dataset.rows.shards import Shard
from graders_engine.graders.base import RewardsDiffer


class Job(msgspec.Struct, frozen=True):
    """What a worker must know before its first shard.

    Attributes:
        grader: the grader's JSON values.
        settings: those of the worker's `Engine`.
        shape: how the rows to grade are taken out of a raw row.
    """

    grader: dict[str, Any]
    settings: Mapping[str, Any]
    shape: Shape


def grader_of(job: Job, engine: Engine) -> CompiledGrader:
    """The grader of a job, ready to run; the process that made the job has said what is to be said of it."""
    compiled = engine.compile(job.grader)
    logging.disable(logging.WARNING)
    try:
        compiled.require_runnable()
    finally:
        logging.disable(logging.NOTSET)
    return compiled


class ShardResults(msgspec.Struct, frozen=True):
    """The results of a shard.

    Attributes:
        lines: its result lines, encoded.
        tally: their numbers.
        digest: of the bytes that the rows were read from, as `ShardReader.digest`.
    """

    lines: bytes
    tally: Tally
    digest: str


def rows_to_grade(raw_rows: Iterator[RowRef], shape: Shape) -> Iterator[RowRef]:
    """The rows to grade of some raw rows."""
    if shape.plain:
        return raw_rows
    return (ref for raw in raw_rows for ref in shape.split(raw))


def grade_rows(
    engine: Engine, compiled: CompiledGrader, refs: Iterable[RowRef], in_flight: int | None = None
) -> Iterator[ResultLine]:
    """Grade rows, in their order; with a number of rows in flight, if not the engine's."""
    begun: deque[RowRef] = deque()

    def rows() -> Iterator[Any]:
        for ref in refs:
            begun.append(ref)
            yield ref.row

    try:
        for outcome in engine.score_single(compiled, rows(), in_flight=in_flight):
            yield result_line(begun.popleft(), outcome)
    except RewardsDiffer as error:  # outcomes come in the order of the rows: it is the next one's
        raise error.of(f"Row {row_name(begun[0].line, begun[0].sample)}") from None


def score_shard(
    engine: Engine, compiled: CompiledGrader, shape: Shape, shard: Shard
) -> ShardResults:
    """Grade a whole shard."""
    with shard.open() as reader:
        refs = rows_to_grade(reader.rows(), shape)
        return shard_results(list(grade_rows(engine, compiled, refs)), reader.digest())


def shard_results(results: Sequence[ResultLine], digest: str) -> ShardResults:
    """The results of a shard, encoded and counted."""
    tally = Tally()
    tally.add_all(results)
    return ShardResults(encode_results(results), tally, digest)
