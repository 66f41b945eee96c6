"""The Evals API in the OpenAPI document: its operations, and the schemas that these name."""

from __future__ import annotations

from typing import Any

from graders_engine.body_fields import MAX_KEY_CHARS, MAX_PAIRS, MAX_VALUE_CHARS
from graders_engine.evals.requests.run_body import MAX_ITEMS
from graders_engine.evals.run.items import FILTERS
from graders_engine.evals.wire import STATES
from graders_engine.server.evals.evals import ORDERED_BY
from graders_engine.server.files.description import page_schema
from graders_engine.server.routes import Operation

_PAGE: dict[str, Any] = {
    "after": {"type": "string", "description": "The id of the last object of the page before."},
    "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    "order": {
        "enum": ["asc", "desc"],
        "default": "asc",
        "description": "From the oldest, or the newest.",
    },
}
_COUNT = {"type": "integer", "minimum": 0}
_SECONDS = {"type": "integer", "description": "Seconds since 1970."}
_TEXT = {"type": "string"}
_ANY = {"type": "object"}
_METADATA = {
    "type": ["object", "null"],
    "maxProperties": MAX_PAIRS,
    "propertyNames": {"maxLength": MAX_KEY_CHARS},
    "additionalProperties": {"type": "string", "maxLength": MAX_VALUE_CHARS},
    "description": "Keys and values of the user's.",
}
_SAID_METADATA = {"type": ["object", "null"], "additionalProperties": _TEXT}
_ERROR = {
    "type": ["object", "null"],
    "properties": {"code": _TEXT, "message": _TEXT},
    "required": ["code", "message"],
}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _made(properties: dict[str, Any]) -> dict[str, Any]:
    """An object that is answered: all of its keys are there."""
    return {"type": "object", "properties": properties, "required": [*properties]}


def _taken(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """An object that is sent: no other key is taken."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*required],
        "additionalProperties": False,
    }


_SOURCE = {
    "description": "Where the items come from: the request itself, or a file that was uploaded.",
    "oneOf": [
        _taken(
            {
                "type": {"const": "file_content"},
                "content": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_ITEMS,
                    "items": {
                        "type": "object",
                        "properties": {"item": _ANY, "sample": {"type": ["object", "null"]}},
                        "required": ["item"],
                    },
                },
            },
            "type",
            "content",
        ),
        _taken({"type": {"const": "file_id"}, "id": _TEXT}, "type", "id"),
    ],
}
_MESSAGES = {
    "description": "What the model is sent: messages with templates over `item`, or a path in the item where "
    "its messages are.",
    "oneOf": [
        _taken(
            {
                "type": {"const": "template"},
                "template": {"type": "array", "minItems": 1, "items": _ANY},
            },
            "type",
            "template",
        ),
        _taken({"type": {"const": "item_reference"}, "item_reference": _TEXT}, "type", "item_reference"),
    ],
}  # fmt: skip
_DATA_SOURCE = {
    "oneOf": [
        _taken({"type": {"const": "jsonl"}, "source": _SOURCE}, "type", "source"),
        *(
            _taken(
                {
                    "type": {"const": kind},
                    "source": _SOURCE,
                    "model": {"type": "string", "description": "The model to sample from."},
                    "input_messages": _MESSAGES,
                    "sampling_params": {"type": ["object", "null"]},
                },
                "type",
                "source",
                "model",
                "input_messages",
            )
            for kind in ("completions", "responses")
        ),
    ]
}
_CONFIG = _taken(
    {
        "type": {"const": "custom"},
        "item_schema": {"type": "object", "description": "The JSON Schema of an item."},
        "include_sample_schema": {"type": ["boolean", "null"]},
    },
    "type",
    "item_schema",
)
_USAGE = _made(
    {
        "model_name": _TEXT,
        "invocation_count": _COUNT,
        "prompt_tokens": _COUNT,
        "completion_tokens": _COUNT,
        "cached_tokens": _COUNT,
        "total_tokens": _COUNT,
    }
)
_RESULT = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "type": {"type": ["string", "null"]},
        "score": {"type": ["number", "null"]},
        "passed": {"type": ["boolean", "null"]},
        "sample": {"type": ["object", "null"]},
    },
    "required": ["name", "score", "passed"],
}

SCHEMAS: dict[str, Any] = {
    "CreateEvalRequest": _taken(
        {
            "name": {"type": ["string", "null"]},
            "metadata": _METADATA,
            "data_source_config": _CONFIG,
            "testing_criteria": {
                "type": "array",
                "minItems": 1,
                "items": _reference("Grader"),
                "description": "Graders of any type but multi and endpoint.",
            },
        },
        "data_source_config",
        "testing_criteria",
    ),
    "UpdateEvalRequest": _taken({"name": {"type": ["string", "null"]}, "metadata": _METADATA}),
    "Eval": _made(
        {
            "object": {"const": "eval"},
            "id": _TEXT,
            "created_at": _SECONDS,
            "name": _TEXT,
            "data_source_config": _made({"type": _TEXT, "schema": _ANY}),
            "testing_criteria": {"type": "array", "items": _ANY},
            "metadata": _SAID_METADATA,
        }
    ),
    "EvalList": page_schema("Eval"),
    "EvalDeleted": _made(
        {"object": {"const": "eval.deleted"}, "deleted": {"type": "boolean"}, "eval_id": _TEXT}
    ),
    "CreateRunRequest": _taken(
        {
            "name": {"type": ["string", "null"]},
            "metadata": _METADATA,
            "data_source": _DATA_SOURCE,
        },
        "data_source",
    ),
    "Run": _made(
        {
            "object": {"const": "eval.run"},
            "id": _TEXT,
            "eval_id": _TEXT,
            "created_at": _SECONDS,
            "name": _TEXT,
            "status": {"enum": [*STATES]},
            "model": _TEXT,
            "report_url": {"type": "string", "description": "The page with the run's results."},
            "data_source": _ANY,
            "result_counts": _made(
                {"total": _COUNT, "passed": _COUNT, "failed": _COUNT, "errored": _COUNT}
            ),
            "per_model_usage": {"type": "array", "items": _USAGE},
            "per_testing_criteria_results": {
                "type": "array",
                "items": _made({"testing_criteria": _TEXT, "passed": _COUNT, "failed": _COUNT}),
            },
            "metadata": _SAID_METADATA,
            "error": _ERROR,
        }
    ),
    "RunList": page_schema("Run"),
    "RunDeleted": _made(
        {"object": {"const": "eval.run.deleted"}, "deleted": {"type": "boolean"}, "run_id": _TEXT}
    ),
    "OutputItem": _made(
        {
            "object": {"const": "eval.run.output_item"},
            "id": _TEXT,
            "created_at": _SECONDS,
            "eval_id": _TEXT,
            "run_id": _TEXT,
            "datasource_item_id": _COUNT,
            "datasource_item": _ANY,
            "status": _TEXT,
            "results": {"type": "array", "items": _RESULT},
            "sample": {"type": ["object", "null"]},
        }
    ),
    "OutputItemList": page_schema("OutputItem"),
}

_NOT_FOUND = {"404": "There is no such object in the project of the key."}
_FULL = {**_NOT_FOUND, "429": "Too many runs wait, or the server is busy."}
_STATUS: dict[str, Any] = {"status": {"enum": [*STATES], "description": "Runs in this state only."}}
_ORDER_BY: dict[str, Any] = {"order_by": {"enum": [*ORDERED_BY], "default": ORDERED_BY[0]}}
_ITEM_STATUS: dict[str, Any] = {
    "status": {"enum": [*FILTERS], "description": "Items with this status only."}
}

CREATE_EVAL = Operation(
    "create_eval",
    "Make an eval: what items look like, and the criteria that they are to meet. No data is needed yet.",
    "CreateEvalRequest",
    "Eval",
)
LIST_EVALS = Operation("list_evals", "List evals.", "", "EvalList", query=_PAGE | _ORDER_BY)
RETRIEVE_EVAL = Operation("retrieve_eval", "Show an eval.", "", "Eval", errors=_NOT_FOUND)
UPDATE_EVAL = Operation(
    "update_eval",
    "Change the name or the metadata of an eval.",
    "UpdateEvalRequest",
    "Eval",
    errors=_NOT_FOUND,
)
DELETE_EVAL = Operation(
    "delete_eval",
    "Delete an eval with its runs. Runs in progress are stopped.",
    "",
    "EvalDeleted",
    errors=_NOT_FOUND,
)
CREATE_RUN = Operation(
    "create_run",
    "Run an eval over items. They hold the model's answers (`jsonl`), or a model is asked for them "
    "(`completions`, `responses`). Each item must fit the eval's `item_schema`. The run is a process of its "
    "own that outlives the server.",
    "CreateRunRequest",
    "Run",
    errors=_FULL,
)
LIST_RUNS = Operation(
    "list_runs",
    "List the runs of an eval.",
    "",
    "RunList",
    errors=_NOT_FOUND,
    query=_PAGE | _STATUS,
)
RETRIEVE_RUN = Operation("retrieve_run", "Show a run.", "", "Run", errors=_NOT_FOUND)
CANCEL_RUN = Operation(
    "cancel_run",
    "Stop a run. It must be queued or in progress; the request has no body.",
    "",
    "Run",
    errors=_NOT_FOUND,
)
CANCEL_RUN_SHORT = Operation(
    "cancel_run_as_before",
    "Stop a run. This is the path that earlier versions of the SDKs use.",
    "",
    "Run",
    errors=_NOT_FOUND,
)
DELETE_RUN = Operation(
    "delete_run",
    "Delete a run with its results. One in progress is stopped.",
    "",
    "RunDeleted",
    errors=_NOT_FOUND,
)
LIST_ITEMS = Operation(
    "list_output_items",
    "List the output items of a run. Each has the item, the model's answer, and a result for each criterion.",
    "",
    "OutputItemList",
    errors=_NOT_FOUND,
    query=_PAGE | _ITEM_STATUS,
)
RETRIEVE_ITEM = Operation(
    "retrieve_output_item", "Show an output item of a run.", "", "OutputItem", errors=_NOT_FOUND
)
