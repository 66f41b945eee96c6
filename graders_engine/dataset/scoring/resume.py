"""A run that goes on where an earlier one stopped: what is done, and that the data is still the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from graders_engine.dataset.results.file import ResultsFile
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.scoring.index import Batch, Index, batch_of
from graders_engine.dataset.scoring.shards import Shards
from graders_engine.errors import DataSetError


def resumed(results: ResultsFile, index: Index, shards: Shards, *, plain: bool) -> Tally:
    """Count what is done, and pass over it in the data set.

    What counts is the results: lines that the index does not know of, because the run ended between the
    two or the index was lost, are taken into it. Batches whose results are not all there are forgotten.

    Args:
        results: the results, ending with a whole line.
        index: which lines they came from.
        shards: the data set; it is left at the first line to score.
        plain: whether a line of the data set has one result at most.

    Raises:
        DataSetError: the data is not what the results came from, or a line of them is not a result.
    """
    batches = index.batches()
    done = _Done(batches)
    last_line = done.read(results, plain=plain)
    covered = counted = 0
    for batch in batches:
        if batch.last_line > last_line or batch.first_line != covered + 1:
            index.forget(batch)
            break
        _pass_over(results, shards, batch)
        covered, counted = batch.last_line, counted + batch.results
    if last_line > covered:
        wanted = Batch(covered + 1, last_line, 0, 0, done.tally.rows - counted, "")
        index.add(_pass_over(results, shards, wanted))
    return done.tally


class _Done:
    """Adds results up batch by batch, as the run did: the sum of floats depends on the order."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.tally = Tally()
        self._part = Tally()
        self._batches = deque(batches)

    def read(self, results: ResultsFile, *, plain: bool) -> int:
        """Add the results up; returns the last line of the data set that is done."""
        held: list[ResultLine] = []  # those of one line
        last_line = start = behind = 0
        for end, result in results.read():
            if held and result.line != held[0].line:
                self._add(held)
                last_line, held, start = held[0].line, [], behind
            held.append(result)
            behind = end
        if held and (plain or self._all_there(held)):
            self._add(held)
            last_line = held[0].line
        elif held:  # more samples of this line may have been to come
            results.cut(start)
        self.tally.merge(self._part)
        return last_line

    def _all_there(self, held: Sequence[ResultLine]) -> bool:
        """Whether a batch ends with this line, and has no more results."""
        self._open(held[0].line)
        batch = self._batches[0] if self._batches else None
        rows = self._part.rows + len(held)
        return batch is not None and (batch.last_line, batch.results) == (held[0].line, rows)

    def _add(self, held: Sequence[ResultLine]) -> None:
        self._open(held[0].line)
        for result in held:
            self._part.add(result)

    def _open(self, line: int) -> None:
        """Go on to the batch with this line."""
        while self._batches and line > self._batches[0].last_line:
            self.tally.merge(self._part)
            self._part = Tally()
            self._batches.popleft()


def _pass_over(results: ResultsFile, shards: Shards, wanted: Batch) -> Batch:
    """Leave the data set behind a batch, and make sure that it is what it was."""
    shard = shards.until(wanted.last_line)
    found = None if shard is None else batch_of(shard, wanted.results)
    if (
        found is None
        or found.last_line != wanted.last_line
        or wanted.digest not in ("", found.digest)
    ):
        raise DataSetError(
            f"{results.path} holds results of another run: other data, up to line "
            f"{wanted.last_line}. Write to another file, or say --overwrite to begin anew."
        )
    return found
