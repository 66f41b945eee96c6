"""Fine-tuning jobs in the OpenAPI document: schemathesis makes requests of it, and reads the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import requests
import schemathesis
from hypothesis import settings

from graders_engine.server.jobs import description
from graders_engine.server.openapi import document
from graders_engine.server.routes import Body, Operation, Route
from tests.jobs.test_requests import BASES, CASES, body_of
from tests.server.described import CHECKS, each_path
from tests.server.jobs_of import client_of, job_body, jobs_server, until
from tests.server.serving import Server

OPERATIONS = [value for value in vars(description).values() if isinstance(value, Operation)]
JOB = "/fine_tuning/jobs/{job_id}"
PLACES = {
    "create_fine_tuning_job": ("POST", "/fine_tuning/jobs"),
    "list_fine_tuning_jobs": ("GET", "/fine_tuning/jobs"),
    "retrieve_fine_tuning_job": ("GET", JOB),
    "cancel_fine_tuning_job": ("POST", f"{JOB}/cancel"),
    "pause_fine_tuning_job": ("POST", f"{JOB}/pause"),
    "resume_fine_tuning_job": ("POST", f"{JOB}/resume"),
    "list_fine_tuning_events": ("GET", f"{JOB}/events"),
    "list_fine_tuning_job_checkpoints": ("GET", f"{JOB}/checkpoints"),
}


async def no_handler(exchange: Any) -> None: ...


ROUTES = [
    Route(*PLACES[one.id], no_handler, body=Body.JSON, operation=one)
    for one in sorted(OPERATIONS, key=lambda one: one.id)
]
DOCUMENT = json.loads(document(ROUTES, description.SCHEMAS))
described = each_path(json.dumps(DOCUMENT))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with jobs_server(tmp_path_factory.mktemp("openapi")) as running:
        yield running


@schemathesis.pytest.from_fixture("described").parametrize()
@settings(max_examples=5)
def test_no_request_breaks_the_server_and_every_answer_is_as_declared(
    trained: Server, asking: requests.Session, case: schemathesis.Case[Any]
) -> None:
    case.call_and_validate(base_url=f"{trained.url}/v1", session=asking, checks=CHECKS)


def test_the_server_describes_each_of_the_routes(trained: Server) -> None:
    served = trained.ask("GET", "/openapi.json").json
    for name, (method, path) in PLACES.items():
        described = served["paths"][path][method.lower()]
        assert described["operationId"] == name
        assert described == DOCUMENT["paths"][path][method.lower()]
    assert description.SCHEMAS.items() <= served["components"]["schemas"].items()


def schema(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}


def test_a_job_its_events_and_its_checkpoints_are_as_declared(trained: Server) -> None:
    with client_of(trained) as client:
        for method in ("supervised", "reinforcement"):
            job = client.fine_tuning.jobs.create(**job_body(client, method))
            until(client, job.id, "succeeded")
            path = f"/v1/fine_tuning/jobs/{job.id}"
            for below, name in (
                ("", "Job"), ("/events", "JobEventList"), ("/checkpoints", "CheckpointList"),
            ):  # fmt: skip
                jsonschema_rs.validate(schema(name), trained.ask("GET", path + below).json)
        jsonschema_rs.validate(schema("JobList"), trained.ask("GET", "/v1/fine_tuning/jobs").json)


@pytest.mark.parametrize("name", BASES)
def test_a_request_that_is_taken_is_one_that_is_declared(name: str) -> None:
    jsonschema_rs.validate(schema("CreateJobRequest"), BASES[name])


def test_ranges_are_declared_as_they_are_checked() -> None:
    declared = schema("CreateJobRequest")
    named = (
        "range",
        "too many epochs",
        "batch",
        "multiplier",
        "compute",
        "beta",
        "interval",
        "seed",
    )
    cases = [
        case for case in CASES
        if "error" in case and any(word in case["name"] for word in named)
    ]  # fmt: skip
    assert len(cases) > 10
    for case in cases:
        assert not jsonschema_rs.is_valid(declared, body_of(case)), case["name"]
    for case in CASES:
        if "error" not in case:
            assert jsonschema_rs.is_valid(declared, body_of(case)), case["name"]


def test_the_example_of_a_request_is_as_declared(trained: Server) -> None:
    described = trained.ask("GET", "/openapi.json").json["paths"]["/fine_tuning/jobs"]["post"]
    example = described["requestBody"]["content"]["application/json"]["example"]
    jsonschema_rs.validate(schema("CreateJobRequest"), example)
    refused = trained.post("/v1/fine_tuning/jobs", example)
    assert refused.error["code"] == "model_not_available"
