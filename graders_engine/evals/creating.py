"""Make evals and runs in a store, from what their requests said."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from graders_engine.body_fields import InvalidBody
from graders_engine.errors import GradersError
from graders_engine.evals.requests.criteria import grader_mistakes
from graders_engine.evals.requests.eval_body import NewEval
from graders_engine.evals.requests.item_schema import ItemSchema, item_schema
from graders_engine.evals.requests.rows import FILE, check_content, check_file
from graders_engine.evals.requests.run_body import NewRun
from graders_engine.evals.run.failure import RunFailed
from graders_engine.evals.run.place import ITEMS, lay_out
from graders_engine.graders import mistakes
from graders_engine.storage.blobs import our_errors
from graders_engine.storage.errors import StoreError
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.ids import new_eval_id, new_run_id
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store

MAX_QUEUED = 100
"""Most runs of a project that wait for their turn."""
DIGEST = "_request"
"""The key under which a stored eval or run has the digest of the request that made it; no answer shows it."""


class QueueFull(GradersError):
    """Raised when too many runs of a project wait for their turn."""


def create_eval(
    store: Store, project: str, new: NewEval, *, now: int, digest: str = ""
) -> StoredEval:
    """Keep a new eval. Without a name, its id is its name.

    Args:
        store: where to.
        project: whose it is.
        new: what its request said.
        now: seconds since 1970.
        digest: of the request.

    Raises:
        StoreError: it cannot be written.
    """
    body: dict[str, Any] = {
        "data_source_config": new.data_source_config,
        "testing_criteria": new.testing_criteria,
    }
    made = new_eval_id()
    name = made if new.name is None else new.name
    stored = StoredEval(made, project, name, new.metadata, now, now, _signed(body, digest))
    store.evals.add(stored)
    return stored


def create_run(
    store: Store, owner: StoredEval, new: NewRun, *, now: int, digest: str = ""
) -> StoredRun | None:
    """Check the rows of a new run, and keep it as queued. Without a name, its id is its name.

    Args:
        store: where to.
        owner: its eval.
        new: what its request said.
        now: seconds since 1970.
        digest: of the request.

    Returns:
        The run; None when the eval was deleted meanwhile.

    Raises:
        InvalidBody: with the mistakes of its rows, or of the eval's criteria.
        QueueFull: too many runs of the project wait.
        StoreError: it cannot be written.
    """
    waiting = [run for run in store.runs.with_status("queued") if run.project == owner.project]
    if len(waiting) >= MAX_QUEUED:
        raise QueueFull(
            f"{len(waiting)} runs wait for their turn, the most that a project may have: retry when some "
            "have ended, or cancel some."
        )
    made = new_run_id()
    folder = store.run_folder(made)
    try:
        _keep_rows(store, owner, new, made)
        stored = StoredRun(
            made, owner.id, owner.project, made if new.name is None else new.name, new.model,
            "queued", new.metadata, now, _signed(new.data_source, digest), {},
        )  # fmt: skip
        kept = store.runs.add(stored)
    except BaseException:
        # An interrupt may come when the run is kept. What stays of others, the next server removes.
        with suppress(StoreError):
            if store.runs.state(made) is None:
                shutil.rmtree(folder, ignore_errors=True)
        raise
    if kept:
        return stored
    shutil.rmtree(folder, ignore_errors=True)
    return None


def content_of(store: Store, run: StoredRun) -> bytes | None:
    """The items that the request of a run had, as lines of JSON; None where a file has them.

    Raises:
        StoreError: they cannot be read.
    """
    source = run.request.get("source")
    if not isinstance(source, dict) or source.get("type") != "file_content" or "content" in source:
        return None
    path = store.run_folder(run.id) / ITEMS
    with our_errors("The items of the run", path, cannot="be read"):
        return path.read_bytes() if path.exists() else b""


def _signed(body: dict[str, Any], digest: str) -> dict[str, Any]:
    return {**body, DIGEST: digest} if digest else body


def _require_sound(owner: StoredEval) -> None:
    """Refuse criteria that cannot be run, as an imported eval may have.

    Raises:
        InvalidBody: with the mistakes of all of them.
    """
    criteria = owner.body.get("testing_criteria") or []
    found = [
        mistake
        for position, criterion in enumerate(criteria)
        for mistake in grader_mistakes(criterion, f"testing_criteria[{position}]")
    ]
    if not criteria:
        found.append(mistakes.missing("testing_criteria"))
    if found:
        raise InvalidBody(found)


def _keep_rows(store: Store, owner: StoredEval, new: NewRun, run_id: str) -> None:
    """Check the rows of a run, and put them into its folder: from now on its file may be deleted."""
    _require_sound(owner)
    schema = _schema_of(owner)
    if new.rows is not None:
        _write(store.run_folder(run_id), check_content(new.rows, schema))
        return
    file = store.files.get(owner.project, new.file_id)
    if file is None:
        reason = f"there is no file '{new.file_id[:80]}'."
        raise InvalidBody([mistakes.invalid(FILE, reason)])
    check_file(store.files.path(file.id), file.id, schema)
    try:
        with our_errors("The items of the run", store.run_folder(run_id)):
            lay_out(store, run_id, new.data_source)
    except RunFailed as error:
        raise InvalidBody([mistakes.invalid(FILE, str(error))]) from None


def _schema_of(owner: StoredEval) -> ItemSchema:
    try:
        return ItemSchema(item_schema(owner.body.get("data_source_config") or {}))
    except ValueError as error:
        reason = f"the schema of this eval's items cannot be used: {error}"
        raise InvalidBody([mistakes.invalid("data_source", reason)]) from None


def _write(folder: Path, lines: Iterator[bytes]) -> None:
    path = folder / ITEMS
    with our_errors("The items of the run", path):
        folder.mkdir(mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
