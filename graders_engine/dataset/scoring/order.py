"""Shards through workers and back in their order, whatever happens to the workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from graders_engine.dataset.results.line import result_line
from graders_engine.dataset.rows.shapes import Shape
from graders_engine.dataset.scoring.grading import Scored, places_of, scored_as
from graders_engine.dataset.scoring.shards import Shard
from graders_engine.dataset.scoring.workers import Workers
from graders_engine.outcome import Failure, Flag, RowOutcome, failed

AHEAD = 4
"""Shards begun ahead of the oldest unfinished one, as a multiple of the workers' room."""
LOSSES = 2
"""Workers that a shard may lose before it is split, or given up when it is one line."""
_LOST = (
    "The process that graded this row died, and so did the one that tried again with this row alone. "
    "Nothing else was under way in it, so the row or the grader made it die: out of memory, or a crash "
    "in a library."
)


@dataclass(slots=True, eq=False)
class _Task:
    shard: Shard
    losses: int = 0
    scored: Scored | None = None


def in_input_order(
    workers: Workers, shards: Iterator[Shard], give_up: Callable[[Shard], Scored]
) -> Iterator[tuple[Shard, Scored]]:
    """Score shards, and hand them back in their order.

    A shard whose worker was lost is tried again, alone with a worker. One that loses a second worker is
    split in halves; so the line that makes workers die is found, and is given up alone.

    Args:
        workers: who scores.
        shards: what; taken as there is room, so that a slow shard holds back those behind it.
        give_up: what becomes of a shard of one line that workers die of.
    """
    tasks: deque[_Task] = deque()
    under_way: dict[int, _Task] = {}  # by their first line

    def submit(task: _Task) -> None:
        under_way[task.shard.first_line] = task
        workers.submit(task.shard, alone=task.losses > 0)

    while True:
        while len(under_way) < workers.room and len(tasks) < AHEAD * workers.room:
            shard = next(shards, None)
            if shard is None:
                break
            tasks.append(_Task(shard))
            submit(tasks[-1])
        if not tasks:
            return
        shard, scored = workers.next_done()
        task = under_way.pop(shard.first_line)
        task.scored = scored
        if scored is None:
            for again in _after_loss(task, tasks, give_up):
                submit(again)
        while tasks and tasks[0].scored:
            first = tasks.popleft()
            yield first.shard, first.scored  # type: ignore[misc] # the loop's condition says that it is there


def _after_loss(
    task: _Task, tasks: deque[_Task], give_up: Callable[[Shard], Scored]
) -> list[_Task]:
    """What is to be tried after a task lost its worker; halves take its place among the tasks."""
    task.losses += 1
    if task.losses < LOSSES:
        return [task]
    if task.shard.lines == 1:
        task.scored = give_up(task.shard)
        return []
    halves = [_Task(half, LOSSES - 1) for half in task.shard.halves()]
    place = tasks.index(task)
    tasks[place] = halves[1]
    tasks.insert(place, halves[0])
    return halves


def given_up(shard: Shard, shape: Shape) -> Scored:
    """The results of a shard that workers die of: its rows failed."""
    outcome = failed(Failure(Flag.OTHER, _LOST, infrastructure=True))
    results = [
        result_line(line, RowOutcome(0, outcome), sample, group)
        for line, sample, group, _ in places_of(shard, shape)
    ]
    return scored_as(results, shard)
