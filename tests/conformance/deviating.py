"""A server with planted differences: it changes requests before ours has them, or its answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

Body = dict[str, Any]


@dataclass(frozen=True)
class Planted:
    """A difference: what it does, and how a report names it.

    Attributes:
        topic: where a case shows it.
        difference: the report's words for one such case.
        ask: changes the text of a request.
        answer: changes an answer: given the request, the status and the body.
    """

    topic: str
    difference: str
    ask: Callable[[str], str] = lambda text: text
    answer: Callable[[Body, int, Body], tuple[int, Body]] = lambda _, status, body: (status, body)


def replaced(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


def _grader(request: Body) -> Body:
    grader = request.get("grader")
    return grader if isinstance(grader, dict) else {}


def _percent(request: Body, status: int, body: Body) -> tuple[int, Body]:
    if (
        status == 200
        and _grader(request).get("evaluation_metric") == "fuzzy_match"
        and "reward" in body
    ):
        body["reward"] *= 100
    return status, body


def _no_flag(name: str) -> Callable[[Body, int, Body], tuple[int, Body]]:
    def answer(_: Body, status: int, body: Body) -> tuple[int, Body]:
        if "metadata" in body:
            body["metadata"]["errors"][name] = False
        return status, body

    return answer


def _without(key: str) -> Callable[[Body, int, Body], tuple[int, Body]]:
    def answer(_: Body, status: int, body: Body) -> tuple[int, Body]:
        body.pop(key, None)
        return status, body

    return answer


def _accepted(request: Body, status: int, body: Body) -> tuple[int, Body]:
    """An operation that does not exist is taken."""
    if status == 400 and body["error"]["param"] == "operation":
        return 200, {"grader": request["grader"]}
    return status, body


def _no_code(_: Body, status: int, body: Body) -> tuple[int, Body]:
    if status == 400 and body["error"]["code"] == "unknown_parameter":
        body["error"]["code"] = None
    return status, body


def _unprocessable(_: Body, status: int, body: Body) -> tuple[int, Body]:
    """FastAPI's usual status for a request of a wrong form."""
    if status == 400 and body["error"]["code"] == "invalid_type":
        return 422, {"detail": "wrong type"}
    return status, body


PLANTED = {
    "`ilike` heeds the case": Planted(
        "string_check", "reward is 0.0, not 1.0", replaced('"ilike"', '"like"')
    ),
    "`fuzzy_match` is a percentage": Planted(
        "fuzzy_match", "reward is 80.0, not 0.8", answer=_percent
    ),
    "`output_json` is the text": Planted(
        "templates",
        "reward is 0.0, not 1.0",
        replaced("sample.output_json}}", "sample.output_text}}"),
    ),
    "an undefined variable is not told": Planted(
        "templates",
        "metadata.errors.invalid_variable_error is not true",
        answer=_no_flag("invalid_variable_error"),
    ),
    "a multi does not say what its parts gave": Planted(
        "multi", 'sub_rewards is absent, not {"a": 0.0, "b": 1.0}', answer=_without("sub_rewards")
    ),
    "`^` groups from the left": Planted(
        "formulas", "reward is 64.0, not 512.0", replaced('"2^3^2"', '"(2^3)^2"')
    ),
    "a key of the response is missing": Planted(
        "responses",
        "model_grader_token_usage_per_model is absent, not {}",
        answer=_without("model_grader_token_usage_per_model"),
    ),
    "an unknown operation is accepted": Planted(
        "validation", "HTTP 200, not 400: ", answer=_accepted
    ),
    "an unknown field has no code": Planted(
        "validation", 'error.code is null, not "unknown_parameter"', answer=_no_code
    ),
    "a wrong type has another status": Planted(
        "validation", "HTTP 422, not 400: ", answer=_unprocessable
    ),
}
"""Ten of the kind that emulators of the API have."""


@contextmanager
def deviating(ours: str) -> Iterator[str]:
    """The address of a server that differs from ours in all of `PLANTED`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            for planted in PLANTED.values():
                text = planted.ask(text)
            status, body = _asked(f"{ours}{self.path}", text)
            for planted in PLANTED.values():
                status, body = planted.answer(json.loads(text), status, body)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def _asked(url: str, text: str) -> tuple[int, Body]:
    request = Request(url, text.encode(), {"Content-Type": "application/json"})  # noqa: S310 - ours
    try:
        with urlopen(request) as answer:  # noqa: S310 - ours
            return answer.status, json.loads(answer.read())
    except HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())
