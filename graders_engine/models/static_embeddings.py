"""Static word embeddings on this machine, through the `model2vec` package (extra `embeddings`)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from graders_engine.errors import InvalidRequest
from graders_engine.version import how_to_install


class StaticEmbeddings:
    """A model2vec model from a folder or by its name on the Hugging Face hub.

    Args:
        path: the folder or name. The package downloads a name once.

    Raises:
        InvalidRequest: the package is not installed, or the model cannot be loaded.
    """

    batch = 1024

    def __init__(self, path: str) -> None:
        if not path:
            raise InvalidRequest("Which model? Write 'model2vec:FOLDER' or 'model2vec:HUB-NAME'.")
        try:
            from model2vec import StaticModel
        except ImportError:
            raise InvalidRequest(
                "The embedding backend 'model2vec' needs a package: "
                f"{how_to_install('embeddings')}."
            ) from None
        try:
            self._model: Any = StaticModel.from_pretrained(path, force_download=False)
        except Exception as error:  # the boundary to the package, which documents no errors
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InvalidRequest(f"model2vec cannot load '{path}': {reason}") from error
        self.signature = f"model2vec {version('model2vec')}, {path}"

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text, computed in a thread."""
        return await asyncio.to_thread(self._embed, list(texts))

    def _embed(self, texts: list[str]) -> list[list[float]]:
        # Its tokenizer rejects lone surrogates, which mean nothing to a table of words.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        vectors: list[list[float]] = self._model.encode(clean, use_multiprocessing=False).tolist()
        return vectors

    async def close(self) -> None:
        """Release the model."""
        self._model = None
