"""The life of an engine: opened once, closed, in one event loop, thread and process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from graders_engine import AsyncEngine, Engine, LifecycleError, ModelReply, ModelRequest, Scripted
from graders_engine.language.scope import Scope
from graders_engine.loop_thread import LoopThread
from graders_engine.outcome import Outcome

JUDGED: dict[str, Any] = {
    "type": "score_model",
    "model": "gpt-4o",
    "input": [{"role": "user", "content": "Rate: {{sample.output_text}}"}],
}
ROWS = [{"item": {"label": f"cat{n % 3}"}, "model_sample": "cat1"} for n in range(50)]


@pytest.mark.parametrize(
    "verb",
    [
        lambda engine: engine.run({}, model_sample="x"),
        lambda engine: engine.validate({}),
        lambda engine: engine.score({}, []),
        lambda engine: engine.compile({}),
        lambda engine: engine.__enter__(),
    ],
)
def test_a_closed_engine_raises_a_lifecycle_error(verb: Callable[[Engine], Any]) -> None:
    with Engine() as engine:
        pass
    engine.close()
    with pytest.raises(LifecycleError, match="engine is closed"):
        verb(engine)


def test_an_engine_works_without_a_with_block_until_it_is_closed(
    string_check: dict[str, Any],
) -> None:
    engine = Engine()
    assert engine.run(string_check, model_sample="a", item={"label": "a"}).reward == 1.0
    engine.close()
    with pytest.raises(LifecycleError):
        engine.run(string_check, model_sample="a")
    Engine().close()


def test_an_engine_is_entered_once(string_check: dict[str, Any]) -> None:
    with Engine() as engine, pytest.raises(LifecycleError, match="an engine is entered once"):
        engine.__enter__()

    async def closed() -> None:
        async with AsyncEngine() as engine:
            pass
        with pytest.raises(LifecycleError, match="closed"):
            await engine.run(string_check, model_sample="x")

    asyncio.run(closed())


def test_an_engine_stays_on_one_event_loop(string_check: dict[str, Any]) -> None:
    engine = AsyncEngine()
    asyncio.run(engine.run(string_check, model_sample="x", item={"label": "x"}))
    with pytest.raises(LifecycleError, match="belongs to another event loop"):
        asyncio.run(engine.run(string_check, model_sample="x"))


def test_closing_ends_the_engines_thread() -> None:
    cosine = {
        "type": "text_similarity",
        "evaluation_metric": "cosine",
        "input": "a",
        "reference": "b",
    }
    before = set(threading.enumerate())
    with Engine(embeddings="lexical") as engine:
        engine.run(cosine, model_sample="")
        [thread] = set(threading.enumerate()) - before
        assert thread.is_alive()
    assert not thread.is_alive()


def test_an_engine_has_no_thread_as_long_as_no_grader_waits(string_check: dict[str, Any]) -> None:
    before = set(threading.enumerate())
    with Engine() as engine:
        engine.validate(string_check)
        assert engine.run(string_check, model_sample="x", item={"label": "x"}).reward == 1.0
        assert [row.reward for row in engine.score(string_check, [{"sample": {}}])]
        assert set(threading.enumerate()) == before
    with pytest.raises(LifecycleError, match="closed"):
        engine.run(string_check, model_sample="x")


def test_what_a_caller_lends_is_closed_though_no_grader_waited(
    string_check: dict[str, Any],
) -> None:
    class Lent:
        batch = 8
        signature = "lent"
        closed = 0

        async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
            return [[1.0] for _ in texts]

        async def close(self) -> None:
            await asyncio.sleep(0)  # it waits: for this a loop is needed
            self.closed += 1

    lent = Lent()
    with Engine(embeddings=lent) as engine:
        engine.run(string_check, model_sample="x", item={"label": "x"})
    assert lent.closed == 1


FORKS = """
import os, sys
from graders_engine import Engine, LifecycleError
grader = {"type": "string_check", "operation": "eq", "input": "a", "reference": "a"}
with Engine() as engine:
    engine.validate(grader)
    child = os.fork()
    if not child:
        try:
            engine.validate(grader)
        except LifecycleError as error:
            os.write(1, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert engine.run(grader, model_sample="a").reward == 1.0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_call_that_ends_with_its_thread_raises_a_lifecycle_error() -> None:
    begun = threading.Event()

    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    thread = LoopThread()

    def end() -> None:
        begun.wait()
        thread.stop()

    ender = threading.Thread(target=end)
    ender.start()
    with pytest.raises(LifecycleError, match="has ended"):
        thread.call(endless())
    ender.join()


def test_an_engine_does_not_cross_a_fork() -> None:
    # Python 3.12 and later warn of a fork with running threads, which is what is tested here.
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    assert "made in another process" in ended.stdout


def test_the_thread_of_an_engine_cannot_wait_for_that_engine(string_check: dict[str, Any]) -> None:
    class Inside:
        waits = True

        async def evaluate(self, scope: Scope) -> Outcome:
            engine.validate(string_check)
            raise AssertionError("it waited for itself")

    with Engine() as engine:
        compiled = engine.compile(string_check).with_evaluator(Inside())
        [row] = engine.score(compiled, ROWS[:1])
    assert row.status == "failed"
    assert "own thread" in row.flags["other_error"]


def test_closing_an_engine_ends_the_data_set_that_it_grades_with_an_error() -> None:
    class Endless(Scripted):
        """A judge that never answers; it reports its first request."""

        def __init__(self) -> None:
            super().__init__(1.0)
            self.was_asked = asyncio.Event()

        async def complete(self, request: ModelRequest) -> ModelReply:
            self.was_asked.set()
            await asyncio.Event().wait()
            return await super().complete(request)

    async def close_while_grading() -> None:
        judge = Endless()
        engine = AsyncEngine(judges=judge)
        first = asyncio.ensure_future(anext(engine.score(JUDGED, ROWS)))
        await judge.was_asked.wait()
        await engine.close()
        with pytest.raises(LifecycleError, match="closed while rows were being graded"):
            await first

    asyncio.run(close_while_grading())
