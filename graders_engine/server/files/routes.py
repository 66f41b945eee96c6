"""The routes of the Files API: upload, list, retrieve, content, delete."""

from __future__ import annotations

from typing import BinaryIO

from graders_engine.errors import Mistake
from graders_engine.jobs.creating import job_using
from graders_engine.language import strict_json
from graders_engine.server.exchange import Exchange
from graders_engine.server.files import description
from graders_engine.server.files.uploads import Uploads
from graders_engine.server.files.wire import (
    OUTPUT_PURPOSES,
    PURPOSES,
    deleted_file,
    disposition,
    file_list,
    file_object,
    no_file,
)
from graders_engine.server.responses import Refused
from graders_engine.server.routes import Body, Handler, Operation, Route
from graders_engine.server.scheduler import while_connected
from graders_engine.server.store.query import choice_of, page_of, read_query
from graders_engine.server.store.served import ServedStore
from graders_engine.server.telemetry import ServerMetrics
from graders_engine.storage.files import StoredFile

MAX_FILES = 10_000
"""Of one page, by default too."""
CHUNK_BYTES = 256 << 10
"""How much of a content is sent at a time."""


class FileRoutes:
    """Handles the requests for files.

    Args:
        served: where they are.
        metrics: counts them.
    """

    def __init__(self, served: ServedStore, metrics: ServerMetrics) -> None:
        self._served, self._files = served, served.store.files
        self._uploads = Uploads(served)
        self._stored = metrics.add_counter("graders_files_stored", "Files stored.", "purpose")
        self._bytes = metrics.add_counter("graders_files_bytes", "Bytes of files stored.")
        metrics.add_gauge(
            "graders_uploads_in_progress", "Files that come just now.", lambda: len(self._uploads)
        )

    def routes(self) -> list[Route]:
        """Their entries of the table of routes."""

        def entry(
            method: str, path: str, handler: Handler, operation: Operation, body: Body = Body.NONE
        ) -> Route:
            return Route(method, path, handler, body=body, operation=operation)

        return [
            entry("POST", "/files", self.create, description.CREATE, Body.STREAM),
            entry("GET", "/files", self.list, description.LIST),
            entry("GET", "/files/{file_id}", self.retrieve, description.RETRIEVE),
            entry("DELETE", "/files/{file_id}", self.delete, description.DELETE),
            entry("GET", "/files/{file_id}/content", self.content, description.CONTENT),
        ]

    async def create(self, exchange: Exchange) -> None:
        """Store the file of a form.

        Raises:
            Refused: the form is wrong, or the server cannot take the file.
        """
        read_query(exchange)
        file = await self._uploads.receive(exchange)
        self._stored.labels(file.purpose).inc()
        self._bytes.inc(file.bytes)
        exchange.log_fields |= {"file": file.id, "purpose": file.purpose, "bytes": file.bytes}
        await exchange.respond(200, strict_json.encode(file_object(file)))

    async def list(self, exchange: Exchange) -> None:
        """List a project's files.

        Raises:
            Refused: a parameter is wrong.
            UnknownCursor: `after` is none of them.
        """
        query = read_query(exchange, ("after", "limit", "order", "purpose"))
        page = page_of(query, limit=MAX_FILES, most=MAX_FILES, order="desc")
        purpose = choice_of(query, "purpose", (*PURPOSES, *OUTPUT_PURPOSES))

        def answer() -> bytes:
            return strict_json.encode(file_list(self._files.page(exchange.project, page, purpose)))

        await exchange.respond(200, await self._served.call(answer))

    async def retrieve(self, exchange: Exchange) -> None:
        """Show a file.

        Raises:
            Refused: there is none.
        """
        read_query(exchange)
        file = await self._find(exchange)
        await exchange.respond(200, strict_json.encode(file_object(file)))

    async def delete(self, exchange: Exchange) -> None:
        """Delete a file.

        Raises:
            Refused: there is none, or a job that has not ended has it.
        """
        read_query(exchange)
        id_ = exchange.path_parameters["file_id"]
        job = await self._served.call(job_using, self._served.store, exchange.project, id_)
        if job is not None:
            message = f"The job {job.id} is {job.status} and uses this file: cancel it, or wait for its end."
            raise Refused(400, Mistake(message, "id", "file_in_use"))
        if not await self._served.call(self._files.delete, exchange.project, id_):
            raise no_file(id_)
        await exchange.respond(200, strict_json.encode(deleted_file(id_)))

    async def content(self, exchange: Exchange) -> None:
        """Send the content of a file.

        Raises:
            Refused: there is none.
        """
        read_query(exchange)
        file = await self._find(exchange)
        opened = await self._open(file)
        try:
            headers = {
                "content-length": str(file.bytes),
                "content-disposition": disposition(file.name),
                "x-content-type-options": "nosniff",
            }
            await exchange.start_response(b"application/octet-stream", headers)
            if exchange.scope["method"] == "HEAD":
                await exchange.send_chunk(b"", last=True)
            else:
                await while_connected(self._send(exchange, opened), exchange.receive)
        finally:
            await self._served.call(opened.close)

    async def _find(self, exchange: Exchange) -> StoredFile:
        id_ = exchange.path_parameters["file_id"]
        file = await self._served.call(self._files.get, exchange.project, id_)
        if file is None:
            raise no_file(id_)
        return file

    async def _open(self, file: StoredFile) -> BinaryIO:
        """Open a content: from then on it can be read to its end, although it may be deleted."""
        try:
            return await self._served.call(self._files.path(file.id).open, "rb", 0)
        except FileNotFoundError:  # deleted a moment ago
            raise no_file(file.id) from None

    async def _send(self, exchange: Exchange, opened: BinaryIO) -> None:
        while chunk := await self._served.call(opened.read, CHUNK_BYTES):
            await exchange.send_chunk(chunk)
        await exchange.send_chunk(b"", last=True)
