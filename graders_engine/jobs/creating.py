"""Make jobs in a store, from what their requests said; and what of a store jobs need."""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.body_fields import InvalidBody
from graders_engine.errors import GradersError, Mistake
from graders_engine.graders import mistakes
from graders_engine.jobs.requests.request import TRAINING_FILE, VALIDATION_FILE, NewJob
from graders_engine.jobs.validation.validating import VALIDATING
from graders_engine.jobs.wire import ACTIVE, DIGEST
from graders_engine.storage.ids import new_job_id
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store

PURPOSE = "fine-tune"
"""What the files of a job are uploaded for."""
MAX_QUEUED = 100
"""Most jobs of a project that wait for their turn."""
_WAITING = (VALIDATING, "queued")


class JobQueueFull(GradersError):
    """Raised when too many jobs of a project wait for their turn."""


def create_job(store: Store, project: str, new: NewJob, *, now: int, digest: str = "") -> StoredJob:
    """Keep a new job, whose files are to be checked.

    Args:
        store: where to.
        project: whose it is.
        new: what its request said.
        now: seconds since 1970.
        digest: of the request.

    Raises:
        InvalidBody: a file does not exist, or is for something else.
        JobQueueFull: too many jobs of the project wait.
        StoreError: it cannot be written.
    """
    _require_files(store, project, new)
    waiting = [job for job in _in_states(store, *_WAITING) if job.project == project]
    if len(waiting) >= MAX_QUEUED:
        raise JobQueueFull(
            f"{len(waiting)} jobs wait for their turn, the most that a project may have: retry when some "
            "have ended, or cancel some."
        )
    made = StoredJob(
        id=new_job_id(),
        project=project,
        status=VALIDATING,
        created_at=now,
        request={**new.request, **({DIGEST: digest} if digest else {})},
        spec={},
        metadata=new.metadata,
    )
    store.jobs.add(made)
    store.jobs.add_event(made.id, "info", f"Created fine-tuning job: {made.id}", once="created")
    return made


def made_by(store: Store, project: str, digest: str, since: int) -> StoredJob | None:
    """The job that the same request has made; None without one.

    Args:
        store: where it would be.
        project: whose it would be.
        digest: of the request.
        since: of an older job, the request is another one. Seconds since 1970.
    """
    page = Page(limit=100, order="desc")
    while True:
        some = store.jobs.page(project, page)
        for stored in some.data:
            if stored.created_at < since:
                return None
            if stored.request.get(DIGEST) == digest:
                return stored
        if not some.has_more:
            return None
        page = Page(some.data[-1].id, page.limit, page.order)


def job_using(store: Store, project: str, file_id: str) -> StoredJob | None:
    """A job that has not ended and has this file; None without one."""
    for job in _in_states(store, *ACTIVE):
        files = (job.request.get(TRAINING_FILE), job.request.get(VALIDATION_FILE))
        if job.project == project and file_id in files:
            return job
    return None


def _in_states(store: Store, *states: str) -> Iterator[StoredJob]:
    for state in store.jobs.states(*states):
        job = store.jobs.find(state.id)
        if job is not None:
            yield job


def _require_files(store: Store, project: str, new: NewJob) -> None:
    found: list[Mistake] = []
    for param, file_id in (
        (TRAINING_FILE, new.training_file),
        (VALIDATION_FILE, new.validation_file),
    ):
        if not file_id:
            continue
        file = store.files.get(project, file_id)
        if file is None:
            found.append(mistakes.invalid(param, f"there is no file '{file_id[:80]}'."))
        elif file.purpose != PURPOSE:
            message = (
                f"Invalid '{param}': the file '{file.id}' was uploaded with the purpose '{file.purpose}'; "
                f"upload it with '{PURPOSE}'."
            )
            found.append(Mistake(message, param, "file_wrong_purpose"))
    if found:
        raise InvalidBody(found)
