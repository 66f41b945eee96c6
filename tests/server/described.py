"""Requests that schemathesis makes of the operations of an OpenAPI document.

The schema of graders, with more than a thousand variants, is in five operations: of the two kinds of requests
that are many, each operation tries a fifth, another one than the others, and of every other kind all.
`GRADERS_REQUESTS=all` tries all of each, as `.ci/nightly` does.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import Any

import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
ALL = os.environ.get("GRADERS_REQUESTS") == "all"
TAKE_GRADERS = [
    "/fine_tuning/alpha/graders/run",
    "/fine_tuning/alpha/graders/run_batch",
    "/fine_tuning/alpha/graders/validate",
    "/evals",
    "/fine_tuning/jobs",
]
MANY = ("incorrect_type", "valid_object")
"""Each variant of the schema of graders makes several of these; there are few of any other kind."""


def is_tried(_context: Any, case: schemathesis.Case[Any]) -> bool:
    """Whether a request is in its operation's fifth, as its body decides; some are in none of the five."""
    scenario = getattr(case.meta and case.meta.phase.data, "scenario", None)
    if scenario not in MANY or case.operation.path not in TAKE_GRADERS:
        return True
    part = TAKE_GRADERS.index(case.operation.path)
    return zlib.crc32(repr(case.body).encode()) % len(TAKE_GRADERS) == part


def each_path(document: bytes | str, below: str = "/") -> Any:
    """A fixture of the API that has one path of a document, which begins with `below`.

    A test of `schemathesis.pytest.from_fixture` makes the requests when it runs; one of the API itself makes
    them when it is collected, which each process of a run of tests does.
    """
    whole = json.loads(document)
    paths = [path for path in whole["paths"] if path.startswith(below)]

    @pytest.fixture(params=paths)
    def described(request: pytest.FixtureRequest) -> BaseSchema:
        request.node._nodeid = (
            request.node.nodeid
        )  # schemathesis reads it; pytest 9.2 has it no more
        return api_of(
            json.dumps({**whole, "paths": {request.param: whole["paths"][request.param]}})
        )

    return described


def api_of(document: bytes | str) -> BaseSchema:
    api = schemathesis.openapi.from_dict(json.loads(document))
    if not ALL:
        api.hook("filter_case")(is_tried)
    return api
