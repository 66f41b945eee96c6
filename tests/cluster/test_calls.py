"""Which calls go to which actor."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

import pytest

from graders_engine.cluster.calls import MOST_CALLS, Actor, Call, ProgramState, next_batch
from graders_engine.cluster.node_sandbox import Sent
from graders_engine.sandbox.base import GradeResult, Kind, Program


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def calls_of(
    loop: asyncio.AbstractEventLoop, count: int, usual_s: float, losses: int = 0, size: int = 2
) -> deque[Call]:
    state = ProgramState(Sent(Program("def grade(s, i): return 1.0")), usual_s)
    row = b" " * (size // 2)
    return deque(Call(state, row, row, loop.create_future(), losses) for _ in range(count))


def batches(waiting: deque[Call], actors: list[Actor]) -> list[tuple[Actor, int]]:
    sent = []
    while batch := next_batch(waiting, actors):
        sent.append((batch[0], len(batch[1])))
    return sent


def test_quick_calls_are_shared_among_all_actors_in_a_message_each(
    loop: asyncio.AbstractEventLoop,
) -> None:
    actors = [Actor(None, 1) for _ in range(4)]
    assert sorted(size for _, size in batches(calls_of(loop, 100, 0.001), actors)) == [25] * 4


def test_an_actor_gets_as_many_slow_calls_as_it_runs_and_as_many_to_follow(
    loop: asyncio.AbstractEventLoop,
) -> None:
    actors = [Actor(None, 1), Actor(None, 4)]
    waiting = calls_of(loop, 100, 2.0)
    assert all(size == 1 for _, size in batches(waiting, actors))
    assert [len(actor.calls) for actor in actors] == [2, 8]
    assert len(waiting) == 90


def test_a_message_and_an_actor_take_a_limited_number_of_calls_and_bytes(
    loop: asyncio.AbstractEventLoop,
) -> None:
    assert batches(calls_of(loop, 10_000, 1e-6), [actor := Actor(None, 1)])[0] == (
        actor,
        MOST_CALLS,
    )
    large = Actor(None, 1)
    batches(calls_of(loop, 100, 1e-6, size=1 << 20), [large])
    assert len(large.calls) == 4


def test_calls_that_lost_an_actor_go_few_at_a_time_and_not_with_others(
    loop: asyncio.AbstractEventLoop,
) -> None:
    actor = Actor(None, 1)
    waiting = calls_of(loop, 10, 0.001, losses=1) + calls_of(loop, 10, 0.001)
    assert batches(waiting, [actor]) == [(actor, 2)]
    assert {call.losses for call in actor.calls} == {1}


def test_a_call_that_lost_two_has_an_actor_for_itself(loop: asyncio.AbstractEventLoop) -> None:
    actor = Actor(None, 4)
    [other] = calls_of(loop, 1, 0.001)
    actor.add(other)
    waiting = calls_of(loop, 1, 0.001, losses=2) + calls_of(loop, 1, 0.001)
    assert next_batch(waiting, [actor]) is None
    actor.remove(other)
    assert batches(waiting, [actor]) == [(actor, 1)]
    [alone] = actor.calls
    assert alone.losses == 2
    actor.remove(alone)
    assert batches(waiting, [actor]) == [(actor, 1)]


def test_calls_that_nobody_waits_for_are_not_sent(loop: asyncio.AbstractEventLoop) -> None:
    waiting = calls_of(loop, 3, 0.001)
    for call in list(waiting)[:2]:
        call.answer.cancel()
    assert batches(waiting, [actor := Actor(None, 1)]) == [(actor, 1)]


def test_a_call_without_an_end_says_nothing_of_the_others() -> None:
    state = ProgramState(Sent(Program("def grade(s, i): return 1.0")), 0.001)
    state.learn(GradeResult(Kind.TIMEOUT, seconds=120.0))
    assert state.usual_s == 0.001
    state.learn(GradeResult(Kind.VALUE, 1.0, seconds=0.101))
    assert 0.001 < state.usual_s < 0.101


def test_a_few_quick_calls_wait_for_more_unless_an_actor_runs_out(
    loop: asyncio.AbstractEventLoop,
) -> None:
    busy, other = Actor(None, 1), Actor(None, 1)
    for actor in (busy, other):
        for call in calls_of(loop, 16, 0.001):
            actor.add(call)
    few = calls_of(loop, 3, 0.001)
    assert not batches(few, [busy, other])
    few.extend(calls_of(loop, 15, 0.001))
    assert [size for _, size in batches(few, [busy, other])] == [9]
    [*last] = calls_of(loop, 2, 0.001)
    assert batches(deque(last), [busy, idle := Actor(None, 1)]) == [(idle, 2)]
