"""The states of a job: one table of what may follow what, and the one function that changes a state.

::

    validating_files ─▶ queued ─▶ running ─▶ succeeded | failed
            │            ▲  │        │ ▲
            ▼            │  ▼        ▼ └─ worker lost: queued
          failed         └ paused ◀─ pausing         any but the three ends ─▶ cancelled
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from graders_engine.storage.job_records import NewEvent
from graders_engine.storage.jobs import Jobs

NEXT: Mapping[str, frozenset[str]] = {
    "validating_files": frozenset({"queued", "failed", "cancelled"}),
    "queued": frozenset({"running", "paused", "failed", "cancelled"}),
    "running": frozenset({"queued", "pausing", "paused", "succeeded", "failed", "cancelled"}),
    "pausing": frozenset({"paused", "succeeded", "failed", "cancelled"}),
    "paused": frozenset({"queued", "cancelled"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
"""Which states may follow a state."""
ENDS = frozenset(status for status, following in NEXT.items() if not following)
WORKING = ("running", "pausing")
"""The states in which a job has a worker."""
_WANTED = {"pausing": "paused", "cancelled": "cancelled"}
"""What a worker has to obey from the change to a state on."""


def change(
    jobs: Jobs,
    job_id: str,
    to: str,
    from_: Collection[str] | None = None,
    events: Sequence[NewEvent] = (),
    **columns: Any,
) -> bool:
    """Change the state of a job, if the table allows it from the one that it has; whether it was changed.

    Args:
        jobs: where it is.
        job_id: of the job.
        to: the new state.
        from_: of the states from which that is allowed, those that count here; None for all.
        events: added with the change.
        columns: what else changes with it; see `storage.jobs.CHANGEABLE`.

    Raises:
        ValueError: the table has no such change, or a job would succeed without a model.
    """
    allowed = {status for status, following in NEXT.items() if to in following}
    if strange := set(from_ or ()) - allowed:
        raise ValueError(f"no job changes from {', '.join(sorted(strange))} to {to}")
    if to == "succeeded" and not columns.get("fine_tuned_model"):
        raise ValueError("a job succeeds with a model only")
    if to in ENDS:
        columns.setdefault("finished_at", int(time.time()))
    if to not in WORKING:
        columns.setdefault("estimated_finish", None)
    sources = allowed if from_ is None else from_
    return jobs.move(job_id, to, sources, events=events, wanted=_WANTED.get(to, ""), **columns)


def pause(jobs: Jobs, job_id: str) -> bool:
    """Pause a queued job at once, or a running one after its step; whether it was one of these."""
    paused = NewEvent("info", "The job is paused.")
    asked = NewEvent("info", "The job will pause after this step.")
    while True:
        if change(jobs, job_id, "paused", ("queued",), [paused]):
            return True
        if change(jobs, job_id, "pausing", ("running",), [asked]):
            return True
        state = jobs.state(job_id)
        if state is None or state.status not in ("queued", "running"):
            return False  # else it has changed between the two


def resume(jobs: Jobs, job_id: str) -> bool:
    """Queue a paused job; whether it was one."""
    resumed = NewEvent("info", "The job is resumed.")
    return change(jobs, job_id, "queued", ("paused",), [resumed], attempt=0)


def cancel(jobs: Jobs, job_id: str) -> bool:
    """Cancel a job that has not ended; whether it was one. What looks after its worker ends that."""
    return change(jobs, job_id, "cancelled", None, [NewEvent("info", "The job is cancelled.")])
