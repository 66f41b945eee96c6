"""Jobs, events and checkpoints as the hosted API answers them: every field that its SDKs require is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graders_engine.files import without_paths
from graders_engine.jobs.states import ENDS, NEXT
from graders_engine.storage.job_records import StoredCheckpoint, StoredEvent
from graders_engine.storage.jobs import StoredJob

ORGANIZATION = "local"
"""Whose all jobs and models are: the part of a tuned model's name that the hosted API has its customer in."""
DIGEST = "_request"
"""The key under which a stored job has the digest of the request that made it; no answer shows it."""
STATES = tuple(NEXT)
"""All states of a job, in the order in which it may have them."""
ACTIVE = tuple(status for status in STATES if status not in ENDS)
"""The states in which a job's files are needed."""
_SHOWN = ("n_epochs", "batch_size", "learning_rate_multiplier")
"""The hyperparameters that stand at the top of a supervised job, too."""


def job_object(stored: StoredJob) -> dict[str, Any]:
    """A job. Its hyperparameters have their numbers, in place of `auto`, as soon as its files are read."""
    request = stored.request
    method = _method(stored)
    top = method.get("supervised", {}).get("hyperparameters", {})
    return {
        "object": "fine_tuning.job",
        "id": stored.id,
        "created_at": stored.created_at,
        "finished_at": stored.finished_at,
        "estimated_finish": stored.estimated_finish,
        "status": stored.status,
        "model": request.get("model", ""),
        "fine_tuned_model": stored.fine_tuned_model,
        "organization_id": ORGANIZATION,
        "training_file": request.get("training_file", ""),
        "validation_file": request.get("validation_file"),
        "result_files": list(stored.result_files),
        "trained_tokens": stored.trained_tokens if stored.status in ENDS else None,
        "hyperparameters": {name: top[name] for name in _SHOWN if name in top},
        "method": method,
        "seed": request.get("seed", 0),
        "user_provided_suffix": request.get("suffix"),
        "integrations": request.get("integrations"),
        "metadata": stored.metadata,
        "error": _error(stored.error),
    }


def _method(stored: StoredJob) -> dict[str, Any]:
    method = stored.request.get("method") or {}
    kind = method.get("type", "supervised")
    config = dict(method.get(kind) or {})
    resolved = stored.spec.get("hyperparameters")
    if resolved:
        config["hyperparameters"] = {**(config.get("hyperparameters") or {}), **resolved}
    return {"type": kind, kind: config}


def _error(error: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "code": str(error.get("code")),
        "message": without_paths(str(error.get("message"))),
        "param": error.get("param"),
    }


def event_object(stored: StoredEvent) -> dict[str, Any]:
    """An event."""
    return {
        "object": "fine_tuning.job.event",
        "id": stored.id,
        "created_at": stored.created_at,
        "level": stored.level,
        "message": without_paths(stored.message),
        "type": stored.type,
        "data": stored.data if stored.data is not None else {},
    }


def checkpoint_object(stored: StoredCheckpoint) -> dict[str, Any]:
    """A checkpoint."""
    return {
        "object": "fine_tuning.job.checkpoint",
        "id": stored.id,
        "created_at": stored.created_at,
        "fine_tuned_model_checkpoint": stored.name,
        "fine_tuning_job_id": stored.job_id,
        "metrics": {"step": stored.step, **stored.metrics},
        "step_number": stored.step,
    }
