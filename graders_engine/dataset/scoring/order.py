"""Send shards through workers and return them in order, whatever happens to the workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from graders_engine.dataset.results.line import result_line
from graders_engine.dataset.rows.shapes import Shape
from graders_engine.dataset.rows.shards import Shard
from graders_engine.dataset.scoring.grading import ShardResults, rows_to_grade, shard_results
from graders_engine.dataset.scoring.workers import Workers
from graders_engine.outcome import Failure, Flag, RowOutcome, failed

AHEAD = 4
"""Shards started ahead of the oldest unfinished one, as a multiple of the workers' room."""
MAX_LOSSES = 2
"""Workers that a shard may lose before it is split, or given up if it is a single line."""
_LOST = (
    "The process that graded this row died, and so did the one that retried this row alone. "
    "It was the only row in that process, so the row or the grader made it die: out of memory, or a crash "
    "in a library."
)


@dataclass(slots=True, eq=False)
class _Task:
    shard: Shard
    losses: int = 0
    results: ShardResults | None = None


def in_input_order(
    workers: Workers, shards: Iterator[Shard], give_up: Callable[[Shard], ShardResults]
) -> Iterator[tuple[Shard, ShardResults]]:
    """Score shards, and return them in their order.

    A shard whose worker was lost is retried, alone in a worker. A shard that loses a second worker is split
    in halves; in this way the line that kills workers is found, and only that line is given up.

    Args:
        workers: who scores.
        shards: what to score; taken only when there is room, so that a slow shard holds back later ones.
        give_up: makes the results of a shard of one line that kills workers.
    """
    tasks: deque[_Task] = deque()
    in_flight: dict[int, _Task] = {}  # by their first line

    def submit(task: _Task) -> None:
        in_flight[task.shard.first_line] = task
        workers.submit(task.shard, alone=task.losses > 0)

    while True:
        while len(in_flight) < workers.room and len(tasks) < AHEAD * workers.room:
            shard = next(shards, None)
            if shard is None:
                break
            tasks.append(_Task(shard))
            submit(tasks[-1])
        if not tasks:
            return
        shard, results = workers.next_done()
        task = in_flight.pop(shard.first_line)
        task.results = results
        if results is None:
            for retried in _after_loss(task, tasks, give_up):
                submit(retried)
        while tasks and tasks[0].results:
            first = tasks.popleft()
            yield first.shard, first.results  # type: ignore[misc] # not None: the loop's condition


def _after_loss(
    task: _Task, tasks: deque[_Task], give_up: Callable[[Shard], ShardResults]
) -> list[_Task]:
    """The tasks to submit after a task lost its worker; halves replace it among the tasks."""
    task.losses += 1
    if task.losses < MAX_LOSSES:
        return [task]
    if task.shard.lines == 1:
        task.results = give_up(task.shard)
        return []
    halves = [_Task(half, MAX_LOSSES - 1) for half in task.shard.halves()]
    index = tasks.index(task)
    tasks[index] = halves[1]
    tasks.insert(index, halves[0])
    return halves


def failed_results(shard: Shard, shape: Shape) -> ShardResults:
    """The results of a shard that kills workers: all of its rows failed."""
    outcome = RowOutcome(0, failed(Failure(Flag.OTHER, _LOST, "infrastructure")))
    with shard.open() as reader:
        results = [result_line(ref, outcome) for ref in rows_to_grade(reader.rows(), shape)]
        return shard_results(results, reader.digest())
