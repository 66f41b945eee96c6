"""Asks models that answer on this machine; what answers is started where it is needed first."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from graders_engine.body_fields import LONE_SURROGATE, TOO_DEEP
from graders_engine.graders import mistakes
from graders_engine.inference.errors import InvalidChat, ModelBusy, ModelLost
from graders_engine.inference.failures import raised_by
from graders_engine.inference.options import InferenceOptions
from graders_engine.inference.place import ANSWERS, BODY, LEAVING, SERVED, Address
from graders_engine.inference.request import read_chat, require_length
from graders_engine.inference.served import ServedModel
from graders_engine.inference.starting import Starter
from graders_engine.language import strict_json

if TYPE_CHECKING:
    import aiohttp

_TRIES = 5
"""Processes that are asked one after the other; each of the first ones was about to end."""
_DONE = b"[DONE]"
_DATA = b"data: "
_LONGEST_LINE = 64 << 20
_LOST = "The process that answers died before the answer was whole: ask again."


class LocalModels:
    """Asks models. Use it from one event loop; several processes may have one each, and share what answers.

    Args:
        folder: of the process that answers; one a store.
        options: for a process that has to be started.
    """

    def __init__(self, folder: Path, options: InferenceOptions) -> None:
        self._starter = Starter(folder, options)
        self._sessions: weakref.WeakSet[aiohttp.ClientSession] = weakref.WeakSet()

    async def complete(self, model: ServedModel, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask a model, and wait for its whole answer.

        Args:
            model: the model.
            body: of a chat completion; its `stream` does not count, and its `model` neither.

        Raises:
            InvalidChat: the request cannot be honoured.
            ModelBusy: another attempt may succeed.
            ModelUnavailable: the model cannot be loaded; `ModelLost` if the process died.
        """
        whole = {
            key: value for key, value in body.items() if key not in ("stream", "stream_options")
        }
        async with self._asked(model, whole) as response:
            with _losses():
                answer: dict[str, Any] = strict_json.decode(await response.read())
        return answer

    async def stream(
        self, model: ServedModel, body: Mapping[str, Any]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Ask a model, and give the chunks of its answer as they are generated.

        Raises:
            InvalidChat: the request cannot be honoured; before the first chunk.
            ModelBusy: another attempt may succeed.
            ModelUnavailable: the model cannot be loaded; `ModelLost` if the process died.
        """
        async with self._asked(model, {**body, "stream": True}) as response:
            with _losses():
                async for line in response.content:
                    if not line.startswith(_DATA):
                        continue
                    data = line[len(_DATA) :].strip()
                    if data == _DONE:
                        return
                    chunk = strict_json.decode(data)
                    if "error" in chunk:
                        raise raised_by(chunk)
                    yield chunk
        raise ModelLost(_LOST)

    @asynccontextmanager
    async def _asked(
        self, model: ServedModel, body: dict[str, Any]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response of the process to a request that it can answer."""
        # In a thread: reading many messages takes a second, in which others want to be answered.
        sent = await asyncio.to_thread(_encoded, model, body)
        session, response = await self._sent(sent)
        async with session, response:
            if response.status != 200:
                with _losses():
                    raise raised_by(strict_json.decode(await response.read()))
            yield response

    async def _sent(self, sent: bytes) -> tuple[aiohttp.ClientSession, aiohttp.ClientResponse]:
        """The response of a process that is not about to end, with its session."""
        lost: Address | None = None
        for _ in range(_TRIES):
            lost = address = await self._starter.address(lost)
            session = _session(address)
            self._sessions.add(session)
            try:
                response = await self._posted(session, address, sent)
            except BaseException:
                await session.close()
                raise
            if response is not None:
                return session, response
            await session.close()
        raise ModelBusy("The process that answers ends again and again: try later.")

    async def _posted(
        self, session: aiohttp.ClientSession, address: Address, sent: bytes
    ) -> aiohttp.ClientResponse | None:
        """The response of a process; None if it has ended, or is about to, before it took the request.

        Raises:
            ModelLost: it died.
        """
        import aiohttp

        taken = False

        async def body() -> AsyncIterator[bytes]:
            nonlocal taken
            taken = True  # it is read when the process has said that it takes the request
            yield sent

        try:
            response = await session.post(f"http://worker{ANSWERS}", data=body(), expect100=True)
        except (aiohttp.ClientError, OSError):
            if taken:
                raise ModelLost(_LOST) from None
            return None
        return None if response.status == LEAVING else response

    async def aclose(self) -> None:
        """Give up what is asked just now; the process that answers ends when it is idle."""
        for session in tuple(self._sessions):
            await session.close()


def _encoded(model: ServedModel, body: dict[str, Any]) -> bytes:
    """What the process is sent.

    Raises:
        InvalidChat: the request cannot be honoured.
    """
    require_length(read_chat(body), model.max_completion_tokens)
    try:
        return msgspec.json.encode({SERVED: asdict(model), BODY: body}, enc_hook=str)
    except UnicodeEncodeError:
        mistake = mistakes.invalid(_unwritable_in(body), LONE_SURROGATE)
    except RecursionError:
        mistake = mistakes.invalid(_unwritable_in(body), TOO_DEEP)
    raise InvalidChat([mistake])


def _unwritable_in(body: dict[str, Any]) -> str:
    """The key of the value that is no JSON."""
    for key, value in body.items():
        try:
            msgspec.json.encode(value)
        except (UnicodeEncodeError, RecursionError):
            return key
    return "body"


def _session(address: Address) -> aiohttp.ClientSession:
    """A session for one request: a kept connection could be one to a process that is about to end."""
    import aiohttp

    return aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(address.socket, force_close=True),
        timeout=aiohttp.ClientTimeout(total=None),  # an answer takes as long as it takes
        read_bufsize=_LONGEST_LINE,
    )


@contextmanager
def _losses() -> Iterator[None]:
    """What reads a response.

    Raises:
        ModelLost: it is cut off.
    """
    import aiohttp

    try:
        yield
    except (aiohttp.ClientError, OSError, ValueError):
        raise ModelLost(_LOST) from None
