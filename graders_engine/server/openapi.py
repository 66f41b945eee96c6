"""The OpenAPI document, made of the models that requests and responses are made of, and its page."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from graders_engine.graders.parse import json_schema
from graders_engine.response import RunGraderResponse
from graders_engine.version import __version__

PREFIX = "/fine_tuning/alpha/graders"
_COMPONENTS = "#/components/schemas/"
_TEXT_OR_NULL = {"type": ["string", "null"]}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": _COMPONENTS + name}


_ITEM = {"description": "The data-set row that templates see as `item`; any JSON value."}
_ROW = {
    "item": _ITEM,
    "model_sample": {**_TEXT_OR_NULL, "description": "The model's text."},
    "sample": {
        "type": ["object", "null"],
        "description": "In place of `model_sample`, a whole sample: any of choices, output_text, "
        "output_json, output_tools, output_reasoning_summary, output_audio; what is missing is derived.",
    },
    "reference_answer": {"description": 'Stands for `item: {"reference_answer": ...}`.'},
}
_GRADER = {"grader": _reference("Grader")}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_ERROR = _object(
    {
        "error": _object(
            {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": _TEXT_OR_NULL,
                "code": _TEXT_OR_NULL,
            },
            "message", "type", "param", "code",
        )
    },
    "error",
)  # fmt: skip
_SCHEMAS = {
    "Error": _ERROR,
    "RunRequest": _object(_GRADER | _ROW, "grader"),
    "Row": {"type": "object", "properties": _ROW},
    "BatchRequest": _object(
        _GRADER | {"rows": {"type": "array", "items": _reference("Row")}}, "grader", "rows"
    ),
    "Result": {"anyOf": [_reference("RunGraderResponse"), _reference("Error")]},
    "BatchResponse": _object(
        {"results": {"type": "array", "items": _reference("Result")}}, "results"
    ),
    "ValidateRequest": _object(_GRADER, "grader"),
    "ValidateResponse": _object({"grader": {"type": "object"}}, "grader"),
}

_BATCH = (
    "Grade many model outputs with one grader. The results stand in the order of the rows, each a response "
    "or an error; with `Accept: application/x-ndjson` they come a line each, as they are made."
)
ROUTES = {
    f"{PREFIX}/run": ("Grade one model output.", "RunRequest", "RunGraderResponse"),
    f"{PREFIX}/validate": (
        "Check a grader without running anything.",
        "ValidateRequest",
        "ValidateResponse",
    ),
    f"{PREFIX}/run_batch": (
        _BATCH,
        "BatchRequest",
        "BatchResponse",
    ),
}
"""The routes of the grader service, with and without /v1: what each does, takes and gives."""

_ERRORS = {
    "400": "The grader or the row cannot be used.",
    "401": "The API key is missing or wrong.",
    "403": "The server is called by a name that is not its own.",
    "405": "The route takes POST only.",
    "408": "The request did not come in time.",
    "413": "The body, the grader or the row is too long.",
    "415": "The body is not JSON.",
    "429": "The server is busy; `Retry-After` says when to try again.",
    "500": "The server has a fault.",
    "503": "The server is shutting down.",
    "504": "The deadline passed before the row was graded.",
}


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(schema)}}


def _operation(path: str, text: str, takes: str, gives: str) -> dict[str, Any]:
    answers: dict[str, Any] = {
        "200": {"description": "Done.", "content": _content(gives)},
        **{
            status: {"description": what, "content": _content("Error")}
            for status, what in _ERRORS.items()
        },
    }
    if gives == "BatchResponse":
        answers["200"]["content"]["application/x-ndjson"] = {"schema": _reference("Result")}
    return {
        "operationId": path.rpartition("/")[2],
        "summary": text.partition(". ")[0].removesuffix(".") + ".",
        "description": text,
        "requestBody": {"required": True, "content": _content(takes)},
        "responses": answers,
        "security": [{}, {"key": []}],
    }


@functools.cache
def document() -> bytes:
    """The document, as JSON."""
    graders = json_schema()
    definitions = graders.pop("$defs")
    graders.pop("$schema")
    response = RunGraderResponse.model_json_schema(mode="serialization")
    definitions |= response.pop("$defs")
    schemas = {**definitions, "Grader": graders, "RunGraderResponse": response, **_SCHEMAS}
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Graders Engine",
            "version": __version__,
            "description": "The hosted API's grader routes on your own machine. Each route is served with "
            "and without `/v1`.",
        },
        "servers": [{"url": "/v1"}],
        "paths": {
            path: {"post": _operation(path, *described)} for path, described in ROUTES.items()
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
    # Where pydantic says where a definition stands, it is another place here.
    return json.dumps(whole).replace('"#/$defs/', f'"{_COMPONENTS}').encode()


@functools.cache
def docs_page() -> str:
    """The page that shows the document in a browser, with nothing from elsewhere."""
    return Path(__file__).with_name("docs.html").read_text(encoding="utf-8")
