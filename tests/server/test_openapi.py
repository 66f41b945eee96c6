"""The OpenAPI document is what the server does: schemathesis makes requests of it, and reads the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import settings

from graders_engine.engine import AsyncEngine
from graders_engine.graders.register import TYPES
from graders_engine.server.openapi import document
from graders_engine.server.reward.description import SCHEMAS
from graders_engine.server.reward.route import RewardRoute
from graders_engine.server.service import Service
from graders_engine.server.settings import ServerSettings
from graders_engine.server.telemetry import ServerMetrics
from tests.server.described import CHECKS, api_of, each_path
from tests.server.serving import BATCH, CHECK, GOOD, RUN, VALIDATE, Server, serving

ENGINE, SETTINGS, METRICS = AsyncEngine(), ServerSettings(), ServerMetrics()
SERVICE = Service(ENGINE, SETTINGS, METRICS)
DOCUMENT = document(SERVICE.routes())
REWARDS = RewardRoute(ENGINE.compile(CHECK), SERVICE.scheduler, SETTINGS, METRICS)
WITH_REWARDS = document([*SERVICE.routes(), *REWARDS.routes()], SCHEMAS)
API = api_of(DOCUMENT)
described = each_path(DOCUMENT)
reward_described = each_path(WITH_REWARDS, below="/reward")


@schemathesis.pytest.from_fixture("described").parametrize()
@settings(max_examples=40)
def test_no_request_breaks_the_server_and_every_answer_is_as_declared(
    server: Server, asking: requests.Session, case: schemathesis.Case[Any]
) -> None:
    case.call_and_validate(base_url=f"{server.url}/v1", session=asking, checks=CHECKS)


@pytest.fixture(scope="module")
def rewarding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("rewarding")
    with serving(folder, "--grader", json.dumps(CHECK)) as running:
        yield running


@schemathesis.pytest.from_fixture("reward_described").parametrize()
@settings(max_examples=40)
def test_no_request_for_a_reward_breaks_the_server_and_every_answer_is_as_declared(
    rewarding: Server, asking: requests.Session, case: schemathesis.Case[Any]
) -> None:
    case.call_and_validate(base_url=f"{rewarding.url}/v1", session=asking, checks=CHECKS)


def test_a_server_with_a_grader_describes_the_reward_route(rewarding: Server) -> None:
    assert rewarding.ask("GET", "/openapi.json").body == WITH_REWARDS
    assert set(json.loads(WITH_REWARDS)["paths"]) - set(json.loads(DOCUMENT)["paths"]) == {
        "/reward"
    }


def test_the_document_served_is_this_one(server: Server) -> None:
    answer = server.ask("GET", "/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.body == DOCUMENT


def test_the_document_knows_every_grader_type_and_every_route() -> None:
    whole = json.loads(DOCUMENT)
    assert {f"/v1{path}" for path in whole["paths"]} == {RUN, VALIDATE, BATCH}
    consts = {
        schema["properties"]["type"].get("const")
        for schema in whole["components"]["schemas"].values()
        if "type" in schema.get("properties", {})
    }
    assert set(TYPES) <= consts
    references = {
        reference
        for reference in json.dumps(whole).split('"')
        if reference.startswith("#/components/schemas/")
    }
    known = {f"#/components/schemas/{name}" for name in whole["components"]["schemas"]}
    assert references <= known


@pytest.mark.parametrize("path", [RUN, VALIDATE, BATCH])
def test_a_good_request_is_answered_as_declared(server: Server, path: str) -> None:
    rows = {"rows": [{"item": {"label": "cat"}, "model_sample": "cat"}, 5]}
    body: dict[str, Any] = {"grader": CHECK} | {RUN: GOOD, BATCH: rows}.get(path, {})
    operation = API[path.removeprefix("/v1")]["POST"]
    answer = operation.Case(body=body, media_type="application/json").call_and_validate(
        base_url=f"{server.url}/v1", checks=CHECKS
    )
    assert answer.status_code == 200
