"""What a list says of a fine-tuning job of a store."""

from __future__ import annotations

from typing import Any

from graders_engine.files import without_paths
from graders_engine.jobs.states import ENDS
from graders_engine.storage.listed_jobs import ListedJob
from graders_engine.view.folders.eval_runs import MAX_CHARS, created

MAX_JOBS = 50
"""Jobs in a list."""


def job_json(job: ListedJob) -> dict[str, Any]:
    """A job as JSON; `points` are pairs of a step and its value, or null."""
    last = job.points[-1] if job.points else None
    return {
        "id": job.id,
        "name": job.suffix[:MAX_CHARS],
        "model": job.model[:MAX_CHARS],
        "method": job.method[:MAX_CHARS],
        "status": job.status[:MAX_CHARS],
        "is_going": job.status not in ENDS and job.status != "paused",
        "error": without_paths(job.message or job.code)[:MAX_CHARS],
        "metric": "reward" if job.has_rewards else "loss",
        "step": 0 if last is None else last.step,
        "of": job.of,
        "train": None if last is None else last.value,
        "valid": job.valid,
        "points": job.points,
        "tuned": job.fine_tuned_model[:MAX_CHARS],
        "when": created(job),
    }


def jobs_json(jobs: list[ListedJob]) -> dict[str, Any]:
    """Of the newest jobs, one more than are listed: those, and whether there are others."""
    return {"jobs": [job_json(job) for job in jobs[:MAX_JOBS]], "more_jobs": len(jobs) > MAX_JOBS}
