"""endpoint: an HTTP server of the user's gives the score (Azure's extension of the format)."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from graders_engine.errors import (
    BackendFailure,
    EndpointFailure,
    EndpointUnparsable,
    UnavailableGrader,
    UnrenderableValue,
)
from graders_engine.graders import mistakes, verdict
from graders_engine.graders.base import GraderSpec, Services
from graders_engine.graders.fields import field_error
from graders_engine.language import strict_json
from graders_engine.language.scope import Scope
from graders_engine.models.http import HttpClient, JsonClient
from graders_engine.models.rate_limiter import RateLimiter
from graders_engine.models.redaction import Secrets, quoted_if_plain, read_address
from graders_engine.models.retry import OnRetry, RetryPolicy
from graders_engine.outcome import Outcome, rewarded


def endpoint_client(on_retry: OnRetry | None = None, secrets: Secrets | None = None) -> HttpClient:
    """What sends rows to endpoints: three retries, and answers of 1 MB at most, as in Azure.

    Args:
        on_retry: called before each further attempt.
        secrets: keys that are masked in answers, besides those of the grader.
    """
    return HttpClient(
        RetryPolicy(attempts=4),
        1 << 20,
        on_retry,
        secrets=secrets,
        decode=strict_json.decode_unique,
    )


def _http(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        reason = f"{quoted_if_plain(url)} is not a URL that starts with http:// or https://."
        raise field_error(lambda path: [mistakes.invalid(path, reason)])
    try:
        read_address(url)
    except ValueError as error:
        reason = f"the URL {error}."
        raise field_error(lambda path: [mistakes.invalid(path, reason)]) from None
    return url


class EndpointGrader(GraderSpec):
    """Sends sample and item to `url` and takes the score from the answer."""

    type: Literal["endpoint"]
    url: Annotated[str, AfterValidator(_http)]
    headers: dict[str, str] | None = None
    rate_limit: Annotated[float, Field(ge=0.0)] | None = Field(
        None, description="Requests a minute; 0 is no limit."
    )

    def reads_sample(self) -> bool:
        """It sends it."""
        return True

    def compile(self, services: Services) -> EndpointEvaluator:
        """Make the evaluator.

        Raises:
            UnavailableGrader: this engine sends nothing to addresses that graders name.
        """
        if services.endpoints is None:
            raise UnavailableGrader(
                "endpoint graders are not run here: they send rows to the address that the grader names."
            )
        return EndpointEvaluator(self, services.endpoints)


class EndpointEvaluator:
    """Evaluates an `EndpointGrader`."""

    waits = True

    def __init__(self, spec: EndpointGrader, client: JsonClient) -> None:
        from graders_engine.models.endpoint import Endpoint  # few graders need it

        limiter = RateLimiter(spec.rate_limit or None, adaptive=False)
        self._endpoint = Endpoint(spec.url, client, headers=spec.headers, limiter=limiter)

    async def evaluate(self, scope: Scope) -> Outcome:
        """The score that the server gives."""
        row = {"sample": scope.sample(), "item": scope.item, "trace_id": str(uuid.uuid4())}
        try:
            body = strict_json.encode_exactly(row)
        except ValueError as error:
            raise UnrenderableValue(str(error)) from None
        try:
            answer = await self._endpoint.post("", body)
        except BackendFailure as error:
            raise EndpointFailure(str(error), error.cause) from None
        try:
            return rewarded(verdict.number(answer["score"]))
        except (LookupError, TypeError, ValueError, OverflowError):
            raise EndpointUnparsable(
                f"{self._endpoint.address} answered without a number as `score`: {str(answer)[:200]}"
            ) from None
