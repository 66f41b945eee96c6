"""`python -m graders_engine.inference.worker FOLDER`: the process that answers for a store.

It holds the folder's lock while it lives, serves HTTP over a Unix socket that the folder names, and ends when
it has been idle for long, when it is asked to, or when the folder is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from graders_engine.errors import GradersError, Mistake
from graders_engine.inference import place
from graders_engine.inference.answering import Answering, Ending
from graders_engine.inference.errors import InvalidChat, ModelBusy
from graders_engine.inference.failures import as_json
from graders_engine.inference.generator import GENERATORS, Generator
from graders_engine.inference.request import read_chat
from graders_engine.inference.served import ServedModel
from graders_engine.inference.starting import LOCKED
from graders_engine.language import strict_json
from graders_engine.storage.lock import ProcessLock

_log = logging.getLogger("graders_engine")
_LOCK_S = 1.0
"""How long the lock is waited for: who looks whether it is free holds it for a moment."""
_INTERVAL_S = 0.25
_END_S = 5.0
"""How long answers that have begun may take to be sent when the process ends."""
_MAX_BODY = 64 << 20
_CUT_OFF = (
    "The answer was cut off: the process that answers has to end, most likely for a job on its GPU."
)


def main(arguments: Sequence[str]) -> int:
    """Answer until there is a reason to end; gives the exit code."""
    parser = argparse.ArgumentParser(prog="graders_engine.inference.worker")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--idle-s", type=float, default=300.0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--generator", default=GENERATORS["transformers"])
    given = parser.parse_args(arguments)
    os.umask(0o077)
    lock = ProcessLock(given.folder / place.LOCK)
    until = time.monotonic() + _LOCK_S
    while not lock.take():
        if time.monotonic() > until:
            return LOCKED
        time.sleep(0.02)
    lock.path.write_text(f"{os.getpid()}\n", encoding="ascii")
    _remove_dead(given.folder)

    def make() -> Generator:
        module, _, name = given.generator.partition(":")
        made: Generator = getattr(importlib.import_module(module), name)(given.device)
        return made

    answering = Answering(given.folder, make)
    asyncio.run(Worker(given.folder, answering, given.idle_s).work())
    if not answering.close() or "torch" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        # Its thread is in the middle of what it does not leave; or it would take seconds to end by itself.
        os._exit(0)
    return 0


def _remove_dead(folder: Path) -> None:
    """Remove the socket of the last process, if that was killed."""
    dead = place.address_in(folder)
    place.withdraw(folder)
    if dead is not None:
        shutil.rmtree(Path(dead.socket).parent, ignore_errors=True)


class Worker:
    """Serves requests, and decides when to end.

    Args:
        folder: of the process.
        answering: answers.
        idle_s: seconds without a request after which it ends.
    """

    def __init__(self, folder: Path, answering: Answering, idle_s: float) -> None:
        self._folder, self._answering, self._idle_s = folder, answering, idle_s
        self._last = time.monotonic()
        self._leaves = asyncio.Event()
        self._open = 0

    async def work(self) -> None:
        """Serve until there is a reason to end."""
        loop = asyncio.get_running_loop()
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, self._leaves.set)
        place_of_socket = Path(tempfile.mkdtemp(prefix="graders-"))
        address = place.Address(secrets.token_hex(8), str(place_of_socket / "s"))
        runner = web.AppRunner(
            self._application(), handler_cancellation=True, access_log=None, shutdown_timeout=1.0
        )
        await runner.setup()
        try:
            await web.UnixSite(runner, address.socket).start()
            place.publish(self._folder, address)
            await self._until_the_end(address)
        finally:
            # Nobody comes any more; who is here already is sent to the next process.
            self._leaves.set()
            if place.is_published(self._folder, address):
                place.withdraw(self._folder)
            shutil.rmtree(place_of_socket, ignore_errors=True)
            await self._say_farewell()
            await runner.cleanup()

    async def _until_the_end(self, address: place.Address) -> None:
        while not self._is_over(address):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaves.wait(), _INTERVAL_S)

    def _is_over(self, address: place.Address) -> bool:
        if self._open:
            self._last = time.monotonic()
        return (
            self._leaves.is_set()
            or time.monotonic() - self._last >= self._idle_s
            or self._answering.broken
            or not place.is_published(self._folder, address)  # the store is gone
            or not Path(address.socket).exists()  # nobody can ask it any more
        )

    async def _say_farewell(self) -> None:
        """Answer what is open."""
        self._answering.end()
        until = time.monotonic() + _END_S
        await asyncio.sleep(_INTERVAL_S)  # those who connected just now send their requests
        while self._open and time.monotonic() < until:
            await asyncio.sleep(0.02)

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=_MAX_BODY)
        application.router.add_post(place.ANSWERS, self._answer, expect_handler=_take)
        application.router.add_post(place.LEAVES, self._leave)
        return application

    async def _leave(self, request: web.Request) -> web.StreamResponse:
        self._leaves.set()
        return web.Response()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self._answering.broken:
            self._leaves.set()
        if self._leaves.is_set():
            return web.Response(status=place.LEAVING)
        self._open += 1
        self._last = time.monotonic()
        try:
            return await self._answered(request)
        finally:
            self._open -= 1
            self._last = time.monotonic()

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        try:
            given = strict_json.decode(await request.read())
        except ValueError as error:  # it nests deeper than it can be followed here
            mistake = Mistake(f"The request cannot be read: {error}.", code="invalid_value")
            status, body = as_json(InvalidChat([mistake]))
            return web.json_response(body, status=status)
        served = given[place.SERVED]
        model = ServedModel(**{**served, "folder": Path(served["folder"])})
        try:
            chat = read_chat(given[place.BODY])
            chunks = self._answering.chunks(model, chat)
            async with contextlib.aclosing(chunks):
                first = await anext(chunks)
                if not chat.stream:
                    return web.json_response(first)
                return await _streamed(request, first, chunks)
        except GradersError as error:
            if not isinstance(error, InvalidChat):
                _log.warning("%s: %s", model.name, error)
            status, body = as_json(error)
            return web.json_response(body, status=status)
        except Ending:
            return web.Response(status=place.LEAVING)


async def _take(request: web.Request) -> web.StreamResponse | None:
    """Say that a request is taken, unless its caller has gone already."""
    if request.transport is None or request.transport.is_closing():
        return web.Response()
    request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return None


async def _streamed(
    request: web.Request, first: dict[str, Any], rest: AsyncIterator[dict[str, Any]]
) -> web.StreamResponse:
    """Send chunks as server-sent events; an error ends them."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(_event(first))
    try:
        async for chunk in rest:
            await response.write(_event(chunk))
    except GradersError as error:
        await response.write(_event(as_json(error)[1]))
    except Ending:
        await response.write(_event(as_json(ModelBusy(_CUT_OFF))[1]))
    else:
        await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
