"""Texts to vectors: the port, the register of backends, and the gathering of requests.

A backend embeds a list of texts. `BatchedEmbeddings` wraps it: it asks for each text once a run, as long as
its vector is remembered, and puts what several rows want at the same time into one request.
"""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

from graders_engine.errors import BackendFailure, InvalidRequest

BACKENDS = {
    "openai": "graders_engine.models.openai_embeddings:OpenAIEmbeddings",
    "model2vec": "graders_engine.models.static_embeddings:StaticEmbeddings",
    "lexical": "graders_engine.models.lexical_embeddings:LexicalEmbeddings",
}
"""Scheme -> "module:Class", imported on first use; the class is called with what follows the colon."""

HOW = (
    "name an embedding backend: 'openai:MODEL' (any OpenAI-compatible endpoint; the address in "
    "OPENAI_BASE_URL or as 'openai:MODEL@https://host/v1', the key in OPENAI_API_KEY), "
    "'model2vec:FOLDER-OR-HUB-NAME' (on this machine; pip install 'graders-engine[embeddings]'), "
    "or 'lexical' (hashed words: same words, not same meaning)"
)
"""What to do when there is no backend."""

CACHE_BYTES = 256 << 20
"""Vectors that are remembered, at most; the least recently used go first."""
GATHER_S = 0.002
"""How long the first text of a request waits for others."""


class EmbeddingBackend(Protocol):
    """Turns texts into vectors.

    Attributes:
        signature: what decides the numbers, for reports: the backend and its model; no secrets.
        batch: texts in one call of `embed`, at most.
    """

    signature: str
    batch: int

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """One vector a text, all of one length. The texts are distinct and none is empty.

        Raises:
            BackendFailure: there are no vectors to be had.
        """
        ...

    async def close(self) -> None:
        """Give back what the backend holds."""
        ...


def open_embeddings(spec: str | EmbeddingBackend) -> EmbeddingBackend:
    """The backend for a spec such as "openai:text-embedding-3-large"; a backend itself is let through.

    Raises:
        InvalidRequest: there is no such backend, or it cannot be made.
    """
    if not isinstance(spec, str):
        return spec
    scheme, _, rest = spec.partition(":")
    if scheme not in BACKENDS:
        raise InvalidRequest(f"There is no embedding backend '{scheme}': {HOW}.")
    module, _, name = BACKENDS[scheme].partition(":")
    backend: EmbeddingBackend = getattr(import_module(module), name)(rest)
    return backend


class BatchedEmbeddings:
    """A backend's vectors, each text asked for once: cached by content, gathered into batches.

    Vectors come out with length 1, so that a cosine is a sum of products. Use it from one event loop.
    """

    def __init__(self, backend: EmbeddingBackend, cache_bytes: int = CACHE_BYTES) -> None:
        self.backend = backend
        self._cache_bytes = cache_bytes
        self._held_bytes = 0
        self._dimensions: set[int] = set()
        self._vectors: OrderedDict[bytes, array[float]] = OrderedDict()
        self._wanted: dict[bytes, tuple[str, asyncio.Future[array[float]]]] = {}
        self._asked: dict[bytes, asyncio.Future[array[float]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def vector(self, text: str) -> array[float]:
        """The text's vector, of length 1 (or 0, where the backend gives nothing but zeros).

        Raises:
            BackendFailure: there is none to be had.
        """
        key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if key in self._vectors:
            self._vectors.move_to_end(key)
            return self._vectors[key]
        if key not in self._asked:
            if not self._wanted:
                self._begin(self._send_soon())
            future: asyncio.Future[array[float]] = asyncio.get_running_loop().create_future()
            self._wanted[key] = (text, future)
            self._asked[key] = future
            if len(self._wanted) >= self.backend.batch:
                self._send()
        # Several rows may wait for one text: one that gives up must not take it from the others.
        return await asyncio.shield(self._asked[key])

    async def _send_soon(self) -> None:
        await asyncio.sleep(GATHER_S)
        self._send()

    def _send(self) -> None:
        wanted, self._wanted = self._wanted, {}
        if wanted:
            self._begin(self._ask(wanted))

    def _begin(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, wanted: dict[bytes, tuple[str, asyncio.Future[array[float]]]]) -> None:
        try:
            rows = await self.backend.embed([text for text, _ in wanted.values()])
            self._check(rows, len(wanted))
            vectors = [normalised(row) for row in rows]
        except Exception as error:  # noqa: BLE001 - the boundary: whoever waits gets the error, whatever it is
            for key in wanted:
                _fail(self._asked.pop(key), error)
            return
        for (key, (_, future)), vector in zip(wanted.items(), vectors, strict=True):
            self._remember(key, vector)
            del self._asked[key]
            if not future.done():
                future.set_result(vector)

    def _check(self, vectors: Sequence[Sequence[float]], wanted: int) -> None:
        if len(vectors) != wanted:
            raise BackendFailure(
                f"{self.backend.signature} gave {len(vectors)} vectors for {wanted} texts"
            )
        lengths = sorted({len(vector) for vector in vectors} | self._dimensions)
        if len(lengths) > 1:
            listed = " and ".join(map(str, lengths))
            raise BackendFailure(f"{self.backend.signature} gave vectors of {listed} dimensions")
        self._dimensions = set(lengths)

    def _remember(self, key: bytes, vector: array[float]) -> None:
        self._vectors[key] = vector
        self._held_bytes += len(vector) * vector.itemsize
        while self._held_bytes > self._cache_bytes and len(self._vectors) > 1:
            _, oldest = self._vectors.popitem(last=False)
            self._held_bytes -= len(oldest) * oldest.itemsize

    async def close(self) -> None:
        """End what is under way and close the backend."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for future in self._asked.values():
            _fail(future, BackendFailure("the engine was closed before the vector came"))
        await self.backend.close()


def _fail(future: asyncio.Future[array[float]], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # read, so that a row that gave up leaves no warning behind


def normalised(values: Sequence[float]) -> array[float]:
    """The vector divided by its length; zeros stay zeros."""
    vector = array("d", values)
    length = sum(value * value for value in vector) ** 0.5
    return array("d", [value / length for value in vector]) if length else vector


def cosine(left: array[float], right: array[float]) -> float:
    """The cosine of the angle between two vectors of length 1, clamped to [0, 1].

    Raises:
        BackendFailure: they differ in their number of dimensions.
    """
    if len(left) != len(right):
        raise BackendFailure(
            f"vectors of {len(left)} and {len(right)} dimensions cannot be compared"
        )
    product = sum([a * b for a, b in zip(left, right, strict=True)])
    return min(max(product, 0.0), 1.0)
