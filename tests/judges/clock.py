"""An event loop whose time passes only when nothing is left to do: waits take no time, and no luck."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch

from graders_engine.models import rate_limiter, retry

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer in place of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 1000.0
        selector: Any = self._selector  # type: ignore[attr-defined] # the standard library's own
        really_select = selector.select

        def select(timeout: float | None = None) -> Any:
            assert timeout is not None, "everybody waits, and nothing will ever happen"
            self._now += timeout
            return really_select(0)

        selector.select = select

    def time(self) -> float:
        return self._now


def now() -> float:
    return asyncio.get_running_loop().time()


def in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run it in a loop of its own; the policies' clocks are the loop's."""
    clock = SimpleNamespace(monotonic=now, time=now)
    with (
        patch.object(rate_limiter, "time", clock),
        patch.object(retry, "time", clock),
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
    ):
        return runner.run(main)
