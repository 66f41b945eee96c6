"""Answers requests with a generator, which works in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from graders_engine.inference.errors import InvalidChat, ModelBusy, ModelUnavailable
from graders_engine.inference.generator import Answer, Generator, Gone
from graders_engine.inference.gpu import GPU_IS_TAKEN
from graders_engine.inference.place import GPU_LOCK
from graders_engine.inference.request import ChatRequest
from graders_engine.inference.served import ServedModel
from graders_engine.inference.turns import Turns
from graders_engine.inference.wire import Reply
from graders_engine.storage.lock import ProcessLock
from graders_engine.version import how_to_install

_log = logging.getLogger("graders_engine")
_Chunk = dict[str, Any]
_CLOSE_S = 5.0


class Ending(Exception):
    """Raised where a request is to be answered by the next process."""


class Answering:
    """Answers requests, one after the other.

    Args:
        folder: of the process.
        make: makes the generator; it is called in the thread, and may take seconds.

    Attributes:
        broken: whether the generator has failed in a way that nobody expects: a new process is better.
    """

    def __init__(self, folder: Path, make: Callable[[], Generator]) -> None:
        self.broken = False
        self._gpu = ProcessLock(folder / GPU_LOCK)
        self._thread = ThreadPoolExecutor(1, "generator")
        self._made = self._thread.submit(make)
        self._turns = Turns()
        self._loaded: ServedModel | None = None
        self._ending = False
        self._heard: Hearing | None = None

    def end(self) -> None:
        """Send away the requests that are not answered yet, and those that come."""
        self._ending = True
        self._turns.refuse(Ending())
        if self._heard is not None:
            self._heard.gone = True

    def close(self) -> bool:
        """Give up the generator; whether its thread has ended."""
        closed = self._thread.submit(lambda: self._made.result().close())
        done, _ = futures.wait([closed], _CLOSE_S)
        self._thread.shutdown(wait=False, cancel_futures=True)
        return bool(done)

    async def chunks(
        self, model: ServedModel, request: ChatRequest
    ) -> AsyncGenerator[_Chunk, None]:
        """The chunks of an answer; one, which is whole, if the request does not stream.

        Raises:
            InvalidChat: the model cannot honour the request.
            ModelBusy: another attempt may succeed.
            ModelUnavailable: the model cannot be loaded, or cannot answer.
            Ending: this process is about to end.
        """
        async with self._turns.turn((model.folder, model.identity)):
            if self._ending:
                raise Ending
            heard = self._heard = Hearing(Reply(model, include_usage=request.include_usage))
            work = asyncio.wrap_future(self._thread.submit(self._answer, model, request, heard))
            work.add_done_callback(heard.close)
            try:
                if request.stream:
                    async for chunk in heard:
                        yield chunk
                answer = await self._result(work)
            finally:
                heard.gone = True
            if not request.stream:
                yield heard.reply.completion(answer)
                return
            for chunk in heard.reply.ends(answer):
                yield chunk

    async def _result(self, work: asyncio.Future[Answer]) -> Answer:
        try:
            return await work
        except (InvalidChat, ModelBusy, ModelUnavailable):
            raise
        except Gone:
            raise Ending from None
        except ImportError as error:
            self.broken = True
            raise ModelUnavailable(
                f"No model can answer: {error}. [inference] or [training] in graders.toml names the Python "
                f"that answers; install there what it needs: {how_to_install('train')}."
            ) from None
        except Exception as error:  # noqa: BLE001 - whatever a library raises is answered
            self.broken = True
            _log.exception("a model could not answer")
            raise ModelUnavailable(
                f"The model cannot answer: {type(error).__name__}: {error}."
            ) from None

    def _answer(self, model: ServedModel, request: ChatRequest, heard: Hearing) -> Answer:
        """Load the model if need be, and answer; in the thread."""
        if heard.gone:
            raise Gone
        generator = self._made.result()
        if self._loaded is None or _weights(self._loaded) != _weights(model):
            if generator.on_gpu and not (self._gpu.held or self._gpu.take()):
                raise ModelBusy(GPU_IS_TAKEN)
            self._loaded = None
            generator.load(model)
            self._loaded = model
        return generator.answer(request, model, heard)


def _weights(model: ServedModel) -> tuple[Path, str]:
    return model.folder, model.identity


class Hearing:
    """Hears an answer in the generator's thread, and gives its chunks in the event loop.

    Args:
        reply: makes the chunks.

    Attributes:
        reply: the same.
        gone: whether nobody waits any more.
    """

    def __init__(self, reply: Reply) -> None:
        self.reply, self.gone = reply, False
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[_Chunk | None] = asyncio.Queue()

    def text(self, choice: int, text: str) -> None:
        """Hear a piece of a text."""
        if text:
            self._put(self.reply.text(choice, text))

    def call(self, choice: int, call: dict[str, Any]) -> None:
        """Hear a tool call."""
        self._put(self.reply.call(choice, call))

    def _put(self, chunk: _Chunk) -> None:
        self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)

    def close(self, work: asyncio.Future[Answer]) -> None:
        """Hear that the work has ended; in the event loop."""
        if not work.cancelled():
            work.exception()  # unread, asyncio logs it, though nobody may wait for it any more
        self._chunks.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[_Chunk]:
        """The chunks as they come, until it is closed."""
        while (chunk := await self._chunks.get()) is not None:
            yield chunk
