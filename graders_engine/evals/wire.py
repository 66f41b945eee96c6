"""Evals, runs and lists as the hosted API answers them: every field that its SDKs require is there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from graders_engine.evals.requests.item_schema import data_schema
from graders_engine.language import strict_json
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.runs import StoredRun

ENDED = ("completed", "failed", "canceled")
"""The states of a run that stay."""
ACTIVE = ("queued", "in_progress")
STATES = (*ACTIVE, *ENDED)
"""All states, in the order in which a run may have them."""
NO_COUNTS = {"total": 0, "passed": 0, "failed": 0, "errored": 0}
"""The `result_counts` of a run that has no results yet."""
_ANY_ITEM = data_schema({"type": "object"}, with_sample=False)


def eval_object(stored: StoredEval) -> dict[str, Any]:
    """An eval."""
    config = {
        "type": "custom",
        "schema": _ANY_ITEM,
        **(stored.body.get("data_source_config") or {}),
    }
    return {
        "object": "eval",
        "id": stored.id,
        "created_at": stored.created_at,
        "name": stored.name,
        "data_source_config": config,
        "testing_criteria": stored.body.get("testing_criteria") or [],
        "metadata": stored.metadata,
    }


def run_object(stored: StoredRun, report_url: str, content: bytes | None = None) -> dict[str, Any]:
    """A run.

    Args:
        stored: as it is kept.
        report_url: where a browser finds its report.
        content: the items of the request that made it, as one JSON array; None where a file has them.
    """
    result: Mapping[str, Any] = stored.result or {}
    return {
        "object": "eval.run",
        "id": stored.id,
        "eval_id": stored.eval_id,
        "created_at": stored.created_at,
        "name": stored.name,
        "status": stored.status,
        "model": stored.model,
        "report_url": report_url,
        "data_source": _data_source(stored.request, content),
        "result_counts": {**NO_COUNTS, **(result.get("result_counts") or {})},
        "per_model_usage": result.get("per_model_usage") or [],
        "per_testing_criteria_results": result.get("per_testing_criteria_results") or [],
        "metadata": stored.metadata,
        "error": stored.error,
    }


def _data_source(request: Mapping[str, Any], content: bytes | None) -> dict[str, Any]:
    data_source = {key: value for key, value in request.items() if not key.startswith("_")}
    source = data_source.get("source")
    if content is not None and isinstance(source, Mapping):
        data_source["source"] = {**source, "content": msgspec.Raw(content)}
    return data_source


def eval_deleted(eval_id: str) -> dict[str, Any]:
    """What is answered when an eval was deleted."""
    return {"object": "eval.deleted", "deleted": True, "eval_id": eval_id}


def run_deleted(run_id: str) -> dict[str, Any]:
    """What is answered when a run was deleted."""
    return {"object": "eval.run.deleted", "deleted": True, "run_id": run_id}


def list_page(objects: Sequence[Mapping[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A page of a list."""
    return {
        "object": "list",
        "data": objects,
        "first_id": objects[0]["id"] if objects else None,
        "last_id": objects[-1]["id"] if objects else None,
        "has_more": has_more,
    }


def json_array(lines: bytes) -> bytes:
    """Lines of JSON, each ended, as one JSON array."""
    return b"[" + lines.rstrip(b"\n").replace(b"\n", b",") + b"]"


def encoded(value: Mapping[str, Any]) -> bytes:
    """An answer's body."""
    try:
        return msgspec.json.encode(value)
    except (ValueError, UnicodeError):  # a lone surrogate, or a number of many digits
        return json.dumps(value, default=lambda text: strict_json.decode(bytes(text))).encode()
