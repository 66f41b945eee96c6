"""A process that owns a sandbox, so that the tests can have one as another user.

    python driver.py '{"tier": ..., "limits": {...}, "shared": ...}'

Reads one JSON request per line, {"source", "sample", "item"}, and writes one JSON line each.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import msgspec

from graders_engine.sandbox.base import Limits, Program, Sandbox, SandboxError
from graders_engine.sandbox.pool import Pool
from graders_engine.sandbox.shared_pool import SharedPool


async def serve(tier: str, limits: Limits, *, shared: bool) -> None:
    pool = (SharedPool if shared else Pool)(tier, limits, concurrency=1)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await answer(pool, json.loads(line))), flush=True)  # noqa: T201 - the channel
    await pool.close()


async def answer(pool: Sandbox, request: dict[str, Any]) -> dict[str, Any]:
    program = Program(request["source"])
    sample, item = (json.dumps(request[k]).encode() for k in ("sample", "item"))
    try:
        return msgspec.structs.asdict(await pool.grade(program, sample, item))
    except SandboxError as error:
        return {"kind": error.type, "details": str(error), "reward": None}


if __name__ == "__main__":
    setup = json.loads(sys.argv[1])
    asyncio.run(serve(setup["tier"], Limits(**setup["limits"]), shared=setup["shared"]))
