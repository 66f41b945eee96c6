"""Compiled graders, kept by their JSON: a training loop that sends one grader for ever compiles it once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from graders_engine.compiled import CompiledGrader
from graders_engine.engine import AsyncEngine
from graders_engine.errors import Mistake
from graders_engine.language import strict_json
from graders_engine.server.answers import Presenter, Refused
from graders_engine.server.bodies import MAX_GRADER_BYTES

LONG_GRADER_BYTES = 64 << 10
"""From here a grader is compiled in a thread: a python source of this size takes tens of milliseconds."""
QUICK_CHARS = 16_000
"""Text that is compared while other requests stand still: meteor, the slowest metric, takes 15 ms for it."""
OVERHEAD_BYTES = 4096
"""What a compiled grader takes beyond its JSON, roughly."""


class CachedGrader:
    """A compiled grader and what is derived from it once.

    Attributes:
        compiled: the grader.
        size: bytes of its JSON.
        variables: how many templates' variables it has, at most.
        present: writes its rows; None when it has no name, so that every request makes one up.
    """

    __slots__ = ("_present", "compiled", "size", "variables")

    def __init__(self, compiled: CompiledGrader, text: bytes) -> None:
        self.compiled = compiled
        self.size = len(text)
        # Counted in JSON of our own making: in the request's a brace may be written as an escape.
        self.variables = strict_json.encode(compiled.given).count(b"{{")
        name = compiled.spec.name
        self._present = None if name is None else Presenter(name, compiled.type)

    def presenter(self) -> Presenter:
        """What writes the rows of one request; a grader without a name gets one for the request."""
        return self._present or Presenter(None, self.compiled.type)

    def quick_bytes(self) -> int:
        """The longest row that is graded between two other requests; -1 when none is."""
        if self.compiled.evaluator.waits:
            return -1
        return (QUICK_CHARS - self.size) // (self.variables or 1)

    def weight(self, row_bytes: int) -> int:
        """The characters that a row may come to when every variable brings in the whole of it."""
        return self.size + self.variables * row_bytes


class GraderCache:
    """The graders compiled last.

    Args:
        engine: compiles them.
        most_bytes: of all their JSON together; the least recently used go first.

    Attributes:
        found: how often a grader was found here.
        made: how often one was compiled.
    """

    def __init__(self, engine: AsyncEngine, most_bytes: int) -> None:
        self._engine, self._most = engine, most_bytes
        self._kept: OrderedDict[tuple[bytes, bool], CachedGrader] = OrderedDict()
        self._bytes = self.found = self.made = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, text: bytes, *, check_sources: bool) -> CachedGrader:
        """The compiled grader of this JSON.

        Args:
            text: the grader as it stood in the request.
            check_sources: whether a python source that cannot run is a mistake.

        Raises:
            InvalidGrader: with every mistake.
            Refused: the grader is too long.
        """
        key = (text, check_sources)
        kept = self._kept.get(key)
        if kept is not None:
            self.found += 1
            self._kept.move_to_end(key)
            return kept
        if len(text) > MAX_GRADER_BYTES:
            reason = f"Invalid 'grader': it is {len(text)} bytes long; at most {MAX_GRADER_BYTES} are taken."
            raise Refused(413, Mistake(reason, "grader", "grader_too_large"))
        kept = (
            self._make(text, check_sources)
            if len(text) < LONG_GRADER_BYTES
            else await asyncio.to_thread(self._make, text, check_sources)
        )
        self.made += 1
        self._keep(key, kept)
        return kept

    def _make(self, text: bytes, check_sources: bool) -> CachedGrader:
        return CachedGrader(self._engine.compile(text, check_sources=check_sources), text)

    def _keep(self, key: tuple[bytes, bool], kept: CachedGrader) -> None:
        if key not in self._kept:  # another request may have been faster
            self._bytes += kept.size + OVERHEAD_BYTES
        self._kept[key] = kept
        while self._bytes > self._most:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.size + OVERHEAD_BYTES
