"""Brings the file of a request to the disk while it comes, in bounded memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

from graders_engine.errors import Mistake
from graders_engine.server.exchange import Exchange
from graders_engine.server.files.form import FILE, UploadForm, too_large
from graders_engine.server.responses import Refused
from graders_engine.server.store.served import ServedStore
from graders_engine.storage.blobs import PartFile
from graders_engine.storage.files import StoredFile

MAX_UPLOADS = 64
"""At a time; each has an open file."""
MOST_WAITING, LEAST_WAITING = 512 << 10, 32 << 10
"""Bytes of an upload in memory before they are written: as many, or fewer where others come, too."""
ALL_WAITING = 4 << 20
"""The same of all uploads together."""
FORM_BYTES = 64 << 10
"""So much a form may have besides its file."""


class Uploads:
    """The uploads that come just now.

    Args:
        served: where they are stored.
    """

    def __init__(self, served: ServedStore) -> None:
        self._served = served
        self._reserved: dict[Exchange, int] = {}

    def __len__(self) -> int:
        return len(self._reserved)

    async def receive(self, exchange: Exchange) -> StoredFile:
        """Store the file of a request.

        Raises:
            Refused: the request is wrong, or the server cannot take the file.
            ClientGone: the client closed the connection before the body's end.
            StoreError: the disk is full, or fails.
        """
        headers = exchange.headers
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            message = "The body must not be encoded: send it without `Content-Encoding`."
            raise Refused(415, Mistake(message, code="unsupported_encoding"))
        form = UploadForm(headers.get(b"content-type", b""), self._served.max_file_bytes)
        declared = headers.get(b"content-length", b"0")
        size = int(declared) if declared.isdigit() and len(declared) < _DIGITS else 0
        if size > self._served.max_file_bytes + FORM_BYTES:
            raise too_large(self._served.max_file_bytes)
        with self._admitted(exchange):
            await self._reserve(exchange, size)
            return await self._store(exchange, form)

    @contextlib.contextmanager
    def _admitted(self, exchange: Exchange) -> Iterator[None]:
        if len(self._reserved) >= MAX_UPLOADS:
            message = f"{MAX_UPLOADS} files are uploaded just now; retry later."
            raise Refused(429, Mistake(message, code="busy"), {"retry-after": "1"})
        self._reserved[exchange] = 0
        try:
            yield
        finally:
            del self._reserved[exchange]

    async def _reserve(self, exchange: Exchange, size: int) -> None:
        """Make sure that there is room for so many bytes in all, among others that come, too."""
        if size <= self._reserved[exchange]:
            return
        self._reserved[exchange] = size
        stored = await self._served.call(self._served.store.files.total_bytes)
        if stored + sum(self._reserved.values()) > self._served.max_bytes + FORM_BYTES:
            message = (
                f"Invalid 'file': with it, this server's files would have more than {self._served.max_bytes} "
                "bytes. Delete some first."
            )
            raise Refused(400, Mistake(message, FILE, "storage_limit_exceeded"))

    async def _store(self, exchange: Exchange, form: UploadForm) -> StoredFile:
        files = self._served.store.files
        part: PartFile | None = None
        writing: asyncio.Future[None] | None = None
        stored = False
        try:
            more = True
            while more:
                chunk, more = await exchange.read_chunk()
                form.feed(chunk)
                if form.waiting_bytes < self._most_waiting() and more:
                    continue
                if writing is not None:
                    await writing
                if form.file_name is not None:
                    await self._reserve(exchange, form.file_bytes)
                    if part is None:
                        part = await self._served.call(files.new_part)
                    writing = self._served.begin(_write, part, form.take())
            if writing is not None:
                await writing
            name, purpose, expires_after_s = form.finish()
            assert part is not None  # noqa: S101 - the form has a file, whose first piece made it
            file = await self._served.call(
                files.add, part, project=exchange.project, purpose=purpose, name=name,
                expires_after_s=expires_after_s,
            )  # fmt: skip
            stored = True
            return file
        finally:
            if part is not None and not stored:
                if writing is not None:
                    await asyncio.gather(writing, return_exceptions=True)
                await self._served.call(part.discard)

    def _most_waiting(self) -> int:
        share = ALL_WAITING // max(1, len(self._reserved))
        return min(MOST_WAITING, max(LEAST_WAITING, share))


def _write(part: PartFile, pieces: Sequence[bytes]) -> None:
    for piece in pieces:
        part.write(piece)


_DIGITS = 19
