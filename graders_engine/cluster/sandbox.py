"""A sandbox whose grades run on the nodes of a Ray cluster.

Each actor has a pool of its node's (`node_sandbox`); this side sends calls in batches to whichever actor is
free (`calls`), and those of an actor that is lost to others. Sources and rows alone leave this process.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from graders_engine.cluster.actors import START_TIMEOUT_S, Actors
from graders_engine.cluster.calls import MOST_LOSSES, Actor, Call, ProgramState, next_batch
from graders_engine.cluster.connection import ClusterOptions
from graders_engine.cluster.node_sandbox import Batch, Reply, Sent
from graders_engine.errors import GradersError
from graders_engine.sandbox import images
from graders_engine.sandbox.base import (
    GradeResult,
    Isolation,
    Kind,
    Limits,
    Program,
    SandboxUnavailable,
    WorkerLost,
)
from graders_engine.sandbox.inside.plan import AUTO, NONE, STRENGTH
from graders_engine.sandbox.pool import too_large

ROWS_PER_CORE = 16
"""Rows in flight for each core of the actors: what a message takes, where a grade takes 1 ms."""
_PROGRAMS = 1024  # that are remembered
_LOST = (
    "the process that graded this row died, and so did those that graded it again, the last one without any "
    "other row: the row or the grader made it die (out of memory, or a crash in a library), or the cluster "
    "loses its nodes"
)
_CLOSED = "this sandbox has been closed"
_log = logging.getLogger("graders_engine")


class ClusterSandbox:
    """A `Sandbox` on the nodes of a Ray cluster. Belongs to one event loop, apart from `start` and `end`.

    The first grade connects and starts the actors, unless `start` did. An actor runs as many grades at a time
    as it has cores. One that is lost, alone or with its node, is replaced, and its calls are made again.

    Example::

        sandbox = ClusterSandbox(options=ClusterOptions(address="auto"))
        with Engine(sandbox=sandbox, concurrency=1024) as engine:  # some 16 rows for each core
            for row in engine.score(grader, rows):
                print(row.index, row.counted)

    Args:
        tier: "auto", "namespaces", "landlock" or "none". With "auto" all nodes must have the same one.
        limits: of one call.
        isolation: as for `OnDemand`.
        options: the cluster, and what is taken of it.
        tags: images that the nodes must have, if this machine has them.

    Attributes:
        isolation: as given.

    Raises:
        ValueError: there is no such tier.
    """

    def __init__(
        self,
        tier: str = AUTO,
        limits: Limits | None = None,
        isolation: Isolation = "call",
        *,
        options: ClusterOptions | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        if tier not in (choices := (AUTO, *STRENGTH, NONE)):
            raise ValueError(f"there is no sandbox named {tier!r}: use one of {', '.join(choices)}")
        self.isolation = isolation
        wanted = [image for tag in tags if (image := images.find(tag))]
        self._actors = Actors(
            options or ClusterOptions(), tier, limits or Limits(), isolation, wanted
        )
        self._fault = ""
        self._open: set[Call] = set()  # whose callers wait
        self._waiting: deque[Call] = deque()  # that no actor has
        self._programs: OrderedDict[Program, ProgramState] = OrderedDict()
        self._numbers = itertools.count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._begun = False
        self._sends_soon = False
        self._waits_for_actor: asyncio.TimerHandle | None = None
        self._logged: set[str] = set()

    @property
    def tier(self) -> str:
        """The requested tier; after the start, the one in use."""
        return self._actors.tier

    def rows_in_flight(self, least: int) -> int:
        """How many rows keep all actors busy; after the start."""
        return max(least, ROWS_PER_CORE * self._actors.cores)

    def start(self) -> None:
        """Connect, start the actors, and wait for those that the cluster has room for.

        Raises:
            DataSetError: Ray is not installed, the cluster cannot be reached or starts no actor, or a node
                has another sandbox than the others, or not the images.
            ClusterLost: the connection to the cluster is lost meanwhile.
        """
        self._actors.start()

    async def _begin(self) -> None:
        """In the event loop, before the first call; a call that is cancelled meanwhile ends nothing."""
        if not self._actors.cores:
            try:
                await asyncio.to_thread(self.start)
            except GradersError as error:
                self._fault = str(error)
                await asyncio.to_thread(self._actors.end)
        if not self._actors.is_closed:
            self._actors.watch(self._send_waiting)
        self._begun = True

    async def grade(self, program: Program, sample_json: bytes, item_json: bytes) -> GradeResult:
        """Run the program on one row; see the port."""
        if reason := too_large(program, sample_json, item_json):
            return GradeResult(Kind.EXCEPTION, details=reason)
        loop = asyncio.get_running_loop()
        if self._beginning is None and not self._actors.is_closed:
            self._loop, self._beginning = loop, loop.create_task(self._begin())
        if self._beginning is not None and not self._begun:
            await asyncio.shield(self._beginning)
        if self._actors.is_closed:
            raise self._why_closed()
        call = Call(self._state_of(program), sample_json, item_json, loop.create_future())
        self._waiting.append(call)
        if not self._sends_soon:  # together with those that are made in this pass of the loop
            self._sends_soon = True
            loop.call_soon(self._send_waiting)
        self._open.add(call)
        try:
            return await call.answer
        finally:
            self._open.discard(call)
            if call.answer.cancelled():
                self._cancel_message(call)

    def _why_closed(self) -> Exception:
        if self._actors.lost:
            return self._actors.why_lost()
        return SandboxUnavailable(self._fault or _CLOSED)

    def _cancel_message(self, call: Call) -> None:
        """End the calls of a message, if nobody waits for any of them."""
        reference, calls = call.message
        if reference is not None and all(one.answer.done() for one in calls):
            self._actors.cancel(reference)

    def _state_of(self, program: Program) -> ProgramState:
        state = self._programs.get(program)
        if state is None:
            by_path = {image.interpreter: image for image in images.built()}
            image = by_path.get(program.interpreter or "")
            sent = Sent(replace(program, interpreter=None), image) if image else Sent(program)
            state = self._programs[program] = ProgramState(sent)
            if len(self._programs) > _PROGRAMS:
                self._programs.popitem(last=False)
        self._programs.move_to_end(program)
        return state

    def _send_waiting(self) -> None:
        """Send what waits to the actors that have room."""
        self._sends_soon = False
        while batch := next_batch(self._waiting, self._actors.ready):
            self._send(*batch)
        if self._actors.lost:
            self._fail_open()
        elif self._waiting and not self._actors.ready:
            self._wait_for_actor()

    def _wait_for_actor(self) -> None:
        """Have the waiting calls fail if no actor starts in time, or at once if none will."""
        if self._actors.fault and not self._actors.are_coming:
            self._fail_waiting(self._actors.fault)
        elif self._waits_for_actor is None and self._loop is not None:
            self._waits_for_actor = self._loop.call_later(START_TIMEOUT_S, self._on_no_actor)

    def _on_no_actor(self) -> None:
        self._waits_for_actor = None
        if not self._actors.ready:
            lost = "all workers in the Ray cluster were lost, and none was started in"
            self._fail_waiting(f"{lost} {START_TIMEOUT_S:.0f} s")

    def _fail_waiting(self, reason: str) -> None:
        while self._waiting:
            _fail(self._waiting.popleft(), SandboxUnavailable(reason))

    def _fail_open(self) -> None:
        for call in list(self._open):
            _fail(call, self._why_closed())

    def _send(self, actor: Actor, calls: list[Call]) -> None:
        programs = {id(call.program): call.program.sent for call in calls}
        places = {key: place for place, key in enumerate(programs)}
        rows = [(places[id(call.program)], call.sample, call.item) for call in calls]
        batch = Batch(next(self._numbers), list(programs.values()), rows)
        self._send_message(actor, batch.number, calls, "grade", batch)

    def _send_message(
        self, actor: Actor, number: int, calls: list[Call], method: str, *arguments: Any
    ) -> None:
        then = partial(self._on_reply, actor, number, calls)
        try:
            reference = self._actors.send(actor, then, method, *arguments)
        except Exception as error:  # noqa: BLE001 - the calls fail with it: nobody else would answer them
            for call in calls:
                actor.remove(call)
                _fail(call, error)
            return
        if reference is not None:  # otherwise they fail, or have failed
            for call in calls:
                call.message = (reference, calls)

    def _on_reply(
        self, actor: Actor, number: int, calls: list[Call], answered: Future[Reply]
    ) -> None:
        error = answered.exception()
        if error is not None:
            self._on_error(actor, calls, error)
        else:
            reply = answered.result()
            for index, (call, ended) in enumerate(zip(calls, reply.ended, strict=True)):
                if ended is None:
                    self._send_message(actor, number, [call], "rest", number, index)
                    continue
                actor.remove(call)
                _settle(call, ended)
            self._warn(reply.logged)
        self._send_waiting()

    def _on_error(self, actor: Actor, calls: list[Call], error: BaseException) -> None:
        """Nothing came back of these calls: they were cancelled, the actor is lost, or its code raised."""
        for call in calls:
            actor.remove(call)
        if self._actors.is_closed or all(call.answer.done() for call in calls):
            return
        if self._actors.notes_loss(error):
            self._fail_open()
            return
        if self._actors.is_loss(error):
            self._actors.replace(actor)
            for call in reversed(calls):
                self._repeat(call)
            return
        for call in calls:
            _fail(call, getattr(error, "cause", None) or error)

    def _repeat(self, call: Call) -> None:
        """Make a call again whose actor was lost."""
        call.losses += 1
        if call.losses == MOST_LOSSES:
            _fail(call, WorkerLost(_LOST))
        else:
            self._waiting.appendleft(call)

    def _warn(self, texts: list[str]) -> None:
        """Log warnings of actors, each once."""
        for text in texts:
            if (key := re.sub(r"\d+", "", text)) not in self._logged:
                self._logged.add(key)
                _log.warning("%s", text)

    async def close(self) -> None:
        """End every process; later calls are refused."""
        self._actors.is_closed = True
        if self._beginning is not None:  # it looks up at once
            await asyncio.wait([self._beginning])
        await asyncio.to_thread(self.end)

    def end(self) -> None:
        """As `close`, from any thread. To end twice is allowed."""
        self._actors.end()
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed, and its calls have ended
                self._loop.call_soon_threadsafe(self._fail_open)


def _settle(call: Call, ended: GradeResult | Exception) -> None:
    if isinstance(ended, Exception):
        _fail(call, ended)
        return
    call.program.learn(ended)
    if not call.answer.done():
        call.answer.set_result(ended)


def _fail(call: Call, error: BaseException) -> None:
    if not call.answer.done():
        call.answer.set_exception(error)
