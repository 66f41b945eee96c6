"""The store that a command works on, and what is named in it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graders_engine.errors import InvalidRequest
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.ids import DEFAULT_PROJECT
from graders_engine.storage.pages import Page
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import DATABASE, Store

_PAGE = 200


@contextmanager
def opened(jobs: Path) -> Iterator[Store]:
    """The store in a folder.

    Raises:
        InvalidRequest: there is none.
    """
    if not (jobs / DATABASE).exists():
        raise InvalidRequest(
            f"{jobs} holds no evals: name a folder of `graders serve --jobs DIR` or of `graders import evals "
            "--into DIR`."
        )
    with Store(jobs) as store:
        yield store


def find(store: Store, project: str, wanted: str) -> StoredEval | StoredRun:
    """The eval or the run of an id, or of the only id that begins so.

    Raises:
        InvalidRequest: there is none, or there are several.
    """
    stored = store.evals.get(project, wanted)
    run = store.runs.find(wanted)
    if stored is not None:
        return stored
    if run is not None and run.project == project:
        return run
    matches = [one for one in _all(store, project) if one.id.startswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        some = ", ".join(one.id for one in matches[:3])
        more = f" and {len(matches) - 3} more" if len(matches) > 3 else ""
        raise InvalidRequest(
            f"Several ids begin with '{wanted}': {some}{more}. Give more of the id."
        )
    raise InvalidRequest(
        f"There is no eval and no run '{wanted}' of the project {project}: `graders evals list "
        f"{where(store.folder, project)}` shows them."
    )


def where(jobs: Path, project: str) -> str:
    """The flags that name a folder, and a project in it."""
    of = "" if project == DEFAULT_PROJECT else f" --project {shlex.quote(project)}"
    return f"--jobs {shlex.quote(str(jobs))}{of}"


def show_command(one: StoredEval | StoredRun, jobs: Path, limit: int = 0) -> str:
    """The command that shows an eval or a run, with so many runs or items where it is a number."""
    most = f" --limit {limit}" if limit else ""
    return f"graders evals show {one.id}{most} {where(jobs, one.project)}"


def _all(store: Store, project: str) -> Iterator[StoredEval | StoredRun]:
    page = Page(None, _PAGE)
    while True:
        some = store.evals.page(project, page)
        for one in some.data:
            yield one
            yield from _runs_of(store, one)
        if not some.has_more:
            return
        page = Page(some.data[-1].id, _PAGE)


def _runs_of(store: Store, owner: StoredEval) -> Iterator[StoredRun]:
    page = Page(None, _PAGE)
    while True:
        some = store.runs.page(owner.project, owner.id, page)
        yield from some.data
        if not some.has_more:
            return
        page = Page(some.data[-1].id, _PAGE)
