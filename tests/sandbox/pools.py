"""What the tests of a pool share: a program, and pools that are opened and closed for a test."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from graders_engine.sandbox.base import GradeResult, Program, SandboxUnavailable
from graders_engine.sandbox.pool import Pool

MIB = 1 << 20
ECHO = "def grade(sample, item): return item['want']"
Body = Callable[[Pool], Awaitable[None]]
Run = Callable[..., None]
"""Opens a pool of the tier under test, awaits a body with it, and closes it."""


def available(tier: str) -> bool:
    async def attempt() -> bool:
        pool = Pool(tier, concurrency=1)
        try:
            return (await grade(pool, ECHO, {"want": 1})).reward == 1.0
        except SandboxUnavailable:
            return False
        finally:
            await pool.close()

    return asyncio.run(attempt())


async def grade(pool: Pool, source: str, item: Any = None, **more: Any) -> GradeResult:
    return await pool.grade(
        Program(source, **more), b'{"output_text": "x"}', json.dumps(item).encode()
    )


class Environment:
    """A virtual environment without packages, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        home = os.path.dirname(os.path.realpath(sys.executable))
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(os.path.realpath(sys.executable))
        (folder / "pyvenv.cfg").write_text(f"home = {home}\n")

    def with_modules(self, modules: dict[str, str]) -> str:
        """Its interpreter, after writing these modules into it."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = self._folder / "lib" / version / "site-packages"
        for name, source in modules.items():
            (packages / name).parent.mkdir(parents=True, exist_ok=True)
            (packages / name).write_text(source)
        return str(self._folder / "bin" / "python")
