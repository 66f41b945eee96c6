"""What the handlers of the page have in common: runs that are open, threads, answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

from graders_engine.errors import DataSetError, InvalidRequest, Mistake
from graders_engine.language import strict_json
from graders_engine.server.exchange import JSON, Exchange
from graders_engine.server.responses import ClientGone, Refused
from graders_engine.server.routes import Body, Route
from graders_engine.server.scheduler import while_connected
from graders_engine.settings import EngineSettings
from graders_engine.view.access import check_post

if TYPE_CHECKING:  # they take numpy, which a server loads when the page is first asked for data
    from graders_engine.view.folders.runs import RunSource
    from graders_engine.view.loading.run_cache import RunCache
    from graders_engine.view.opened import OpenRun

API = "/view/api/"
"""Where the routes of the page's data are."""
THREADS = 4
"""Requests that are worked on at a time."""
T = TypeVar("T")


class Request:
    """What a handler is asked, in a thread.

    Attributes:
        project: whose key the request carries.
        path: the names in the route's path, decoded.
        query: what stands behind the `?`, as it was sent.
        body: the JSON value of a POST; None of a GET.
    """

    def __init__(
        self, project: str, path: Mapping[str, str], query: str = "", body: Any = None
    ) -> None:
        self.project, self.path, self.query, self.body = project, path, query, body
        self._lock = threading.Lock()
        self._gone = False
        self._ends: list[Callable[[], object]] = []

    @property
    def parameters(self) -> dict[str, str]:
        """What stands behind the `?`, by name; of a name that is there twice, the last value."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def gone(self) -> bool:
        """Whether the client no longer waits: work that takes long looks at this."""
        return self._gone

    def on_gone(self, end: Callable[[], object]) -> None:
        """Call a function when the client goes, in another thread; at once if it has gone."""
        with self._lock:
            self._ends.append(end)
            called = self._gone
        if called:
            end()

    def leave(self) -> None:
        """Say that the client has gone; what was to be called then is, in threads of its own."""
        with self._lock:
            self._gone = True
            ends = list(self._ends)
        for end in ends:
            threading.Thread(target=end, name="graders-view-end", daemon=True).start()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not status 200 with JSON.

    Attributes:
        content: the body, or its pieces, which are sent as they come.
        status: the HTTP status; of pieces, always 200.
        headers: further headers.
        media_type: what the body is.
    """

    content: bytes | Iterator[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: bytes = JSON


class StillReading(Exception):
    """Raised when what is asked for is being read for the first time.

    Attributes:
        done: bytes that were read.
        of: bytes in all; 0 if that is not known.
        what: is read, in words.
    """

    def __init__(self, done: int, of: int, what: str = "the results") -> None:
        super().__init__(f"{what}: {done} of {of}")
        self.done, self.of, self.what = done, of, what


Handler = Callable[["View", Request], Any]
"""Answers in a thread: with a JSON value, or a `Reply`. What it raises is answered as an error object."""


class View:
    """The page's runs and settings.

    Args:
        sources: what a project sees.
        settings: of the engines that grade.
        read_only: whether nothing is graded with judges, tried or saved.
        data: where the data set is, if it was moved; for every run.
    """

    def __init__(
        self,
        sources: Callable[[str], RunSource],
        settings: EngineSettings,
        *,
        read_only: bool = False,
        data: Path | None = None,
    ) -> None:
        self._sources, self.settings = sources, settings
        self._lock = threading.Lock()
        self._cache: RunCache | None = None
        self.read_only, self.data = read_only, data
        self._pool = ThreadPoolExecutor(THREADS, "graders-view")

    @property
    def cache(self) -> RunCache:
        """The runs that are open."""
        from graders_engine.view.loading.run_cache import RunCache

        with self._lock:
            if self._cache is None:
                self._cache = RunCache()
            return self._cache

    def source(self, request: Request) -> RunSource:
        """The runs that a request may see."""
        return self._sources(request.project)

    def opened(self, request: Request, run: str | None = None) -> OpenRun:
        """A run that is ready to be asked.

        Args:
            request: who asks.
            run: its id; by default that in the request's path.

        Raises:
            Refused: there is no such run.
            StillReading: it is being read; ask again.
            DataSetError: it cannot be read.
        """
        path = self.source(request).results(request.path["run"] if run is None else run)
        opened = self.cache.open(path, self.data)
        if reading := opened.ready():
            raise StillReading(reading.done_bytes, reading.of_bytes)
        return opened.as_it_is()

    async def work(self, exchange: Exchange, handler: Handler) -> None:
        """Answer a request with what a handler gives, in one of the threads."""
        body = None
        if exchange.route.method == "POST":
            if self.read_only:
                message = (
                    "This page is read only: it is a server's, or was started with --read-only."
                )
                raise Refused(403, Mistake(message, code="read_only"))
            check_post(exchange)
            body = _decoded(exchange.body)
        request = Request(
            exchange.project,
            exchange.path_parameters,
            exchange.scope["query_string"].decode("latin-1"),
            body,
        )
        try:
            answer = await self._in_thread(exchange, request, lambda: self._asked(handler, request))
        except StillReading as still:
            reading = {"reading": {"done": still.done, "of": still.of, "what": still.what}}
            answer = Reply(strict_json.encode(reading), 202)
        if not isinstance(answer, Reply):
            answer = Reply(await self._in_thread(exchange, request, lambda: _encoded(answer)))
        headers = answer.headers
        if isinstance(answer.content, bytes):
            await exchange.respond(
                answer.status, answer.content, headers, media_type=answer.media_type
            )
        else:
            await self._stream(exchange, request, answer.content, headers, answer.media_type)

    def _asked(self, handler: Handler, request: Request) -> Any:
        """What a handler answers; of pieces, the first one is there, so that its error is answered, too.

        Raises:
            Refused: in place of what says with paths of this machine what is wrong.
            StillReading: the results were replaced meanwhile; ask again.
        """
        try:
            answer = handler(self, request)
            if isinstance(answer, Reply) and not isinstance(answer.content, bytes):
                first = next(answer.content, b"")
                answer = replace(answer, content=chain((first,), answer.content))
            return answer
        except (DataSetError, InvalidRequest) as error:
            from graders_engine.view.columns import ResultsChanged

            if isinstance(error, ResultsChanged):
                raise StillReading(0, 0) from None
            status, code = (422, "data_error") if isinstance(error, DataSetError) else (400, None)
            message = self.source(request).plain(str(error))
            raise Refused(status, Mistake(message, code=code)) from None

    async def _in_thread(self, exchange: Exchange, request: Request, work: Callable[[], T]) -> T:
        """Do work in one of the threads, while the client waits.

        Raises:
            ClientGone: it has gone; what waits for a thread is not begun, what runs is asked to end.
        """
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, work)

        async def done() -> T:
            return await future

        try:
            return await while_connected(done(), exchange.receive)
        except (ClientGone, asyncio.CancelledError):
            request.leave()
            raise

    async def _stream(
        self,
        exchange: Exchange,
        request: Request,
        pieces: Iterator[bytes],
        headers: Mapping[str, str],
        media_type: bytes,
    ) -> None:
        """Send pieces as they come; an error in one of them breaks the connection off."""
        await exchange.start_response(media_type, headers)
        while piece := await self._in_thread(exchange, request, lambda: next(pieces, b"")):
            await exchange.send_chunk(piece)
        await exchange.send_chunk(b"", last=True)

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Entered and left with the application."""
        try:
            yield
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)


def route(view: View, method: str, pattern: str, handler: Handler) -> Route:
    """A route of the page's data, below /view/api/; a POST has a JSON body.

    Args:
        view: what the handler is given.
        method: GET or POST.
        pattern: such as `runs/{run}/rows`.
        handler: answers.
    """

    async def answer(exchange: Exchange) -> None:
        await view.work(exchange, handler)

    body = Body.JSON if method == "POST" else Body.NONE
    return Route(method, API + pattern, answer, body=body, versioned=False)


def _decoded(body: bytes) -> Any:
    try:
        return strict_json.decode(body)
    except ValueError as error:
        message = f"The body is not JSON: {strict_json.explained(error)}."
        raise Refused(400, Mistake(message, code="invalid_json")) from None


def _encoded(answer: Any) -> bytes:
    return strict_json.encode(answer)
