"""What goes back over the wire: a graded row's JSON, and the error object of a refused request."""

from __future__ import annotations

import html
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from graders_engine.errors import (
    BudgetSpent,
    DataSetError,
    InvalidGrader,
    InvalidRequest,
    LifecycleError,
    Mistake,
    RunStopped,
)
from graders_engine.files import without_paths
from graders_engine.graders.base import RewardsDiffer
from graders_engine.language import strict_json
from graders_engine.outcome import RowOutcome
from graders_engine.response import GraderErrors, made_up_name, present_run
from graders_engine.storage.errors import StoreError, UnknownCursor

NO_RETRY = {"x-should-retry": "false"}
"""Tells the SDKs, which retry 409, 429 and 5xx, that the same request would fail the same way."""
_TYPES = {429: "rate_limit_error"}
_NO_FLAGS = msgspec.json.encode(GraderErrors().model_dump())
_TAIL = (
    b',"scores":{},"token_usage":null,"sampled_model_name":null},"sub_rewards":{},'
    b'"model_grader_token_usage_per_model":{}}'
)
_encode = msgspec.json.encode


class Refused(Exception):
    """Raised when the response to a request is an error.

    Attributes:
        status: the HTTP status, 400 to 599.
        mistake: what is wrong, in the fields of the API's error object.
        headers: further headers of the response.
    """

    def __init__(
        self, status: int, mistake: Mistake, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(mistake.message)
        self.status, self.mistake, self.headers = status, mistake, headers or {}


class ClientGone(Exception):
    """Raised when the client has closed the connection and no longer waits for the response."""


def refusal(error: Exception) -> Refused | None:
    """The response to a request that raised this; None when it is a bug of ours."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, InvalidGrader):
        return Refused(400, error.mistakes[0])
    if isinstance(error, UnknownCursor):
        return Refused(400, Mistake(str(error), "after", "invalid_value"))
    if isinstance(error, InvalidRequest):
        return Refused(400, Mistake(str(error)))
    if isinstance(error, RewardsDiffer):
        return Refused(400, Mistake(error.reason, code="rewards_differ"), NO_RETRY)
    if isinstance(error, RunStopped):  # a model that was there when the request came
        return Refused(400, Mistake(error.reason, code="model_not_available"), NO_RETRY)
    if isinstance(error, BudgetSpent):
        return Refused(429, Mistake(str(error), code="insufficient_quota"), NO_RETRY)
    if isinstance(error, (DataSetError, StoreError)):  # the cache of replies, or the store, fails
        return Refused(500, Mistake(str(error), code="storage_error"), NO_RETRY)
    if isinstance(error, LifecycleError):
        return Refused(503, Mistake("The server is shutting down.", code="shutting_down"))
    return None


def error_body(status: int, mistake: Mistake) -> bytes:
    """The error object: `{"error": {"message", "type", "param", "code"}}`, without paths of this machine."""
    default = "invalid_request_error" if status < 500 else "server_error"
    error = {
        "message": mistake.message if status < 500 else without_paths(mistake.message),
        "type": _TYPES.get(status, default),
        "param": mistake.param,
        "code": mistake.code,
    }
    return strict_json.encode({"error": error})


_ERROR_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{status}: {reason}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }}
</style>
</head>
<body>
<h1>{reason}</h1>
<p>{message}</p>
<p><a href="/">What this server has</a></p>
</body>
</html>
"""
ERROR_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def error_page(status: int, mistake: Mistake) -> bytes:
    """What `error_body` says, for people whose browser opened the path."""
    message = html.escape(without_paths(mistake.message))
    reason = HTTPStatus(status).phrase
    return _ERROR_PAGE.format(status=status, reason=reason, message=message).encode()


class Presenter:
    """Writes graded rows of one grader as JSON: the same as `present_run`, several times faster.

    Rows without failures differ in their numbers only, so the rest is written once.

    Args:
        name: the grader's name; when it is None, one name is made up for all rows.
        type_: the grader's `type`.
        with_blame: whether the key `blame` is added, which the hosted API does not have.
    """

    __slots__ = ("_head", "_name", "_tail", "_type", "_with_blame")

    def __init__(self, name: str | None, type_: str, *, with_blame: bool = False) -> None:
        self._with_blame = with_blame
        self._tail = _TAIL[:-1] + b',"blame":null}' if with_blame else _TAIL
        self._name = made_up_name() if name is None else name
        self._type = type_
        about = strict_json.encode({"name": self._name, "type": type_})
        self._head = (
            b',"metadata":' + about[:-1] + b',"errors":' + _NO_FLAGS + b',"execution_time":'
        )

    def __call__(self, row: RowOutcome) -> bytes:
        """The response to one row."""
        outcome = row.outcome
        if (
            outcome.failures
            or outcome.sub_rewards
            or outcome.scores
            or outcome.usage
            or row.sample_flags
        ):
            response: dict[str, Any] = present_run(
                row, name=self._name, type_=self._type
            ).model_dump()
            if self._with_blame:
                response["blame"] = outcome.blame
            return strict_json.encode(response)
        return b"".join(
            (
                b'{"reward":',
                _encode(float(outcome.served)),
                self._head,
                _encode(row.seconds),
                self._tail,
            )
        )
