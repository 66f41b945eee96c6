"""Models in the OpenAPI document: their operations, and the schemas that these name."""

from __future__ import annotations

from typing import Any

from graders_engine.inference.chat_fields import FORMATS, MAX_TOOLS
from graders_engine.inference.messages import ROLES
from graders_engine.inference.names import ORGANIZATION, SYSTEM
from graders_engine.inference.request import MAX_CHOICES, MAX_STOPS
from graders_engine.server.files.description import page_schema
from graders_engine.server.models.permissions import LISTED, MAX_LISTED, ORDERS
from graders_engine.server.routes import Operation

EVENTS = "text/event-stream"

_TEXT, _ANY, _FLAG = {"type": "string"}, {"type": "object"}, {"type": "boolean"}
_COUNT = {"type": "integer", "minimum": 0}
_SECONDS = {"type": "integer", "description": "Seconds since 1970."}


def _made(properties: dict[str, Any]) -> dict[str, Any]:
    """An object that is answered: all of its keys are there."""
    return {"type": "object", "properties": properties, "required": [*properties]}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_USAGE = _made(dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), _COUNT))
_ANSWER = {
    "id": _TEXT,
    "created": _SECONDS,
    "model": _TEXT,
    "system_fingerprint": {"type": "string", "description": "Changes when the weights do."},
}
_FINISH = {"enum": ["stop", "length", "tool_calls"]}
_LIMIT = _or_null({"type": "integer", "minimum": 1, "description": "Most tokens of an answer."})
_STOP = {"type": "string", "minLength": 1}
_REQUEST = {
    "model": {"type": "string", "description": "A base model, a tuned model or a checkpoint."},
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": {
                "role": {"enum": [*ROLES]},
                "content": {
                    "type": ["string", "array", "null"],
                    "description": "A text, or parts of the type `text`.",
                },
            },
            "required": ["role"],
        },
    },
    "n": _or_null({"type": "integer", "minimum": 1, "maximum": MAX_CHOICES}),
    "temperature": _or_null({"type": "number", "minimum": 0, "maximum": 2}),
    "top_p": _or_null({"type": "number", "minimum": 0, "maximum": 1}),
    "max_completion_tokens": _LIMIT,
    "max_tokens": _LIMIT,
    "seed": {"type": ["integer", "null"]},
    "stop": _or_null({"anyOf": [_STOP, {"type": "array", "maxItems": MAX_STOPS, "items": _STOP}]}),
    "tools": _or_null({"type": "array", "maxItems": MAX_TOOLS, "items": _ANY}),
    "tool_choice": {"enum": ["auto", "none", None]},
    "response_format": _or_null(
        {"type": "object", "properties": {"type": {"enum": [*FORMATS]}}, "required": ["type"]}
    ),
    "stream": _or_null(_FLAG),
    "stream_options": _or_null({"type": "object", "properties": {"include_usage": _FLAG}}),
    "metadata": _or_null({"type": "object", "additionalProperties": _TEXT}),
    "user": _or_null(_TEXT),
    "safety_identifier": _or_null(_TEXT),
}

SCHEMAS: dict[str, Any] = {
    "Model": _made(
        {
            "object": {"const": "model"},
            "id": _TEXT,
            "created": _SECONDS,
            "owned_by": {
                "enum": [SYSTEM, ORGANIZATION],
                "description": f"`{SYSTEM}` for base models.",
            },
        }
    ),
    "ModelList": _made(
        {
            "object": {"const": "list"},
            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
        }
    ),
    "DeletedModel": _made({"object": {"const": "model"}, "id": _TEXT, "deleted": {"const": True}}),
    "CreateChatCompletionRequest": {
        "type": "object",
        "properties": _REQUEST,
        "required": ["model", "messages"],
    },
    "ChatCompletion": _made(
        {
            **_ANSWER,
            "object": {"const": "chat.completion"},
            "choices": {
                "type": "array",
                "items": _made(
                    {
                        "index": _COUNT,
                        "message": {
                            "type": "object",
                            "properties": {
                                "role": {"const": "assistant"},
                                "content": {"type": ["string", "null"]},
                                "tool_calls": {"type": "array", "items": _ANY},
                            },
                            "required": ["role", "content"],
                        },
                        "finish_reason": _FINISH,
                    }
                ),
            },
            "usage": _USAGE,
        }
    ),
    "ChatCompletionChunk": {
        "description": "The `data` of an event; the last event has `[DONE]`. An error after the first one is "
        "an object with `error`, and ends the answer.",
        **_made(
            {
                **_ANSWER,
                "object": {"const": "chat.completion.chunk"},
                "choices": {
                    "type": "array",
                    "items": _made(
                        {
                            "index": _COUNT,
                            "delta": _ANY,
                            "finish_reason": _or_null(_FINISH),
                        }
                    ),
                },
            }
        ),
    },
    "CreatePermissionsRequest": {
        "type": "object",
        "properties": {"project_ids": {"type": "array", "minItems": 1, "items": _TEXT}},
        "required": ["project_ids"],
        "additionalProperties": False,
    },
    "Permission": _made(
        {
            "object": {"const": "checkpoint.permission"},
            "id": _TEXT,
            "created_at": _SECONDS,
            "project_id": _TEXT,
        }
    ),
    "PermissionList": page_schema("Permission"),
    "DeletedPermission": _made(
        {"object": {"const": "checkpoint.permission"}, "id": _TEXT, "deleted": {"const": True}}
    ),
}

_NO_MODEL = {"404": "There is no such model, or the project of the key may not ask it."}
_ADMINS = {
    "403": "The key is not the administrator's, or the `Host` header has a name that is not this server's.",
    "404": "There is no such checkpoint or permission.",
}

LIST_MODELS = Operation(
    "list_models",
    "List the models that may be asked: base models, tuned ones and checkpoints.",
    "",
    "ModelList",
)
RETRIEVE_MODEL = Operation("retrieve_model", "Show a model.", "", "Model", errors=_NO_MODEL)
DELETE_MODEL = Operation(
    "delete_model",
    "Delete the weights of a tuned model or of a checkpoint. Its permissions end with it.",
    "",
    "DeletedModel",
    errors={
        **_NO_MODEL,
        "400": "It is a base model, or its job has not ended.",
        "403": "The model is shared with the project of the key, and another one's.",
    },
)
CREATE_CHAT = Operation(
    "create_chat_completion",
    "Ask a model of this server. One model is in memory at a time: the first answer of another one takes "
    "longer. With `stream` the answer comes in pieces as they are generated. What a model here cannot honour "
    "is refused.",
    "CreateChatCompletionRequest",
    "ChatCompletion",
    lines="ChatCompletionChunk",
    lines_as=EVENTS,
    errors={
        **_NO_MODEL,
        "400": "The request is wrong, or the model cannot honour it.",
        "429": "Too many requests wait, or a job trains on the GPU.",
        "500": "The model cannot be loaded, or an internal error.",
        "503": "The process that answers died, or the server is shutting down; or the model is not on this "
        "machine yet.",
        "504": "The deadline passed before the answer was whole.",
    },
)
LIST_PERMISSIONS = Operation(
    "list_checkpoint_permissions",
    "List the permissions of a checkpoint or a tuned model, the newest first. They are the administrator's.",
    "",
    "PermissionList",
    errors=_ADMINS,
    query={
        "after": {"type": "string", "description": "The id of the last object of the page before."},
        "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": LISTED},
        "order": {"enum": [*ORDERS], "default": ORDERS[1]},
        "project_id": {"type": "string", "description": "Only those of this project."},
    },
)
CREATE_PERMISSIONS = Operation(
    "create_checkpoint_permissions",
    "Let projects ask a checkpoint or a tuned model. A permission that there is stays as it is.",
    "CreatePermissionsRequest",
    "PermissionList",
    errors=_ADMINS,
)
DELETE_PERMISSION = Operation(
    "delete_checkpoint_permission",
    "End a permission: the next request of its project is refused.",
    "",
    "DeletedPermission",
    errors=_ADMINS,
)
