"""The OpenAPI document of a server with a store: schemathesis makes requests of it, and reads the answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import settings

from graders_engine.server.evals import description
from graders_engine.server.openapi import document
from graders_engine.server.routes import Body, Operation, Route
from tests.server.described import CHECKS, each_path
from tests.server.evals_of import ROWS, jsonl, new_eval, new_run
from tests.server.serving import Server, eventually

OPERATIONS = [value for value in vars(description).values() if isinstance(value, Operation)]
PLACES = {
    "create_eval": ("POST", "/evals"),
    "list_evals": ("GET", "/evals"),
    "retrieve_eval": ("GET", "/evals/{eval_id}"),
    "update_eval": ("POST", "/evals/{eval_id}"),
    "delete_eval": ("DELETE", "/evals/{eval_id}"),
    "create_run": ("POST", "/evals/{eval_id}/runs"),
    "list_runs": ("GET", "/evals/{eval_id}/runs"),
    "retrieve_run": ("GET", "/evals/{eval_id}/runs/{run_id}"),
    "cancel_run_as_before": ("POST", "/evals/{eval_id}/runs/{run_id}"),
    "cancel_run": ("POST", "/evals/{eval_id}/runs/{run_id}/cancel"),
    "delete_run": ("DELETE", "/evals/{eval_id}/runs/{run_id}"),
    "list_output_items": ("GET", "/evals/{eval_id}/runs/{run_id}/output_items"),
    "retrieve_output_item": ("GET", "/evals/{eval_id}/runs/{run_id}/output_items/{item_id}"),
}


async def no_handler(exchange: Any) -> None: ...


ROUTES = [
    Route(*PLACES[one.id], no_handler, body=Body.JSON, operation=one)
    for one in sorted(OPERATIONS, key=lambda one: one.id)
]
DOCUMENT = json.loads(document(ROUTES, description.SCHEMAS))
described = each_path(json.dumps(DOCUMENT))


@schemathesis.pytest.from_fixture("described").parametrize()
@settings(max_examples=5)
def test_no_request_breaks_the_server_and_every_answer_is_as_declared(
    evals_server: Server, asking: requests.Session, case: schemathesis.Case[Any]
) -> None:
    case.call_and_validate(base_url=f"{evals_server.url}/v1", session=asking, checks=CHECKS)


def test_the_server_describes_each_of_the_routes(evals_server: Server) -> None:
    served = evals_server.ask("GET", "/openapi.json").json
    for name, (method, path) in PLACES.items():
        described = served["paths"][path][method.lower()]
        assert described["operationId"] == name
        assert described == DOCUMENT["paths"][path][method.lower()]
    assert description.SCHEMAS.items() <= served["components"]["schemas"].items()


@pytest.fixture(scope="module")
def run_path(evals_server: Server) -> str:
    eval_id = new_eval(evals_server)
    path = f"/v1/evals/{eval_id}/runs/{new_run(evals_server, eval_id, jsonl(ROWS))}"
    assert eventually(lambda: evals_server.ask("GET", path).json["status"] == "completed")
    return path


@pytest.mark.parametrize(
    ("below", "schema"),
    [
        ("", "Run"),
        ("/output_items", "OutputItemList"),
    ],
)
def test_a_run_and_its_items_are_as_declared(
    evals_server: Server, run_path: str, below: str, schema: str
) -> None:
    import jsonschema_rs

    answer = evals_server.ask("GET", run_path + below).json
    whole = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    jsonschema_rs.validate(whole, answer)


def test_each_example_of_a_request_is_taken(evals_server: Server) -> None:
    def example(path: str) -> Any:
        body = evals_server.ask("GET", "/openapi.json").json["paths"][path]["post"]["requestBody"]
        return body["content"]["application/json"]["example"]

    made = evals_server.post("/v1/evals", example("/evals"))
    assert made.status == 200
    path = f"/v1/evals/{made.json['id']}"
    assert evals_server.post(path, example("/evals/{eval_id}")).status == 200
    run = evals_server.post(f"{path}/runs", example("/evals/{eval_id}/runs"))
    assert run.status == 200
