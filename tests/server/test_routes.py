"""The table of routes, and an application to which another room has added its own."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import pytest

from graders_engine.engine import AsyncEngine
from graders_engine.server.app import App
from graders_engine.server.exchange import Exchange, Message
from graders_engine.server.logs import Log
from graders_engine.server.openapi import document
from graders_engine.server.routes import PREFIXES, Body, Operation, Route, RouteTable
from graders_engine.server.settings import ServerSettings
from graders_engine.server.telemetry import ServerMetrics
from tests.server.serving import Answer


async def show(exchange: Exchange) -> None:
    """Answer with all that the handler was given."""
    seen = {"parameters": dict(exchange.path_parameters), "body": exchange.body.decode()}
    await exchange.respond(200, json.dumps(seen).encode())


async def upload(exchange: Exchange) -> None:
    """Answer with the lengths of the chunks in which the body came."""
    lengths, more = [], True
    while more:
        chunk, more = await exchange.read_chunk()
        lengths.append(len(chunk))
    await exchange.respond(200, json.dumps(lengths).encode())


async def fail(exchange: Exchange) -> None:
    raise ZeroDivisionError("sk-in-the-message")


ROUTES = [
    Route("GET", "/files", show),
    Route("POST", "/files", upload, body=Body.STREAM),
    Route("GET", "/files/{file_id}", show),
    Route("DELETE", "/files/{id}", show),
    Route("GET", "/files/{file_id}/content", show),
    Route("GET", "/files/latest", show),
    Route("POST", "/jobs/{job}/events/{event}", show, body=Body.JSON),
    Route("GET", "/public", show, needs_key=False, versioned=False),
    Route("GET", "/broken", fail),
]


async def no_handler(exchange: Exchange) -> None:
    raise AssertionError("the table only finds routes")


class Client:
    """Asks an application without a network."""

    def __init__(self, routes: Sequence[Route] = ROUTES, **settings: Any) -> None:
        self.log_file = io.BytesIO()
        self.metrics = ServerMetrics()
        log = Log(self.log_file)
        self._app = App(AsyncEngine(), ServerSettings(**settings), self.metrics, log, routes=routes)

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_file.getvalue().splitlines()]

    def ask(self, method: str, path: str, *chunks: bytes, **headers: str) -> Answer:
        messages: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
        ]
        messages.append({"type": "http.request", "body": b"", "more_body": False})
        sent: list[Message] = []

        async def receive() -> Message:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "scheme": "http",
            "query_string": query.encode(),
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        }
        asyncio.run(self._app(scope, receive, send))
        start, *rest = sent
        return Answer(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(message["body"] for message in rest),
        )


@pytest.mark.parametrize(
    ("method", "path", "pattern", "parameters"),
    [
        ("GET", "/files", "/files", {}),
        ("HEAD", "/v1/files", "/files", {}),
        ("GET", "/files/f-1", "/files/{file_id}", {"file_id": "f-1"}),
        ("DELETE", "/v1/files/f-1", "/files/{id}", {"id": "f-1"}),
        ("GET", "/files/f.1/content", "/files/{file_id}/content", {"file_id": "f.1"}),
        ("POST", "/jobs/7/events/a b", "/jobs/{job}/events/{event}", {"job": "7", "event": "a b"}),
        ("GET", "/public", "/public", {}),
    ],
)
def test_a_method_and_a_path_find_their_route(
    method: str, path: str, pattern: str, parameters: dict[str, str]
) -> None:
    route, found = RouteTable(ROUTES).find(method, path)
    assert (route.pattern, dict(found)) == (pattern, parameters)


def test_a_path_without_parameters_comes_before_a_pattern_that_it_matches() -> None:
    route, _ = RouteTable(ROUTES).find("GET", "/files/latest")
    assert route.pattern == "/files/latest"


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/files//content",
        "/files/a/b/content",
        "/v1/public",
        "/v2/files",
    ],
)
def test_a_path_that_no_route_has_is_unknown(path: str) -> None:
    answer = Client().ask("POST", path)
    assert (answer.status, answer.error["code"]) == (404, "unknown_url")
    assert answer.error["message"] == f"Unknown request URL: POST {path}. /docs lists the routes."


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/embeddings"])
def test_a_judge_that_is_asked_at_the_server_itself_says_so(path: str) -> None:
    answer = Client().ask("POST", path)
    assert (answer.status, answer.error["code"]) == (404, "unknown_url")
    assert (
        "This address is this server, `graders serve`, which answers no such requests"
        in answer.error["message"]
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/files", "GET, HEAD, POST"),
        ("POST", "/files/f-1", "GET, HEAD, DELETE"),
        ("GET", "/jobs/7/events/8", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
    ],
)
def test_another_method_is_refused_with_those_that_the_path_has(
    method: str, path: str, allowed: str
) -> None:
    answer = Client().ask(method, path)
    assert (answer.status, answer.error["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allowed
    assert answer.error["message"] == f"Not allowed method ({method}). Use {allowed}."


def test_two_routes_of_one_method_and_path_are_a_mistake() -> None:
    for twice in ("/files", "/files/{file_id}"):
        with pytest.raises(ValueError, match="has two routes"):
            RouteTable([*ROUTES, Route("GET", twice, no_handler)])


def test_a_page_asked_for_with_a_slash_at_its_end_is_redirected_to() -> None:
    client = Client()
    answer = client.ask("GET", "/docs/?a=b", host="localhost:80")
    assert (answer.status, answer.body) == (307, b"")
    assert answer.headers["location"] == "http://localhost:80/docs?a=b"
    assert client.ask("GET", "/docs/").headers["location"] == "/docs"


def test_added_routes_get_parameters_bodies_ids_and_the_log() -> None:
    client = Client()
    answer = client.ask(
        "POST", "/v1/jobs/7/events/8", b'{"a":', b"1}", content_type="application/json"
    )
    assert answer.json == {"parameters": {"job": "7", "event": "8"}, "body": '{"a":1}'}
    (line,) = client.log
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["path"], line["status"]) == ("/v1/jobs/7/events/8", 200)
    assert b'graders_requests_total{route="/jobs/{job}/events/{event}",status="200"} 1.0' in (
        client.metrics.text()
    )


def test_a_streamed_body_is_read_by_its_handler_whatever_its_type_and_length() -> None:
    client = Client(max_body_bytes=4)
    chunks = b"x" * 10, b"x" * 20
    answer = client.ask("POST", "/files", *chunks, content_type="multipart/form-data")
    assert answer.json == [10, 20, 0]


def test_a_json_route_refuses_other_bodies_and_longer_ones() -> None:
    client = Client(max_body_bytes=4)
    path = "/jobs/7/events/8"
    assert client.ask("POST", path, content_type="text/plain").status == 415
    assert client.ask("POST", path, b"12345", content_type="application/json").status == 413


def test_a_key_is_asked_for_by_route_and_where_no_route_is_found() -> None:
    client = Client(api_key="sk-right")
    for method, path in (("GET", "/files"), ("PUT", "/files"), ("GET", "/nothing")):
        assert client.ask(method, path).status == 401
        assert client.ask(method, path, authorization="Bearer sk-wrong").status == 401
    assert client.ask("GET", "/files", authorization="Bearer sk-right").status == 200
    assert client.ask("GET", "/public").status == 200
    assert client.ask("POST", "/public").status == 405


def test_a_bug_in_a_handler_is_an_error_object_and_its_message_stays_out_of_the_log() -> None:
    client = Client()
    answer = client.ask("GET", "/broken")
    assert (answer.status, answer.error["code"]) == (500, "internal_error")
    assert answer.headers["x-should-retry"] == "false"
    (line,) = client.log
    assert line["request_id"] in answer.error["message"]
    assert line["exception"]["type"] == "ZeroDivisionError"
    assert "sk-" not in client.log_file.getvalue().decode() + answer.body.decode()


def test_the_document_describes_the_routes_of_the_table_that_say_what_they_do() -> None:
    operation = Operation("cancel_job", "Cancel a job. It ends soon.", "", "Job")
    routes = [Route("POST", "/jobs/{job_id}/cancel", no_handler, operation=operation), ROUTES[0]]
    described = json.loads(document(routes, {"Job": {"type": "object"}}))
    assert list(described["paths"]) == ["/jobs/{job_id}/cancel"]
    cancel = described["paths"]["/jobs/{job_id}/cancel"]["post"]
    assert (cancel["operationId"], cancel["summary"]) == ("cancel_job", "Cancel a job.")
    assert [parameter["name"] for parameter in cancel["parameters"]] == ["job_id"]
    assert "requestBody" not in cancel
    assert described["components"]["schemas"]["Job"] == {"type": "object"}


SHARED = [
    Route("GET", "/models/{name}", no_handler, with_slashes=("name",)),
    Route("GET", "/checkpoints/{name}/permissions", no_handler, with_slashes=("name",)),
    Route("GET", "/checkpoints/{name}/permissions/{id}", no_handler, with_slashes=("name",)),
]


@pytest.mark.parametrize(
    ("path", "pattern", "parameters"),
    [
        ("/models/a/b", 0, ["a/b"]),
        ("/models/a%2Fb", 0, ["a/b"]),
        ("/models/a%0Ab", 0, ["a\nb"]),
        ("/checkpoints/a/b/permissions", 1, ["a/b"]),
        ("/checkpoints/a%2Fpermissions%2Fc/permissions", 1, ["a/permissions/c"]),
        ("/checkpoints/a/b/permissions/c", 2, ["a/b", "c"]),
        ("/checkpoints/a%2Fpermissions%2Fb/permissions/c%2Fd", 2, ["a/permissions/b", "c/d"]),
    ],
)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_name_that_may_have_slashes_ends_where_the_rest_of_the_path_begins(
    prefix: str, path: str, pattern: int, parameters: list[str]
) -> None:
    sent = prefix + path
    route, found = RouteTable(SHARED).find("GET", unquote(sent), sent.encode())
    assert route is SHARED[pattern]
    assert [*found.values()] == parameters


def test_a_name_that_may_have_slashes_is_not_empty() -> None:
    for path in ("/models/", "/checkpoints//permissions"):
        route, _ = RouteTable(SHARED).find("GET", path, path.encode())
        assert route not in SHARED


def test_no_key_of_the_server_is_in_a_text_of_its_settings() -> None:
    settings = ServerSettings(api_key="sk-1", admin_key="sk-2", projects={"p": "sk-3"})
    assert "sk-" not in repr(settings)
