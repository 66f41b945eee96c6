"""A sandbox that starts when the first python grader runs: most engines never need one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graders_engine.sandbox.base import (
    GradeResult,
    Isolation,
    Limits,
    Program,
    SandboxUnavailable,
)
from graders_engine.sandbox.inside.plan import AUTO, NONE, STRENGTH

if TYPE_CHECKING:
    from graders_engine.sandbox.pool import Pool
    from graders_engine.sandbox.shared_pool import SharedPool


class OnDemand:
    """A `Sandbox` that makes a `Pool` for the first grade.

    Args:
        tier: "auto", "namespaces", "landlock" or "none".
        limits: of one call; by default those of the hosted API.
        isolation: "call", a process for each call; or "worker", where the rows of a program share some.

    Raises:
        ValueError: there is no such tier.
    """

    def __init__(
        self, tier: str = AUTO, limits: Limits | None = None, isolation: Isolation = "call"
    ) -> None:
        if tier not in (choices := (AUTO, *STRENGTH, NONE)):
            raise ValueError(f"there is no sandbox named {tier!r}: use one of {', '.join(choices)}")
        self._tier, self._limits = tier, limits
        self.isolation = isolation
        self._pool: Pool | SharedPool | None = None
        self._closed = False

    @property
    def tier(self) -> str:
        """The requested tier; after the first grade, the one in use."""
        return self._tier if self._pool is None else self._pool.tier

    async def grade(self, program: Program, sample_json: bytes, item_json: bytes) -> GradeResult:
        """Run the program on one row; see the port."""
        if self._closed:
            raise SandboxUnavailable("this sandbox has been closed")
        pool = self._pool or self._open()
        return await pool.grade(program, sample_json, item_json)

    def _open(self) -> Pool | SharedPool:
        if self.isolation == "worker":
            from graders_engine.sandbox.shared_pool import SharedPool

            self._pool = SharedPool(self._tier, self._limits)
        else:
            from graders_engine.sandbox.pool import Pool

            self._pool = Pool(self._tier, self._limits)
        return self._pool

    async def close(self) -> None:
        """End every process; later calls are refused."""
        self._closed = True
        if self._pool is not None:
            await self._pool.close()
