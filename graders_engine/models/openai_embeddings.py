"""Embeddings from any OpenAI-compatible endpoint: POST {base_url}/embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graders_engine.errors import BackendFailure
from graders_engine.language import strict_json
from graders_engine.models.endpoint import Endpoint, EndpointSettings
from graders_engine.models.error_body import lacks_model
from graders_engine.models.replies.forms import token_count

MAX_COMPONENT = 1e150
"""The length of a vector with larger components cannot be computed in doubles."""


class OpenAIEmbeddings:
    """A model behind an endpoint; requests keep to its limits and are tried again.

    Args:
        model: its name at the endpoint.
        endpoint: where it is asked.
        settings: what describes the endpoint, for the signature and the keys of each request.
    """

    batch = (
        256  # the API takes 2,048 texts and 300,000 tokens; long texts reach the second limit first
    )

    def __init__(self, model: str, endpoint: Endpoint, settings: EndpointSettings) -> None:
        self.model = model
        self.signature = f"openai-compatible embeddings, {model} at {endpoint.address}"
        if options := settings.options():
            self.signature += f", options {options}"
        self._endpoint = endpoint
        self._extra_body = dict(settings.extra_body)

    async def embed(self, texts: Sequence[str]) -> list[Any]:
        """One vector for each text.

        Raises:
            BackendFailure: the endpoint did not answer, or not with vectors.
        """
        body = {"model": self.model, "input": list(texts), "encoding_format": "float"}
        try:
            answer = await self._endpoint.post(
                "/embeddings", strict_json.encode(body | self._extra_body), _tokens_of
            )
        except BackendFailure as error:
            if not lacks_model(error, self.model):
                raise
            answer_fields = error.answer() | {"cause": "refused"}
            advice = "Name a model that this endpoint has: --embeddings openai:MODEL."
            raise BackendFailure(f"{error}. {advice}", **answer_fields) from None
        address = f"{self._endpoint.address}/embeddings"
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            vectors = [row["embedding"] for row in rows]
        except (KeyError, TypeError):
            raise BackendFailure(
                f"{address} answered without embeddings: {str(answer)[:200]}"
            ) from None
        if not all(_is_vector(vector) for vector in vectors):
            raise BackendFailure(
                f"{address} answered with embeddings that are not lists of numbers"
            )
        return vectors

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()


def _tokens_of(answer: Any) -> int:
    usage = answer.get("usage") if isinstance(answer, dict) else None
    return token_count(usage.get("total_tokens")) if isinstance(usage, dict) else 0


def _is_vector(vector: Any) -> bool:
    return isinstance(vector, list) and bool(vector) and all(map(_is_number, vector))


def _is_number(value: Any) -> bool:
    return type(value) in (float, int) and abs(value) < MAX_COMPONENT
