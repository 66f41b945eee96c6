"""Compiled graders, cached by their JSON: a training loop sends one grader many times."""

from __future__ import annotations

import asyncio
import contextlib

from cachetools import LRUCache

from graders_engine.compiled import CompiledGrader
from graders_engine.engine import AsyncEngine
from graders_engine.errors import Mistake
from graders_engine.language import strict_json
from graders_engine.models.local.source import LocalSource
from graders_engine.server.bodies import MAX_GRADER_BYTES
from graders_engine.server.responses import Presenter, Refused
from graders_engine.server.telemetry import ServerMetrics

LARGE_GRADER_BYTES = 64 << 10
"""From here a grader is compiled in a thread: a python source of this size takes tens of milliseconds."""
MANY_COMMAS = 200
"""From here, too: each value may be a mistake, and it takes up to 0.2 ms to describe one."""
MAX_VALUES = 4_000
"""Most values in a grader, for the same reason."""
INLINE_CHARS = 16_000
"""Longest text that is compared on the event loop: meteor, the slowest metric, takes 15 ms for it."""
OVERHEAD_BYTES = 4096
"""What a compiled grader takes in memory beyond its JSON, roughly."""


class CachedGrader:
    """A compiled grader, and what is derived from it once.

    Args:
        compiled: the grader.
        text: its JSON.

    Attributes:
        size_bytes: the length of its JSON.
        variables: the most variables that its templates can have.
    """

    __slots__ = ("_presenter", "compiled", "size_bytes", "variables")

    def __init__(self, compiled: CompiledGrader, text: bytes) -> None:
        self.compiled = compiled
        self.size_bytes = len(text)
        # Counted in JSON that we encoded: in the request's a brace may be written as an escape.
        self.variables = strict_json.encode(compiled.given).count(b"{{")
        name = compiled.spec.name
        self._presenter = None if name is None else Presenter(name, compiled.type)

    def presenter(self) -> Presenter:
        """Writes the rows of one request; a grader without a name gets one for the request."""
        return self._presenter or Presenter(None, self.compiled.type)

    def batch_presenter(self) -> Presenter:
        """As `presenter`, for results that say who is to blame."""
        return Presenter(self.compiled.spec.name, self.compiled.type, with_blame=True)

    def inline_limit_bytes(self) -> int:
        """The longest row that is graded on the event loop; -1 when every row has to be queued."""
        if self.compiled.evaluator.waits:
            return -1
        return (INLINE_CHARS - self.size_bytes) // (self.variables or 1)

    def worst_case_chars(self, row_bytes: int) -> int:
        """How long a row's rendered templates can be in all, when every variable stands for the whole row."""
        return self.size_bytes + self.variables * row_bytes


class GraderCache:
    """The graders that were used last.

    Args:
        engine: compiles them.
        max_bytes: bound on their JSON in all; the least recently used are dropped first.
        metrics: counts what was compiled and what was reused.
    """

    def __init__(self, engine: AsyncEngine, max_bytes: int, metrics: ServerMetrics) -> None:
        self._engine, self._metrics = engine, metrics
        self._cached: LRUCache[tuple[bytes, bool, LocalSource | None], CachedGrader] = LRUCache(
            max_bytes, getsizeof=lambda cached: cached.size_bytes + OVERHEAD_BYTES
        )

    def __len__(self) -> int:
        return len(self._cached)

    async def get(
        self, text: bytes, *, check_sources: bool, local: LocalSource | None = None
    ) -> CachedGrader:
        """The compiled grader of this JSON.

        Args:
            text: the grader as it stood in the request.
            check_sources: whether a python source that cannot run is a mistake.
            local: the models of this machine that it may ask; None for none.

        Raises:
            InvalidGrader: with every mistake.
            Refused: the grader is too long.
        """
        key = (text, check_sources, local)
        cached = self._cached.get(key)
        if cached is not None:
            self._metrics.graders_reused.inc()
            return cached
        if len(text) > MAX_GRADER_BYTES:
            message = f"Invalid 'grader': it is {len(text)} bytes long; at most {MAX_GRADER_BYTES} are taken."
            raise Refused(413, Mistake(message, "grader", "grader_too_large"))
        cached = (
            self._compile(*key)
            if len(text) < LARGE_GRADER_BYTES and text.count(b",") < MANY_COMMAS
            else await asyncio.to_thread(self._compile, *key)
        )
        self._metrics.graders_compiled.inc()
        with contextlib.suppress(ValueError):  # it alone is larger than the cache
            self._cached[key] = cached
        return cached

    def _compile(self, text: bytes, check_sources: bool, local: LocalSource | None) -> CachedGrader:
        if text.count(b",") >= MAX_VALUES and _values(text) > MAX_VALUES:
            message = f"Invalid 'grader': it has more than {MAX_VALUES} values."
            raise Refused(413, Mistake(message, "grader", "grader_too_large"))
        compiled = self._engine.compile(text, check_sources=check_sources, local=local)
        return CachedGrader(compiled, text)


def _values(text: bytes) -> int:
    """How many values JSON has, as far as they are counted; 0 for what is not JSON."""
    try:
        waiting = [strict_json.decode(text)]
    except ValueError:
        return 0
    count = 0
    while waiting and count <= MAX_VALUES:
        value = waiting.pop()
        children = value.values() if isinstance(value, dict) else value
        if isinstance(value, dict | list):
            count += len(value)
            waiting += [child for child in children if isinstance(child, dict | list)]
    return count
