"""Embeddings from any OpenAI-compatible endpoint: POST {base_url}/embeddings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from graders_engine.errors import BackendFailure, InvalidRequest
from graders_engine.models.http import HttpClient

LARGEST = 1e150
"""Beyond this a vector's length is no double any more."""
DEFAULT_BASE_URL = "https://api.openai.com/v1"


class OpenAIEmbeddings:
    """A model behind an endpoint.

    Args:
        spec: the model's name, or "MODEL@BASE_URL".
        base_url: the endpoint; from the environment's OPENAI_BASE_URL when left out, else OpenAI's own.
        api_key: sent as a bearer token; from OPENAI_API_KEY when left out. None where there is neither.
        client: what sends the requests.

    Raises:
        InvalidRequest: no model is named, or the endpoint is no http address.
    """

    batch = (
        256  # the API takes 2,048 texts and 300,000 tokens; long texts reach the second limit first
    )

    def __init__(
        self,
        spec: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        client: HttpClient | None = None,
    ) -> None:
        model, _, address = spec.partition("@")
        if not model:
            raise InvalidRequest(
                "Which model? Write 'openai:MODEL', such as 'openai:text-embedding-3-large'."
            )
        url = base_url or address or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL
        if not url.startswith(("http://", "https://")):
            raise InvalidRequest(
                f"The embedding endpoint '{url}' must start with http:// or https://."
            )
        self.model = model
        self.signature = f"openai-compatible embeddings, {model} at {url}"
        self._url = url.rstrip("/") + "/embeddings"
        key = api_key or os.environ.get("OPENAI_API_KEY")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = client or HttpClient()

    async def embed(self, texts: Sequence[str]) -> list[Any]:
        """One vector a text.

        Raises:
            BackendFailure: the endpoint did not answer, or not with vectors.
        """
        body = {"model": self.model, "input": list(texts), "encoding_format": "float"}
        answer = await self._client.post(self._url, body, self._headers)
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            vectors = [row["embedding"] for row in rows]
        except (KeyError, TypeError):
            raise BackendFailure(
                f"{self._url} answered without embeddings: {str(answer)[:200]}"
            ) from None
        if not all(_is_vector(vector) for vector in vectors):
            raise BackendFailure(
                f"{self._url} answered with embeddings that are not lists of numbers"
            )
        return vectors

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _is_vector(vector: Any) -> bool:
    return isinstance(vector, list) and bool(vector) and all(map(_is_number, vector))


def _is_number(value: Any) -> bool:
    return type(value) in (float, int) and abs(value) < LARGEST
