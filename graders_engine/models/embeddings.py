"""Texts to vectors: the protocol of a backend, the backends by name, and requests in batches.

A backend embeds a list of texts. `BatchedEmbeddings` wraps it: it asks for each text once, as long as its
vector is remembered, and puts the texts that several rows need at the same time into one request.
"""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from cachetools import LRUCache

from graders_engine.errors import BackendFailure, InvalidRequest
from graders_engine.models.redaction import is_plain
from graders_engine.tasks import SharedTask
from graders_engine.version import how_to_install

if TYPE_CHECKING:
    from graders_engine.models.endpoint import Endpoint, EndpointSettings

FindEndpoint = Callable[[str], "tuple[Endpoint, EndpointSettings]"]
"""Gives the endpoint with a name or an address; the default one for an empty text."""

HOW = (
    "name an embedding backend: 'openai:MODEL' (any OpenAI-compatible endpoint: the default one of "
    "graders.toml, or the address in OPENAI_BASE_URL; 'openai:MODEL@ENDPOINT' for another one of "
    "graders.toml, 'openai:MODEL@https://host/v1' for an address; the key in OPENAI_API_KEY), "
    f"'model2vec:FOLDER-OR-HUB-NAME' (on this machine; {how_to_install('embeddings')}), "
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
        if not hasattr(spec, "embed"):
            kind = type(spec).__name__
            raise InvalidRequest(
                f"Embeddings are a name or an object with `embed`, not a {kind}: {HOW}."
            )
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
        self._gathering: _Batch | None = None
        self._pending: dict[bytes, _Batch] = {}
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
        batch = self._pending.get(key)
        if batch is None or not batch.request.is_open:
            batch = self._pending[key] = self._batch_for(key, text)
        try:
            # Several rows wait for one batch: one that is cancelled must not take it from the others.
            return (await batch.request.wait())[key]
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and not (task and task.cancelling()):
                raise BackendFailure(CLOSED) from None
            raise

    def _batch_for(self, key: bytes, text: str) -> _Batch:
        """The batch that waits for more texts, or a new one, with this text."""
        batch = self._gathering
        if batch is None or not batch.request.is_open:
            batch = self._gathering = _Batch(self._ask)
        batch.texts[key] = text
        if len(batch.texts) >= self.backend.batch:
            batch.full.set()
            self._gathering = None
        return batch

    async def _ask(self, batch: _Batch) -> dict[bytes, array[float]]:
        """The vectors of a batch, when it is full or has waited long enough."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(BATCH_WAIT_S):
                    await batch.full.wait()
            if self._gathering is batch:
                self._gathering = None
            rows = await self.backend.embed(list(batch.texts.values()))
            self._check(rows, len(batch.texts))
            vectors = dict(zip(batch.texts, map(normalised, rows), strict=True))
            for key, vector in vectors.items():
                if _size_bytes(vector) <= self._vectors.maxsize:
                    self._vectors[key] = vector
            return vectors
        finally:
            for key in batch.texts:
                if self._pending.get(key) is batch:
                    del self._pending[key]

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
        for batch in set(self._pending.values()):
            await batch.request.end()
        await self.backend.close()


class _Batch:
    """Texts for one request, by key, and the request."""

    def __init__(
        self, ask: Callable[[_Batch], Coroutine[Any, Any, dict[bytes, array[float]]]]
    ) -> None:
        self.texts: dict[bytes, str] = {}
        self.full = asyncio.Event()
        self.request = SharedTask(ask(self))


def _size_bytes(vector: array[float]) -> int:
    return len(vector) * vector.itemsize


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
