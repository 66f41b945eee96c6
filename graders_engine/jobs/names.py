"""The names of what jobs make."""

from __future__ import annotations

from graders_engine.storage.jobs import StoredJob

_ID_CHARS = 8


def model_name(job: StoredJob) -> str:
    """The name of a job's model: `ft:BASE:local:SUFFIX:ID8`."""
    short = job.id.removeprefix("ftjob-")[:_ID_CHARS]
    return f"ft:{job.request.get('model')}:local:{job.request.get('suffix') or ''}:{short}"


def checkpoint_name(job: StoredJob, step: int) -> str:
    """The name of a job's model as it was after a step."""
    return f"{model_name(job)}:ckpt-step-{step}"
