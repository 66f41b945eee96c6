"""Which calls go to which actor, and how many at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from graders_engine.cluster.node_sandbox import Sent
from graders_engine.sandbox.base import GradeResult, Kind

AHEAD_S = 0.25
"""An actor gets work for about this time for each of its cores."""
BATCH_S = 0.1
"""A message gets calls for about this time for each core, and one at least: sending one costs some 0.5 ms."""
MOST_CALLS = 64
"""Calls of one message."""
MOST_BYTES = 4 << 20
"""Of the rows that are sent ahead to one actor."""
MOST_LOSSES = 3
"""Actors that a call may lose before it is given up; it is the only call of the last one."""
_MEMORY = 0.1  # the weight of one call in a program's usual time
_FIRST_GUESS_S = 0.01


@dataclass(slots=True, eq=False)
class ProgramState:
    """What is known of a program: how it is sent, and how long a call usually takes."""

    sent: Sent
    usual_s: float = _FIRST_GUESS_S

    def learn(self, result: GradeResult) -> None:
        """Learn from one call; one without an end says nothing of the others."""
        if result.kind is not Kind.TIMEOUT:
            self.usual_s += _MEMORY * (result.seconds - self.usual_s)


@dataclass(slots=True, eq=False)
class Call:
    """A call that has not ended.

    Attributes:
        program: what is run.
        sample, item: the row, as JSON.
        answer: its result, for who made the call.
        losses: how many actors were lost with it.
        work_s: how long it was expected to take when it was sent.
        message: the reference to the reply that it is to come with, and the calls of the message.
    """

    program: ProgramState
    sample: bytes
    item: bytes
    answer: asyncio.Future[GradeResult]
    losses: int = 0
    work_s: float = 0.0
    message: tuple[Any, list[Call]] = (None, [])  # replaced, never changed

    @property
    def bytes(self) -> int:
        """Of its row."""
        return len(self.sample) + len(self.item)

    @property
    def is_alone(self) -> bool:
        """Whether it needs an actor of its own: only so is it clear which call is to blame."""
        return self.losses == MOST_LOSSES - 1


@dataclass(slots=True, eq=False)
class Actor:
    """An actor, and what was sent to it and has not ended.

    Attributes:
        handle: Ray's.
        cores: how many calls it runs at a time.
        node: where it is.
    """

    handle: Any
    cores: int
    node: str = ""
    calls: set[Call] = field(default_factory=set)
    work_s: float = 0.0
    bytes: int = 0
    is_taken: bool = False

    @property
    def runs_out(self) -> bool:
        """Whether it may have nothing to do before another message arrives."""
        return len(self.calls) < 2 * self.cores

    def has_room(self, call: Call) -> bool:
        """Whether a call can be sent to it now."""
        if call.is_alone or self.is_taken:
            return not self.calls
        if self.runs_out:
            return True
        return (
            not call.losses  # few at a time, so that few are lost again
            and self.work_s + call.program.usual_s <= AHEAD_S * self.cores
            and self.bytes + call.bytes <= MOST_BYTES
        )

    def add(self, call: Call) -> None:
        """Count a call that is sent to it."""
        call.work_s = call.program.usual_s
        self.calls.add(call)
        self.work_s += call.work_s
        self.bytes += call.bytes
        self.is_taken = call.is_alone

    def remove(self, call: Call) -> None:
        """A call has ended."""
        self.calls.discard(call)
        if self.calls:
            self.work_s -= call.work_s
            self.bytes -= call.bytes
        else:
            self.work_s, self.bytes, self.is_taken = 0.0, 0, False


def next_batch(waiting: deque[Call], actors: Sequence[Actor]) -> tuple[Actor, list[Call]] | None:
    """Take the calls that wait longest off the queue, for the actor with the fewest.

    None if all actors are full; or if none is about to run out, and a few calls more fill a message.
    """
    while waiting and waiting[0].answer.done():  # nobody waits for it any more
        waiting.popleft()
    if not waiting:
        return None
    first = waiting[0]
    actor = min(actors, key=_load, default=None)
    if actor is None or not actor.has_room(
        first
    ):  # one with more calls, but quicker ones, may have
        free = [one for one in actors if one.has_room(first)]
        actor = min(free, key=_load, default=None)
    if actor is None:
        return None
    if not actor.runs_out and len(waiting) < _worth_a_message(first, actor, waiting, actors):
        return None
    alike = sum(len(one.calls) == len(actor.calls) for one in actors)
    share = min(MOST_CALLS, ceil(len(waiting) / alike))
    batch: list[Call] = []
    batch_s = 0.0
    while waiting and len(batch) < share and waiting[0].losses == first.losses:
        call = waiting[0]
        if batch and (
            batch_s + call.program.usual_s > BATCH_S * actor.cores or not actor.has_room(call)
        ):
            break
        waiting.popleft()
        if call.answer.done():
            continue
        actor.add(call)
        batch.append(call)
        batch_s += call.program.usual_s
        if call.is_alone:
            break
    return actor, batch


def _load(actor: Actor) -> tuple[float, float]:
    return len(actor.calls) / actor.cores, actor.work_s


def _worth_a_message(
    first: Call, actor: Actor, waiting: deque[Call], actors: Sequence[Actor]
) -> int:
    """How many calls fill a message: by their time, and at most half of an actor's part of all calls."""
    in_time = (
        int(BATCH_S * actor.cores / first.program.usual_s) if first.program.usual_s else MOST_CALLS
    )
    all_calls = len(waiting) + sum(len(one.calls) for one in actors)
    return min(MOST_CALLS, max(1, in_time), ceil(all_calls / (2 * len(actors))))
