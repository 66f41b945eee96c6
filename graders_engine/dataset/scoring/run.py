"""One run over what is left of a data set: grade, write, and tell the index what is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.file import ResultsFile
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.rows.shapes import Shape
from graders_engine.dataset.scoring.grading import Place, Scored, graded, places_of, score_shard
from graders_engine.dataset.scoring.index import Index, batch_of
from graders_engine.dataset.scoring.order import given_up, in_input_order
from graders_engine.dataset.scoring.shards import Shard, Shards
from graders_engine.dataset.scoring.workers import Workers

PROGRESS_ROWS = 16
"""Rows between two tellings, of graders that wait; of the others it is a shard."""


@dataclass(slots=True)
class Run:
    """What a run needs, and where it stands.

    Attributes:
        engine: what grades in this process.
        compiled: its grader.
        shape: how to take a raw row apart.
        shards: the data set, from the first line to score.
        results: where results go.
        index: what is told when the results of a shard are written.
        tally: the numbers so far.
        tell: called now and then with the position in the data set.
    """

    engine: Engine
    compiled: CompiledGrader
    shape: Shape
    shards: Shards
    results: ResultsFile
    index: Index
    tally: Tally
    tell: Callable[[int], None]

    def by_shards(self, start: Callable[[Shape], Workers], patience_s: float) -> None:
        """Grade shard by shard, by workers.

        Args:
            start: makes the workers.
            patience_s: seconds that this process grades alone before any are started.
        """
        shards = self.shards.rest()
        began = monotonic()
        while monotonic() - began < patience_s:
            shard = next(shards, None)
            if shard is None:
                return
            self._keep(shard, score_shard(self.engine, self.compiled, self.shape, shard))
        with start(self.shape) as workers:
            for shard, scored in in_input_order(workers, shards, self._give_up):
                self._keep(shard, scored)

    def _give_up(self, shard: Shard) -> Scored:
        return given_up(shard, self.shape)

    def _keep(self, shard: Shard, scored: Scored) -> None:
        self.results.add_lines(scored.results)
        self.results.flush()
        self.index.add(batch_of(shard, scored.tally.rows, scored.digest))
        self.tally.merge(scored.tally)
        self.tell(shard.end)

    def row_by_row(self) -> None:
        """Grade the rows of all shards in one stream here, so that the engine always has some that wait."""
        begun: deque[Shard] = deque()

        def places() -> Iterator[Place]:
            for shard in self.shards.rest():
                begun.append(shard)
                yield from places_of(shard, self.shape)

        results = 0  # of the oldest shard that was begun
        for result in graded(self.engine, self.compiled, places()):
            while result.line > begun[0].last_line:
                self._close(begun.popleft(), results)
                results = 0
            self.results.add(result)
            results += 1
            self.tally.add(result)
            if self.tally.rows % PROGRESS_ROWS == 0:
                self.tell(_position(begun[0], result.line))
        for shard in begun:
            self._close(shard, results)
            results = 0

    def _close(self, shard: Shard, results: int) -> None:
        self.results.flush()
        self.index.add(batch_of(shard, results))


def _position(shard: Shard, line: int) -> int:
    """About where in the data set a line of the shard ends."""
    return shard.start + (shard.end - shard.start) * (line - shard.first_line + 1) // shard.lines
