"""Fine-tuning jobs in the OpenAPI document: their operations, and the schemas that these name."""

from __future__ import annotations

from typing import Any

from graders_engine.body_fields import MAX_KEY_CHARS, MAX_PAIRS, MAX_VALUE_CHARS
from graders_engine.inference.chat_fields import NAME
from graders_engine.jobs.requests.hyperparameters import AUTO, EFFORTS, NUMBERS, Number
from graders_engine.jobs.requests.request import (
    MAX_SEED,
    MAX_SUFFIX_CHARS,
    MAX_TAG_CHARS,
    MAX_TAGS,
)
from graders_engine.jobs.wire import STATES
from graders_engine.models.tables.training import METHODS, Method
from graders_engine.server.files.description import page_schema
from graders_engine.server.jobs.handlers import (
    CHECKPOINTS_LISTED,
    EVENTS_LISTED,
    JOBS_LISTED,
)
from graders_engine.server.routes import Operation

_TEXT, _ANY = {"type": "string"}, {"type": "object"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_SECONDS = {"type": "integer", "description": "Seconds since 1970."}
_SECONDS_OR_NULL = {"type": ["integer", "null"], "description": "Seconds since 1970."}


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


def _number(bounds: Number) -> dict[str, Any]:
    lowest = "exclusiveMinimum" if bounds.above else "minimum"
    number: dict[str, Any] = {
        "type": "integer" if isinstance(bounds.low, int) else "number",
        lowest: bounds.low,
    }
    if bounds.high is not None:
        number["maximum"] = bounds.high
    return {"anyOf": [{"const": AUTO}, number, {"type": "null"}]}


def _hyperparameters(method: Method) -> dict[str, Any]:
    found = {name: _number(bounds) for name, bounds in NUMBERS[method].items()}
    if method == "reinforcement":
        found["reasoning_effort"] = {"enum": [*EFFORTS, None]}
    return {**_taken(found), "type": ["object", "null"]}


def _response_format() -> dict[str, Any]:
    schema = _taken(
        {
            "name": {"type": "string", "pattern": f"^{NAME.pattern}$"},
            "description": _TEXT_OR_NULL,
            "schema": _ANY,
            "strict": {"type": ["boolean", "null"]},
        },
        "name",
        "schema",
    )
    forms = [
        _taken({"type": {"enum": ["text", "json_object"]}}, "type"),
        _taken({"type": {"const": "json_schema"}, "json_schema": schema}, "type", "json_schema"),
        {"type": "null"},
    ]
    return {
        "anyOf": forms,
        "description": "Each answer that is sampled is bound to it by a grammar, whether `strict` or not.",
    }


def _config(method: Method) -> dict[str, Any]:
    found: dict[str, Any] = {"hyperparameters": _hyperparameters(method)}
    if method != "reinforcement":
        return {**_taken(found), "type": ["object", "null"]}
    found["grader"] = {"$ref": "#/components/schemas/Grader"}
    found["response_format"] = _response_format()
    return _taken(found, "grader")


def _method(method: Method) -> dict[str, Any]:
    required = ("type", method) if method == "reinforcement" else ("type",)
    return _taken({"type": {"const": method}, method: _config(method)}, *required)


_INTEGRATION = _taken(
    {
        "type": {"const": "wandb"},
        "wandb": _taken(
            {
                "project": _TEXT,
                "entity": _TEXT_OR_NULL,
                "name": _TEXT_OR_NULL,
                "tags": {
                    "type": ["array", "null"],
                    "maxItems": MAX_TAGS,
                    "items": {"type": "string", "maxLength": MAX_TAG_CHARS},
                },
            },
            "project",
        ),
    },
    "type",
    "wandb",
)
_JOB = {
    "object": {"const": "fine_tuning.job"},
    "id": _TEXT,
    "created_at": _SECONDS,
    "finished_at": _SECONDS_OR_NULL,
    "estimated_finish": _SECONDS_OR_NULL,
    "status": {"enum": [*STATES]},
    "model": {"type": "string", "description": "The base model."},
    "fine_tuned_model": {**_TEXT_OR_NULL, "description": "The name of what was trained."},
    "organization_id": _TEXT,
    "training_file": _TEXT,
    "validation_file": _TEXT_OR_NULL,
    "result_files": {"type": "array", "items": _TEXT},
    "trained_tokens": {"type": ["integer", "null"]},
    "hyperparameters": {**_ANY, "description": "Of a supervised job; also under `method`."},
    "method": {
        "type": "object",
        "description": "As it was sent; `auto` becomes a number when the files are read.",
        "properties": {"type": {"enum": [*METHODS]}},
        "required": ["type"],
    },
    "seed": {"type": "integer"},
    "user_provided_suffix": _TEXT_OR_NULL,
    "integrations": {"type": ["array", "null"], "items": _ANY},
    "metadata": {"type": ["object", "null"], "additionalProperties": _TEXT},
    "error": {
        "type": ["object", "null"],
        "properties": {"code": _TEXT, "message": _TEXT, "param": _TEXT_OR_NULL},
        "required": ["code", "message", "param"],
    },
}

SCHEMAS: dict[str, Any] = {
    "CreateJobRequest": _taken(
        {
            "model": {
                "type": "string",
                "description": "A base model of the server's graders.toml.",
            },
            "training_file": {
                "type": "string",
                "description": "The id of a JSONL file that was uploaded with the purpose `fine-tune`.",
            },
            "validation_file": {
                **_TEXT_OR_NULL,
                "description": "Another one. A reinforcement job must have it.",
            },
            "method": {
                "anyOf": [*map(_method, METHODS), {"type": "null"}],
                "description": "How to train; without it, supervised.",
            },
            "hyperparameters": {
                **_hyperparameters("supervised"),
                "description": "Deprecated: of a request without `method`.",
            },
            "suffix": {
                **_TEXT_OR_NULL,
                "minLength": 1,
                "maxLength": MAX_SUFFIX_CHARS,
                "description": "For the name of the tuned model.",
            },
            "seed": {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_SEED},
            "metadata": {
                "type": ["object", "null"],
                "maxProperties": MAX_PAIRS,
                "propertyNames": {"maxLength": MAX_KEY_CHARS},
                "additionalProperties": {"type": "string", "maxLength": MAX_VALUE_CHARS},
            },
            "integrations": {"type": ["array", "null"], "maxItems": 1, "items": _INTEGRATION},
        },
        "model",
        "training_file",
    ),
    "Job": _made(_JOB),
    "JobList": page_schema("Job"),
    "JobEvent": _made(
        {
            "object": {"const": "fine_tuning.job.event"},
            "id": _TEXT,
            "created_at": _SECONDS,
            "level": {"enum": ["info", "warn", "error"]},
            "message": _TEXT,
            "type": {"enum": ["message", "metrics"]},
            "data": {**_ANY, "description": "Of metrics, the numbers of a step."},
        }
    ),
    "JobEventList": page_schema("JobEvent"),
    "Checkpoint": _made(
        {
            "object": {"const": "fine_tuning.job.checkpoint"},
            "id": _TEXT,
            "created_at": _SECONDS,
            "fine_tuned_model_checkpoint": _TEXT,
            "fine_tuning_job_id": _TEXT,
            "metrics": {"type": "object", "properties": {"step": {"type": "number"}}},
            "step_number": {"type": "integer"},
        }
    ),
    "CheckpointList": page_schema("Checkpoint"),
}


def _page(limit: int) -> dict[str, Any]:
    return {
        "after": {"type": "string", "description": "The id of the last object of the page before."},
        "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": limit},
    }


_METADATA: dict[str, Any] = {
    "metadata": {
        "const": "null",
        "description": "`metadata=null` for jobs without metadata; `metadata[key]=value` for those that have "
        "this value.",
    }
}
_NOT_FOUND = {"404": "There is no such job in the project of the key."}
_STATE = {**_NOT_FOUND, "400": "The job is in another state."}

CREATE_JOB = Operation(
    "create_fine_tuning_job",
    "Train a model. The job's files are checked, then it waits for its turn. It is a process of its own that "
    "outlives the server; the reward of a reinforcement job is what the grader gives here.",
    "CreateJobRequest",
    "Job",
    errors={
        "400": "The request is wrong, or the model or the grader cannot be had here.",
        "429": "Too many jobs wait, or the server is busy.",
    },
)
LIST_JOBS = Operation(
    "list_fine_tuning_jobs",
    "List jobs, the newest first.",
    "",
    "JobList",
    query=_page(JOBS_LISTED) | _METADATA,
)
RETRIEVE_JOB = Operation("retrieve_fine_tuning_job", "Show a job.", "", "Job", errors=_NOT_FOUND)
CANCEL_JOB = Operation(
    "cancel_fine_tuning_job",
    "Stop a job for good. The request has no body.",
    "",
    "Job",
    errors=_STATE,
)
PAUSE_JOB = Operation(
    "pause_fine_tuning_job",
    "Stop a job that is to be resumed. A step that is trained just now is ended, and a checkpoint made: the "
    "job is `pausing` meanwhile. The request has no body.",
    "",
    "Job",
    errors=_STATE,
)
RESUME_JOB = Operation(
    "resume_fine_tuning_job",
    "Let a paused job wait for its turn again. It continues where it was paused. The request has no body.",
    "",
    "Job",
    errors=_STATE,
)
LIST_EVENTS = Operation(
    "list_fine_tuning_events",
    "List what has happened to a job, the newest first.",
    "",
    "JobEventList",
    errors=_NOT_FOUND,
    query=_page(EVENTS_LISTED),
)
LIST_CHECKPOINTS = Operation(
    "list_fine_tuning_job_checkpoints",
    "List the checkpoints of a job, the newest first.",
    "",
    "CheckpointList",
    errors=_NOT_FOUND,
    query=_page(CHECKPOINTS_LISTED),
)
