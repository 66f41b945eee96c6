"""The store that a command works on, and the jobs in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graders_engine.cli.evals.stored import where
from graders_engine.errors import InvalidRequest
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.lock import ProcessLock
from graders_engine.storage.pages import Page
from graders_engine.storage.store import DATABASE, LOCK, Store

_PAGE = 200


@contextmanager
def opened(jobs: Path) -> Iterator[Store]:
    """The store in a folder.

    Raises:
        InvalidRequest: there is none.
    """
    if not (jobs / DATABASE).exists():
        raise InvalidRequest(f"{jobs} holds no jobs: name a folder of `graders serve --jobs DIR`.")
    with Store(jobs) as store:
        yield store


def find_job(store: Store, project: str, wanted: str) -> StoredJob:
    """The job of an id, or of the only id that begins so.

    Raises:
        InvalidRequest: there is none, or there are several.
    """
    stored = store.jobs.get(project, wanted)
    if stored is not None:
        return stored
    matches = [job for job in _all(store, project) if job.id.startswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        some = ", ".join(job.id for job in matches[:3])
        more = f" and {len(matches) - 3} more" if len(matches) > 3 else ""
        raise InvalidRequest(
            f"Several ids begin with '{wanted}': {some}{more}. Give more of the id."
        )
    raise InvalidRequest(
        f"There is no job '{wanted}' of the project {project}: `graders jobs list "
        f"{where(store.folder, project)}` shows them."
    )


def is_served(store: Store) -> bool:
    """Whether a server has the folder just now."""
    lock = ProcessLock(store.folder / LOCK)
    if not lock.take():
        return True
    lock.release()
    return False


def _all(store: Store, project: str) -> Iterator[StoredJob]:
    page = Page(None, _PAGE, "desc")
    while True:
        some = store.jobs.page(project, page)
        yield from some.data
        if not some.has_more:
            return
        page = Page(some.data[-1].id, _PAGE, "desc")
