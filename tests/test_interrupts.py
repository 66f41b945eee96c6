"""An interrupted call gives back at once what it held: sandbox, judge, shared requests and waiting rows."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from graders_engine import AsyncEngine, Engine, Limits, ModelReply, ModelRequest, Scripted
from graders_engine.dataset.scoring.memoize import Memoized
from graders_engine.graders.base import Evaluator
from graders_engine.language.scope import Scope, scope_of
from graders_engine.outcome import Outcome, rewarded
from graders_engine.sandbox.base import GradeResult, Kind, Program

PYTHON: dict[str, Any] = {"type": "python", "source": "def grade(sample, item): return 1.0"}
JUDGED: dict[str, Any] = {
    "type": "score_model",
    "model": "m",
    "input": [{"role": "user", "content": "{{sample.output_text}}"}],
}
BOTH: dict[str, Any] = {
    "type": "multi",
    "graders": {"python": PYTHON, "judged": JUDGED},
    "calculate_output": "python + judged",
}
ENDLESS = "def grade(sample, item):\n    while item['endless']: pass\n    return 1.0"


class Interrupted(BaseException):
    """No Exception, as an interrupt."""


class Port:
    """A sandbox and a judge that never answer about "endless"; the first time, they interrupt as well."""

    signature = "port"

    def __init__(self, interrupt: Callable[[], object]) -> None:
        self.interrupt = interrupt
        self.is_armed = True
        self.in_flight = self.asked = 0

    async def answer(self, about: str) -> None:
        self.asked += 1
        self.in_flight += 1
        try:
            if "endless" in about:
                if self.is_armed:
                    self.is_armed = False
                    self.interrupt()
                await asyncio.Event().wait()
        finally:
            self.in_flight -= 1

    async def grade(self, program: Program, sample_json: bytes, item_json: bytes) -> GradeResult:
        await self.answer(sample_json.decode())
        return GradeResult(Kind.VALUE, 1.0)

    async def complete(self, request: ModelRequest) -> ModelReply:
        await self.answer(str(request.messages))
        return await Scripted(0.5).complete(request)

    async def close(self) -> None: ...


def run_one(engine: Engine, grader: dict[str, Any]) -> object:
    return engine.run(grader, model_sample="endless")


def score_three(engine: Engine, grader: dict[str, Any]) -> object:
    return list(engine.score(grader, [{"model_sample": "endless"}] * 3))


def interrupt_by_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def interrupt_by_alarm() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def interrupt_from_another_thread() -> None:
    main = ctypes.c_ulong(threading.main_thread().ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(main, ctypes.py_object(Interrupted))


@contextmanager
def raising_alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("call", [run_one, score_three], ids=["run", "score"])
@pytest.mark.parametrize(
    "interrupt", [interrupt_by_ctrl_c, interrupt_by_alarm, interrupt_from_another_thread]
)
@pytest.mark.parametrize("grader", [PYTHON, JUDGED, BOTH], ids=["python", "judged", "multi"])
def test_an_interrupted_call_frees_what_it_held(
    grader: dict[str, Any], interrupt: Callable[[], object], call: Callable[..., object]
) -> None:
    port = Port(interrupt)
    with raising_alarm(), Engine(concurrency=2, sandbox=port, judges=port) as engine:
        for _ in range(3):
            port.is_armed = True
            with pytest.raises((KeyboardInterrupt, Interrupted)):
                call(engine, grader)
        assert engine.run(grader, model_sample="quick").reward
        assert port.in_flight == 0


def test_an_interrupted_validation_leaves_the_engine_in_order(string_check: dict[str, Any]) -> None:
    class Interrupting(dict[str, Any]):
        def items(self) -> Any:
            raise KeyboardInterrupt

    with Engine() as engine:
        with pytest.raises(KeyboardInterrupt):
            engine.validate(Interrupting(string_check))
        assert engine.run(string_check, model_sample="x", item={"label": "x"}).reward == 1.0


def test_interrupted_grades_free_the_slots_of_a_real_sandbox() -> None:
    grader = {"type": "python", "source": ENDLESS}
    with raising_alarm(), Engine(sandbox="none", limits=Limits(wall_s=100.0)) as engine:
        assert engine.run(grader, model_sample="x", item={"endless": False}).reward == 1.0
        for _ in range(3):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(Interrupted):
                engine.run(grader, model_sample="x", item={"endless": True})
        began = time.monotonic()
        assert engine.run(grader, model_sample="x", item={"endless": False}).reward == 1.0
        assert time.monotonic() - began < 50  # they would hold all slots for 100 s


async def cancelled(work: asyncio.Task[Any], port: Port) -> None:
    while not port.in_flight:
        await asyncio.sleep(0)
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


async def timed_out(work: asyncio.Task[Any], port: Port) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(work, 0.05)


@pytest.mark.parametrize("end", [cancelled, timed_out])
@pytest.mark.parametrize("grader", [PYTHON, JUDGED, BOTH], ids=["python", "judged", "multi"])
def test_a_task_that_is_cancelled_frees_what_it_held(
    grader: dict[str, Any], end: Callable[..., Any]
) -> None:
    async def main() -> None:
        port = Port(lambda: None)
        async with AsyncEngine(concurrency=2, sandbox=port, judges=port) as engine:

            async def score() -> list[Any]:
                return [
                    row async for row in engine.score(grader, [{"model_sample": "endless"}] * 3)
                ]

            for work in (lambda: engine.run(grader, model_sample="endless"), score):
                await end(asyncio.ensure_future(work()), port)
                assert (await engine.run(grader, model_sample="quick")).reward
                assert port.in_flight == 0

    asyncio.run(main())


def test_a_loop_that_ends_under_a_data_set_does_not_wait_for_its_rows() -> None:
    port = Port(lambda: None)

    async def main() -> None:
        engine = AsyncEngine(concurrency=1, sandbox=port)
        rows = engine.score(PYTHON, [{"model_sample": "quick"}, *[{"model_sample": "endless"}] * 9])
        assert (await anext(rows)).reward == 1.0
        asyncio.get_running_loop().rows = rows  # type: ignore[attr-defined] # never closed

    asyncio.run(main())
    assert port.in_flight == 0
    assert port.asked <= 2


def test_an_engine_works_in_a_thread_whose_loop_is_running() -> None:
    async def cell_of_a_notebook() -> Any:
        with Engine(judges=Scripted(0.5)) as engine:
            return engine.run(JUDGED, model_sample="x").reward

    assert asyncio.run(cell_of_a_notebook()) == 0.5


def test_a_row_that_waits_for_an_equal_one_takes_over_when_that_is_cancelled() -> None:
    class Slow:
        waits = True
        asked = 0

        async def evaluate(self, scope: Scope) -> Outcome:
            self.asked += 1
            await asyncio.sleep(0.01)
            return rewarded(1.0)

    async def main() -> None:
        slow = Slow()
        once: Evaluator = Memoized(slow)
        first, *others = [
            asyncio.create_task(once.evaluate(scope_of({}, model_sample="x"))) for _ in range(4)
        ]
        await asyncio.sleep(0)
        first.cancel()
        assert [outcome.reward for outcome in await asyncio.gather(*others)] == [1.0] * 3
        assert slow.asked == 2

    asyncio.run(main())
