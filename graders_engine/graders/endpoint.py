"""endpoint: an HTTP server of the user's gives the score (Azure's extension of the format)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from graders_engine.graders import wording
from graders_engine.graders.base import GraderSpec
from graders_engine.graders.fields import found


def _http(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        reason = f"'{url}' is not a URL that starts with http:// or https://."
        raise found(lambda path: [wording.invalid(path, reason)])
    return url


class EndpointGrader(GraderSpec):
    """Sends sample and item to `url` and takes the score that comes back."""

    type: Literal["endpoint"]
    url: Annotated[str, AfterValidator(_http)]
    headers: dict[str, str] | None = None
    rate_limit: Annotated[float, Field(ge=0.0)] | None = None
