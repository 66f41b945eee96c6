"""What the OpenAPI document says of files is what the server does with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import settings

from graders_engine.engine import AsyncEngine
from graders_engine.server.files.description import SCHEMAS
from graders_engine.server.files.routes import FileRoutes
from graders_engine.server.openapi import document
from graders_engine.server.service import Service
from graders_engine.server.settings import ServerSettings
from graders_engine.server.store.served import ServedStore
from graders_engine.server.telemetry import ServerMetrics
from graders_engine.storage.store import Store
from tests.server.described import CHECKS, each_path
from tests.server.serving import Server, serving
from tests.server.test_openapi import DOCUMENT

METRICS = ServerMetrics()
SERVICE = Service(AsyncEngine(), ServerSettings(), METRICS)
with TemporaryDirectory() as folder, Store(Path(folder)) as kept:
    FILES = FileRoutes(ServedStore(kept, max_file_bytes=1, max_bytes=1), METRICS)
WITH_FILES = document([*SERVICE.routes(), *FILES.routes()], SCHEMAS)
described = each_path(WITH_FILES, below="/files")


@pytest.fixture(scope="module")
def storing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("storing"), "--jobs", "store") as running:
        yield running


@schemathesis.pytest.from_fixture("described").parametrize()
@settings(max_examples=20)
def test_no_request_for_files_breaks_the_server_and_every_answer_is_as_declared(
    storing: Server, asking: requests.Session, case: schemathesis.Case[Any]
) -> None:
    case.call_and_validate(base_url=f"{storing.url}/v1", session=asking, checks=CHECKS)


def test_a_server_with_a_folder_describes_the_routes_of_files(storing: Server) -> None:
    described = json.loads(storing.ask("GET", "/openapi.json").body)
    ours = json.loads(WITH_FILES)
    added = set(ours["paths"]) - set(json.loads(DOCUMENT)["paths"])
    assert added == {"/files", "/files/{file_id}", "/files/{file_id}/content"}
    for path in added:
        assert described["paths"][path] == ours["paths"][path]
    assert ours["components"]["schemas"].items() <= described["components"]["schemas"].items()
