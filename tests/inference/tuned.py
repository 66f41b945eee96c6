"""Jobs that have trained, for tests that train nothing."""

from __future__ import annotations

from typing import Any

from graders_engine.jobs.names import checkpoint_name, model_name
from graders_engine.jobs.place import MODEL
from graders_engine.storage.ids import new_job_id
from graders_engine.storage.job_records import StoredCheckpoint
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.store import Store
from tests.inference.scripted import TEXT

STEPS = (5, 10)


def trained_job(
    store: Store,
    project: str = "default",
    status: str = "succeeded",
    *,
    base: str = "tiny",
    suffix: str = "mine",
    **more: Any,
) -> StoredJob:
    """A job with a checkpoint of each of `STEPS`; the last one is its model, if it has succeeded."""
    job = StoredJob(
        id=new_job_id(), project=project, status=status, created_at=1,
        request={"model": base, "suffix": suffix}, spec={"max_completion_tokens": 40}, **more,
    )  # fmt: skip
    assert store.jobs.add(job)
    for step in STEPS:
        weights = store.job_folder(job.id) / f"step-{step}" / MODEL
        weights.mkdir(parents=True)
        (weights / "weights").write_text(f"{job.id} {step}")
        (weights / TEXT).write_text(f"I was trained {step} steps.")
        final = status == "succeeded" and step == STEPS[-1]
        kept = StoredCheckpoint(
            job.id, step, checkpoint_name(job, step), f"step-{step}", f"{step:064x}", {}, final=final
        )  # fmt: skip
        assert store.jobs.add_checkpoint(kept)
    if status == "succeeded":
        assert store.jobs.note(job.id, fine_tuned_model=model_name(job))
    return job


def names_of(job: StoredJob) -> tuple[str, str, str]:
    """The names of a job's model, of its first checkpoint, and of its last one."""
    first, last = (checkpoint_name(job, step) for step in STEPS)
    return model_name(job), first, last
