"""Texts to vectors: the protocol of a backend, the backends by name, and requests in batches.

A backend embeds a list of texts. `BatchedEmbeddings` wraps it: it asks for each text once, as long as its
vector is remembered, and puts the texts that several rows need at the same time into one request.
"""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from cachetools import LRUCache

from graders_engine.errors import BackendFailure, InvalidRequest
from graders_engine.models.redaction import is_plain

if TYPE_CHECKING:
    from graders_engine.models.endpoint import Endpoint, EndpointSettings

FindEndpoint = Callable[[str], "tuple[Endpoint, EndpointSettings]"]
"""Gives the endpoint with a name or an address; the default one for an empty text."""

HOW = (
    "name an embedding backend: 'openai:MODEL' (any OpenAI-compatible endpoint: the default one of "
    "graders.toml, or the address in OPENAI_BASE_URL; 'openai:MODEL@ENDPOINT' for another one of "
    "graders.toml, 'openai:MODEL@https://host/v1' for an address; the key in OPENAI_API_KEY), "
    "'model2vec:FOLDER-OR-HUB-NAME' (on this machine; pip install 'graders-engine[embeddings]'), "
    "or 'lexical' (hashed words: same words, not same meaning)"
)
"""What to do without a backend."""

CACHE_BYTES = 256 << 20
"""Memory for vectors; the least recently used ones are dropped."""
BATCH_WAIT_S = 0.002
"""How long the first text of a request waits for others."""
CLOSED = "the engine was closed before the vector arrived"


class EmbeddingBackend(Protocol):
    """Turns texts into vectors.

    Attributes:
        signature: what decides the numbers, for reports: the backend and its model; no secrets.
        batch: texts in one call of `embed`, at most.
    """

    signature: str
    batch: int

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """One vector for each text, all of one length. The texts are distinct and none is empty.

        Raises:
            BackendFailure: there are no vectors.
        """
        ...

    async def close(self) -> None:
        """Release what the backend holds."""
        ...


def _openai(argument: str, find_endpoint: FindEndpoint) -> EmbeddingBackend:
    from graders_engine.models.openai_embeddings import OpenAIEmbeddings

    model, _, place = argument.partition("@")
    if not model:
        raise InvalidRequest(
            "Which model? Write 'openai:MODEL', such as 'openai:text-embedding-3-large'."
        )
    return OpenAIEmbeddings(model, *find_endpoint(place))


def _model2vec(argument: str, find_endpoint: FindEndpoint) -> EmbeddingBackend:
    from graders_engine.models.static_embeddings import StaticEmbeddings

    return StaticEmbeddings(argument)


def _lexical(argument: str, find_endpoint: FindEndpoint) -> EmbeddingBackend:
    from graders_engine.models.lexical_embeddings import LexicalEmbeddings

    return LexicalEmbeddings(argument)


BACKENDS: dict[str, Callable[[str, FindEndpoint], EmbeddingBackend]] = {
    "openai": _openai,
    "model2vec": _model2vec,
    "lexical": _lexical,
}
"""By the first word of a spec; each is called with what follows the colon, and imports what it needs."""


def open_embeddings(spec: str | EmbeddingBackend, find_endpoint: FindEndpoint) -> EmbeddingBackend:
    """The backend for a spec such as "openai:text-embedding-3-large"; a backend is returned as it is.

    Args:
        spec: what to open.
        find_endpoint: knows graders.toml and the settings of requests.

    Raises:
        InvalidRequest: there is no such backend, or it cannot be made.
    """
    if not isinstance(spec, str):
        return spec
    scheme, _, argument = spec.partition(":")
    if scheme not in BACKENDS:
        # What is no plain word may be an address or a key.
        name = f" '{scheme}'" if is_plain(scheme) and ":" in spec else " of this name"
        raise InvalidRequest(f"There is no embedding backend{name}: {HOW}.")
    return BACKENDS[scheme](argument, find_endpoint)


class BatchedEmbeddings:
    """A backend's vectors: each text is asked for once, and texts needed at the same time in one request.

    Vectors are scaled to length 1, so that a cosine is a sum of products. Use it from one event loop.

    Args:
        backend: what embeds.
        cache_bytes: memory for the vectors that are remembered.
    """

    def __init__(self, backend: EmbeddingBackend, cache_bytes: int = CACHE_BYTES) -> None:
        self.backend = backend
        self._dimensions: set[int] = set()
        self._vectors: LRUCache[bytes, array[float]] = LRUCache(cache_bytes, getsizeof=_size_bytes)
        self._waiting: dict[bytes, tuple[str, asyncio.Future[array[float]]]] = {}
        self._pending: dict[bytes, asyncio.Future[array[float]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def vector(self, text: str) -> array[float]:
        """The text's vector, of length 1 (or 0, where the backend gives nothing but zeros).

        Raises:
            BackendFailure: the backend gives none.
        """
        key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        vector = self._vectors.get(key)
        if vector is not None:
            return vector
        if self._closed:
            raise BackendFailure(CLOSED)
        if key not in self._pending:
            if not self._waiting:
                self._begin(self._send_soon())
            future: asyncio.Future[array[float]] = asyncio.get_running_loop().create_future()
            self._waiting[key] = (text, future)
            self._pending[key] = future
            if len(self._waiting) >= self.backend.batch:
                self._send()
        # Several rows may wait for one text: one that is cancelled must not take it from the others.
        return await asyncio.shield(self._pending[key])

    async def _send_soon(self) -> None:
        await asyncio.sleep(BATCH_WAIT_S)
        self._send()

    def _send(self) -> None:
        batch, self._waiting = self._waiting, {}
        if batch:
            self._begin(self._ask(batch))

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, batch: dict[bytes, tuple[str, asyncio.Future[array[float]]]]) -> None:
        try:
            rows = await self.backend.embed([text for text, _ in batch.values()])
            self._check(rows, len(batch))
            vectors = [normalised(row) for row in rows]
        except Exception as error:  # noqa: BLE001 - the boundary: those that wait get the error, whatever it is
            for key in batch:
                _fail(self._pending.pop(key), error)
            return
        for (key, (_, future)), vector in zip(batch.items(), vectors, strict=True):
            if _size_bytes(vector) <= self._vectors.maxsize:
                self._vectors[key] = vector
            del self._pending[key]
            if not future.done():
                future.set_result(vector)

    def _check(self, vectors: Sequence[Sequence[float]], texts: int) -> None:
        if len(vectors) != texts:
            raise BackendFailure(
                f"{self.backend.signature} gave {len(vectors)} vectors for {texts} texts"
            )
        lengths = sorted({len(vector) for vector in vectors} | self._dimensions)
        if len(lengths) > 1:
            listed = " and ".join(map(str, lengths))
            raise BackendFailure(f"{self.backend.signature} gave vectors of {listed} dimensions")
        self._dimensions = set(lengths)

    async def close(self) -> None:
        """Cancel the requests in flight and close the backend."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for future in self._pending.values():
            _fail(future, BackendFailure(CLOSED))
        await self.backend.close()


def _size_bytes(vector: array[float]) -> int:
    return len(vector) * vector.itemsize


def _fail(future: asyncio.Future[array[float]], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # read, so that a row that was cancelled leaves no warning behind


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
