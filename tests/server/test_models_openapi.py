"""Models in the OpenAPI document: schemathesis makes requests of it, and reads the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import requests
import schemathesis
from hypothesis import settings

from graders_engine.server.models import description
from graders_engine.server.openapi import document
from graders_engine.server.routes import Body, Operation, Route
from tests.inference.tuned import names_of
from tests.server.described import CHECKS, each_path
from tests.server.models_of import BASE, models_server, train
from tests.server.serving import Server

OPERATIONS = [value for value in vars(description).values() if isinstance(value, Operation)]
PERMISSIONS = "/fine_tuning/checkpoints/{model}/permissions"
PLACES = {
    "list_models": ("GET", "/models"),
    "retrieve_model": ("GET", "/models/{model}"),
    "delete_model": ("DELETE", "/models/{model}"),
    "create_chat_completion": ("POST", "/chat/completions"),
    "list_checkpoint_permissions": ("GET", PERMISSIONS),
    "create_checkpoint_permissions": ("POST", PERMISSIONS),
    "delete_checkpoint_permission": ("DELETE", f"{PERMISSIONS}/{{permission_id}}"),
}
CONFIG = """
[base_models]
"Qwen/tiny" = "tiny"
[inference]
python = "python"
device = "cpu"
"""


async def no_handler(exchange: Any) -> None: ...


ROUTES = [
    Route(*PLACES[one.id], no_handler, body=Body.JSON, operation=one)
    for one in sorted(OPERATIONS, key=lambda one: one.id)
]
DOCUMENT = json.loads(document(ROUTES, description.SCHEMAS))
described = each_path(json.dumps(DOCUMENT))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without keys, whose one user is the administrator."""
    with models_server(tmp_path_factory.mktemp("openapi"), config=CONFIG, NOTHING="x") as running:
        yield running


@schemathesis.pytest.from_fixture("described").parametrize()
@settings(max_examples=5)
def test_no_request_breaks_the_server_and_every_answer_is_as_declared(
    alone: Server, asking: requests.Session, case: schemathesis.Case[Any]
) -> None:
    case.call_and_validate(base_url=f"{alone.url}/v1", session=asking, checks=CHECKS)


def test_the_server_describes_each_of_the_routes(alone: Server) -> None:
    served = alone.ask("GET", "/openapi.json").json
    for name, (method, path) in PLACES.items():
        described = served["paths"][path][method.lower()]
        assert described["operationId"] == name
        assert described == DOCUMENT["paths"][path][method.lower()]
    assert description.SCHEMAS.items() <= served["components"]["schemas"].items()
    chat = served["paths"]["/chat/completions"]["post"]["responses"]["200"]["content"]
    assert set(chat) == {"application/json", "text/event-stream"}


def schema(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}


def test_answers_are_as_declared(alone: Server) -> None:
    model, first, _ = names_of(train(alone))
    asked = {"model": BASE, "messages": [{"role": "user", "content": "Say it."}], "n": 2}
    jsonschema_rs.validate(schema("CreateChatCompletionRequest"), asked)
    answer = alone.post("/v1/chat/completions", asked)
    assert answer.status == 200
    jsonschema_rs.validate(schema("ChatCompletion"), answer.json)
    pieces = alone.post("/v1/chat/completions", {**asked, "stream": True}).body.split(b"\n\n")
    for piece in pieces[:-2]:
        jsonschema_rs.validate(schema("ChatCompletionChunk"), json.loads(piece[len(b"data: ") :]))
    assert len(pieces) > 4
    path = f"/v1/fine_tuning/checkpoints/{model}/permissions"
    made = alone.post(path, {"project_ids": ["default"]})
    assert made.json["data"]
    for method, place, name in (
        ("GET", "/v1/models", "ModelList"),
        ("GET", f"/v1/models/{model}", "Model"),
        ("GET", path, "PermissionList"),
        ("DELETE", f"{path}/{made.json['first_id']}", "DeletedPermission"),
        ("DELETE", f"/v1/models/{first}", "DeletedModel"),
    ):
        jsonschema_rs.validate(schema(name), alone.ask(method, place).json)
