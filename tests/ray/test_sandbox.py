"""What every sandbox promises, on the nodes of a cluster: the tests of `tests/sandbox` on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from graders_engine.cluster.connection import ClusterOptions
from graders_engine.cluster.sandbox import ClusterSandbox
from graders_engine.sandbox.base import Kind, Limits, Program, SandboxUnavailable
from tests.sandbox.pools import ECHO, Body, Run, grade
from tests.sandbox.test_conformance import *  # noqa: F403 - all of them

OPTIONS = ClusterOptions(actors=1, cpus=0.1)


@pytest.fixture(scope="module", params=["call", "worker"])
def runner(request: pytest.FixtureRequest, two_nodes: Any) -> Iterator[Callable[..., None]]:
    """Awaits a body with a sandbox of these limits; there is one for each, in one event loop."""
    made: dict[Limits, ClusterSandbox] = {}
    with asyncio.Runner() as loop:

        def with_sandbox(body: Any, limits: Limits) -> None:
            if limits not in made:
                made[limits] = ClusterSandbox("auto", limits, request.param, options=OPTIONS)
            loop.run(body(made[limits]))

        with_sandbox.isolation = request.param  # type: ignore[attr-defined] # for the tests below
        yield with_sandbox
        for sandbox in made.values():
            loop.run(sandbox.close())


@pytest.fixture
def run(runner: Any, request: pytest.FixtureRequest) -> Run:
    name = request.node.originalname
    if runner.isolation == "worker" and name == "test_the_template_never_runs_a_line_of_the_source":
        pytest.skip("what a module's attribute is set to stays: see test_shared_losses")

    def with_sandbox(body: Body, limits: Limits | None = None) -> None:
        runner(body, limits or Limits(wall_s=10.0))

    return with_sandbox


def test_many_calls_at_once_have_each_its_own_answer(run: Run) -> None:
    async def body(sandbox: Any) -> None:
        results = await asyncio.gather(*(grade(sandbox, ECHO, {"want": n}) for n in range(300)))
        assert [result.reward for result in results] == list(map(float, range(300)))

    run(body)


def test_a_slow_call_does_not_hold_up_those_of_its_message(run: Run) -> None:
    source = "import time\ndef grade(s, i):\n    time.sleep(i['s'])\n    return i['s']"

    async def body(sandbox: Any) -> None:
        for _ in range(30):  # calls of this program are known to be quick, and sent together
            await grade(sandbox, source, {"s": 0})
        slow = [grade(sandbox, source, {"s": 3 * (n == 5)}) for n in range(12)]
        tasks = [asyncio.ensure_future(one) for one in slow]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert tasks[5] not in done
        assert [(await task).reward for task in tasks] == [3.0 * (n == 5) for n in range(12)]

    run(body)


def test_a_call_that_nobody_waits_for_any_more_is_ended(run: Run) -> None:
    async def body(sandbox: Any) -> None:
        endless = asyncio.ensure_future(grade(sandbox, "while True: pass"))
        await asyncio.sleep(0.5)
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless
        # Its limit is a minute, and the actor runs one call at a time.
        async with asyncio.timeout(40):
            assert (await grade(sandbox, ECHO, {"want": 1})).reward == 1.0

    run(body, Limits(wall_s=60.0))


def test_a_closed_sandbox_refuses_calls_and_fails_those_it_has(two_nodes: Any) -> None:
    async def main() -> None:
        sandbox = ClusterSandbox(options=OPTIONS)
        assert (await grade(sandbox, ECHO, {"want": 1})).reward == 1.0  # type: ignore[arg-type] # no pool
        waiting = asyncio.ensure_future(sandbox.grade(Program("while True: pass"), b"1", b"1"))
        await asyncio.sleep(0.2)
        await sandbox.close()
        with pytest.raises(SandboxUnavailable, match="closed"):
            await waiting
        with pytest.raises(SandboxUnavailable, match="closed"):
            await sandbox.grade(Program(ECHO), b"1", b"1")

    asyncio.run(main())


def test_a_sandbox_that_waits_for_a_core_can_be_closed(two_nodes: Any) -> None:
    async def main() -> None:
        sandbox = ClusterSandbox(options=ClusterOptions(actors=1, cpus=64))
        waiting = asyncio.ensure_future(sandbox.grade(Program(ECHO), b"1", b"1"))
        await asyncio.sleep(0.2)
        await sandbox.close()
        with pytest.raises(SandboxUnavailable, match="closed"):
            await waiting

    asyncio.run(main())


def test_a_sandbox_that_was_closed_before_its_first_call_starts_nothing() -> None:
    async def main() -> None:
        sandbox = ClusterSandbox(options=ClusterOptions(address="127.0.0.1:1"))
        await sandbox.close()
        with pytest.raises(SandboxUnavailable, match="closed"):
            await sandbox.grade(Program(ECHO), b"1", b"1")

    asyncio.run(main())


def test_what_is_too_large_is_not_sent(two_nodes: Any) -> None:
    async def main() -> None:
        sandbox = ClusterSandbox(options=ClusterOptions(address="127.0.0.1:1"))
        row = await sandbox.grade(Program(ECHO), b" " * (200 << 20), b" " * (100 << 20))
        assert row.kind is Kind.EXCEPTION

    asyncio.run(main())
