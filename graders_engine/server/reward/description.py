"""What the OpenAPI document says about the reward route."""

from __future__ import annotations

from typing import Any

from graders_engine.server.reward.forms import PASSES_FROM
from graders_engine.server.routes import Operation

_NUMBER = {"type": "number"}
_NUMBERS = {"type": "array", "items": _NUMBER}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_LABEL = {"description": "Any JSON value; graders read it as `item.label`."}


def _object(description: str, properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "required": list(required),
    }


def _form(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


SCHEMAS: dict[str, Any] = {
    "OpenRlhfRequest": _object(
        "OpenRLHF (`--reward.remote_url`). A query is a prompt and the model's answer; the prompt and the "
        "special tokens at the end are cut off. The item is `{prompt, label}`.",
        {"query": _TEXTS, "prompts": _TEXTS, "labels": {"type": "array"}},
        "query", "prompts", "labels",
    ),
    "OpenRlhfResponse": _object(
        "`extra_logs` has the rows' statuses as 0 or 1, and the reward of each part of a multi: 0 where a "
        "part has none, which its row tells by `invalid`.",
        {
            "rewards": _NUMBERS,
            "scores": _NUMBERS,
            "extra_logs": {"type": "object", "additionalProperties": _NUMBERS},
        },
        "rewards", "scores", "extra_logs",
    ),
    "SlimeRequest": _object(
        "slime (`--rm-type remote_rm --rm-url`). Special tokens at the response's end are cut off. The item "
        "is `{prompt, label}`.",
        {
            "prompt": {"description": "Text or messages."},
            "response": {"type": "string"},
            "label": _LABEL,
        },
        "prompt", "response", "label",
    ),
    "SlimeResponse": {"description": "The reward alone.", **_NUMBER},
    "AzureEndpointRequest": _object(
        "A grader of type `endpoint` in Azure.",
        {
            "sample": {"description": "The model's output, as in a row of a batch."},
            "item": {"description": "The data-set row."},
            "trace_id": {"description": "Not used."},
        },
        "sample",
    ),
    "AzureEndpointResponse": _object("Azure's.", {"score": _NUMBER}, "score"),
    "PromptfooRequest": _object(
        "promptfoo's assertion of type `webhook`. The item is `context.vars`.",
        {
            "output": {"description": "The model's text; or what promptfoo has parsed of it."},
            "context": {
                "type": ["object", "null"],
                "properties": {"vars": {"type": ["object", "null"]}},
            },
        },
        "output",
    ),
    "PromptfooResponse": _object(
        "`pass` is whether the reward reaches `?threshold=` of the address, or else the grader's "
        f"`pass_threshold`, or else {PASSES_FROM:g}.",
        {"pass": {"type": "boolean"}, "score": _NUMBER, "reason": {"type": "string"}},
        "pass", "score", "reason",
    ),
    "RewardRequest": {
        "description": "The keys tell the forms apart; a body with keys of two forms is refused. Other keys "
        "are not read.",
        "anyOf": [
            _form(name)
            for name in (
                "OpenRlhfRequest", "SlimeRequest", "AzureEndpointRequest", "PromptfooRequest",
            )
        ],
    },
    "RewardResponse": {
        "anyOf": [
            _form(name)
            for name in (
                "OpenRlhfResponse", "SlimeResponse", "AzureEndpointResponse", "PromptfooResponse",
            )
        ]
    },
}  # fmt: skip

REWARD = Operation(
    "reward",
    "The reward of the grader that the server was started with, for trainers and evaluation tools. The "
    "answer has the form that the request's client takes. The server's root takes the same requests. A row "
    "whose output or whose grader's code is at fault has the reward that the hosted API serves; any other "
    "row without a reward refuses the whole request.",
    "RewardRequest",
    "RewardResponse",
    errors={
        "400": "The body has none of the forms, or a row is at fault: no other try can end better.",
        "503": "A judge or the infrastructure failed, so that a row has no reward; `Retry-After` says when "
        "to try again. Or the server is shutting down.",
    },
)
