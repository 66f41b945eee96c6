"""The OpenAPI document, made from the table of routes and the models of responses, and its page."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from graders_engine.graders.parse import json_schema
from graders_engine.outcome import BLAMES
from graders_engine.response import RunGraderResponse
from graders_engine.server.routes import Operation, Route
from graders_engine.version import __version__

_COMPONENTS = "#/components/schemas/"
_COUNT = {"type": "integer", "minimum": 0}
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
        "output_json, output_tools, output_reasoning_summary, output_audio; missing keys are derived. An "
        "object with none of them is read as a chat completion, response, message or text, or refused.",
    },
    "reference_answer": {"description": 'Short for `item: {"reference_answer": ...}`.'},
}
_BLAME = (
    "Whose fault it is that there is no reward; null if there is one. `sample`: the model's output is not "
    "JSON, or lacks what a template names. `grader`: its code or its formula gave no number. `row`: the item "
    "lacks what a template names. `judge`: it refused or gave no verdict. `infrastructure`: an outage, or "
    "an error in place of an output. `/metrics` counts rows by it."
)
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
    "GradedRow": {
        "description": "As the answer to a single run, and whose fault it is if there is no reward.",
        "allOf": [_reference("RunGraderResponse")],
        "properties": {"blame": {"enum": [None, *BLAMES], "description": _BLAME}},
        "required": ["blame"],
    },
    "Result": {"anyOf": [_reference("GradedRow"), _reference("Error")]},
    "Counts": _object(
        {
            "scored": _COUNT,
            "invalid": {**_COUNT, "description": "Rows without a reward, but for the failed ones."},
            "failed": {
                **_COUNT,
                "description": "Rows without a reward because of an outage, or of an error in place of an "
                "output.",
            },
            "errors": {**_COUNT, "description": "Rows with an error for a result."},
            "blame": {
                **_object(dict.fromkeys(BLAMES, _COUNT), *BLAMES),
                "description": "Rows without a reward, by whose fault it is; `row` has those that cannot be "
                "read, too, whose result is an error.",
            },
        },
        "scored", "invalid", "failed", "errors", "blame",
    ),
    "BatchResponse": _object(
        {
            "results": {"type": "array", "items": _reference("Result")},
            "counts": _reference("Counts"),
        },
        "results", "counts",
    ),
    "ValidateRequest": _object(_GRADER, "grader"),
    "ValidateResponse": _object({"grader": {"type": "object"}}, "grader"),
}  # fmt: skip

RUN = Operation(
    "run",
    "Grade one model output.",
    "RunRequest",
    "RunGraderResponse",
)
VALIDATE = Operation(
    "validate",
    "Check a grader without running anything.",
    "ValidateRequest",
    "ValidateResponse",
)
RUN_BATCH = Operation(
    "run_batch",
    "Grade many model outputs with one grader. A row has one output. The results are in the order of the "
    "rows, each a response or an error; with `Accept: application/x-ndjson` they come as one line each, as "
    "soon as they are ready.",
    "BatchRequest",
    "BatchResponse",
    lines="Result",
)

_ERRORS = {
    "400": "The grader or the row cannot be used.",
    "401": "The API key is missing or wrong.",
    "403": "The `Host` header has a name that is not this server's.",
    "405": "The route does not take this method.",
    "408": "The client took too long to send the request.",
    "413": "The body, the grader or the row is too long.",
    "415": "The body is not JSON.",
    "429": "The server is busy; `Retry-After` says when to try again.",
    "500": "Internal error.",
    "503": "The server is shutting down.",
    "504": "The deadline passed before the row was graded.",
}


@functools.cache
def _examples() -> dict[str, Any]:
    """The examples: of each operation, by its id, and of answers that refuse a request, by status."""
    text = Path(__file__).with_name("examples.json").read_text(encoding="utf-8")
    examples: dict[str, Any] = json.loads(text)
    return examples


def _content(schema: str, example: Any = None, type_: str = "application/json") -> dict[str, Any]:
    described = {} if example is None else {"example": example}
    return {type_: {"schema": _reference(schema), **described}}


def _operation(route: Route, operation: Operation) -> dict[str, Any]:
    example, refused = _examples()["operations"].get(operation.id, {}), _examples()["errors"]
    responses: dict[str, Any] = {
        "200": {
            "description": "Done.",
            "content": _content(operation.response, example.get("response"), operation.gives),
        },
        **{
            status: {"description": text, "content": _content("Error", refused.get(status))}
            for status, text in {**_ERRORS, **operation.errors}.items()
        },
    }
    if operation.lines:
        lines = {"schema": _reference(operation.lines)}
        responses["200"]["content"][operation.lines_as] = lines
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.description.partition(". ")[0].removesuffix(".") + ".",
        "description": operation.description,
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in route.parameters
    ]
    parameters += [
        {"name": name, "in": "query", "schema": schema} for name, schema in operation.query.items()
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.request:
        content = _content(operation.request, example.get("request"), operation.takes)
        described["requestBody"] = {"required": True, "content": content}
    return {**described, "responses": responses, "security": [{}, {"key": []}]}


def document(routes: Iterable[Route], schemas: Mapping[str, Any] = MappingProxyType({})) -> bytes:
    """The document, as JSON.

    Args:
        routes: the table's entries; those without an operation are left out.
        schemas: what their operations name, beyond the graders' own schemas.
    """
    graders = json_schema()
    definitions = graders.pop("$defs")
    graders.pop("$schema")
    response = RunGraderResponse.model_json_schema(mode="serialization")
    groups = {
        "Requests and answers": [*_SCHEMAS, *schemas, "RunGraderResponse", *response["$defs"]],
        "Graders": ["Grader", *(name for name in definitions if name.endswith("Grader"))],
        "Parts of graders": [name for name in definitions if not name.endswith("Grader")],
    }
    definitions |= response.pop("$defs")
    known = {**definitions, "Grader": graders, "RunGraderResponse": response, **_SCHEMAS, **schemas}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.operation is not None:
            methods = paths.setdefault(route.pattern, {})
            methods[route.method.lower()] = _operation(route, route.operation)
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Graders Engine",
            "version": __version__,
            "description": "The hosted API's grader routes on your own machine. Each route is served with "
            "and without `/v1`, and below `/openai` and `/openai/v1`, where Azure's clients look. A server "
            "that was started with a key wants it in every request, as `Authorization: Bearer KEY` or "
            "`api-key: KEY`; one without a key listens on loopback and ignores what is sent.",
        },
        "servers": [{"url": "/v1"}],
        "paths": paths,
        "components": {
            "schemas": known,
            "x-schema-groups": groups,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The key that the server was started with: GRADERS_API_KEY or --api-key, "
                    "or that of a project; permissions want GRADERS_ADMIN_KEY or --admin-key. Clients that "
                    "take an address only may have it there: "
                    "`http://any:KEY@host:8000`.",
                }
            },
        },
    }
    # pydantic's references point to where its definitions stand, which is another place here.
    return json.dumps(whole).replace('"#/$defs/', f'"{_COMPONENTS}').encode()


@functools.cache
def docs_page() -> bytes:
    """The page that shows the document in a browser; it loads nothing from elsewhere."""
    return Path(__file__).with_name("docs.html").read_bytes()
