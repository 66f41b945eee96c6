"""Models that jobs have made: what of their jobs and checkpoints one needs to ask them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from graders_engine.storage.database import Database, bindable
from graders_engine.storage.job_records import NewEvent, insert_event

_COLUMNS = """
    checkpoint.id, checkpoint.seq, job_id, project, status, folder, digest, checkpoint.created_at,
    json_extract(spec, '$.max_completion_tokens') AS max_completion_tokens
"""
_ALL = f"""
    SELECT name, {_COLUMNS} FROM checkpoint JOIN job ON job.id = job_id
    UNION ALL
    SELECT fine_tuned_model AS name, {_COLUMNS} FROM job JOIN checkpoint ON job_id = job.id AND final
    WHERE fine_tuned_model IS NOT NULL
"""  # noqa: S608 - names of columns
_ALLOWED = f"""
SELECT * FROM ({_ALL}) AS made WHERE (
    project = :project
    OR EXISTS (
        SELECT 1 FROM permission
        WHERE permission.project = :project AND job_id = made.job_id AND checkpoint = made.name
    )
)
"""  # noqa: S608 - as above
_NAMED = f"{_ALLOWED} AND name = :name ORDER BY project != :project, seq"
_OWNED = f"""
SELECT * FROM ({_ALL}) WHERE name = :name AND (:project IS NULL OR project = :project) ORDER BY seq
"""  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class TunedModel:
    """The weights of a job after its last step, or after another one.

    Attributes:
        name: `ft:…`, or that of a checkpoint.
        id: of the checkpoint.
        job_id: whose it is.
        project: whose the job is.
        status: of the job.
        folder: its name in the job's folder.
        digest: of its files.
        created_at: seconds since 1970.
        max_completion_tokens: the longest answer of the job; None where it did not say.
    """

    name: str
    id: str
    job_id: str
    project: str
    status: str
    folder: str
    digest: str
    created_at: int
    max_completion_tokens: int | None


class TunedModels:
    """The models of all jobs whose weights are kept.

    Args:
        database: where their rows are.
        remove: called with a job's id and the name of a folder in its own when a model was deleted.
    """

    def __init__(
        self, database: Database, remove: Callable[[str, str], object] = lambda *_: None
    ) -> None:
        self._database, self._remove = database, remove

    def find(self, project: str, name: str) -> TunedModel | None:
        """A model that a project may ask: its own, or one that is shared with it; None without one."""
        return self._first(_NAMED, project, name)

    def owned(self, name: str, project: str | None = None) -> TunedModel | None:
        """A model of this project, or of any one; None without one."""
        return self._first(_OWNED, project, name)

    def _first(self, sql: str, project: str | None, name: str) -> TunedModel | None:
        with self._database.read() as file:
            row = file.execute(sql, _values(project, name)).fetchone()
        return None if row is None else _model(row)

    def available(self, project: str) -> list[TunedModel]:
        """All models that a project may ask, the oldest first."""
        with self._database.read() as file:
            rows = file.execute(f"{_ALLOWED} ORDER BY seq, name", {"project": project}).fetchall()
        return [_model(row) for row in rows]

    def has_folder(self, job_id: str, folder: str) -> bool:
        """Whether weights are in this folder of a job, and not only what was left of them."""
        sql = "SELECT 1 FROM checkpoint WHERE job_id = ? AND folder = ?"
        return self._database.row(sql, job_id, folder) is not None

    def delete(
        self, name: str, project: str | None, statuses: Collection[str]
    ) -> TunedModel | None:
        """Delete a model's checkpoint, its permissions and its folder, with an event of its job.

        Args:
            name: of the model.
            project: whose it has to be; None for any.
            statuses: those that its job may have.

        Returns:
            The model as it was; None if there is none, or its job has another status.
        """

        def rows(file: sqlite3.Connection) -> list[TunedModel]:
            found = file.execute(_OWNED, _values(project, name)).fetchone()
            if found is None or found["status"] not in statuses:
                return []
            file.execute("DELETE FROM checkpoint WHERE id = ?", (found["id"],))
            model = _model(found)
            insert_event(file, model.job_id, NewEvent("info", f"The model {name} was deleted"))
            return [model]

        def remove(deleted: Sequence[TunedModel]) -> None:
            for one in deleted:
                self._remove(one.job_id, one.folder)

        deleted = self._database.delete(rows, remove)
        return deleted[0] if deleted else None


def _values(project: str | None, name: str) -> dict[str, str | None]:
    return {"project": project, "name": bindable((name,))[0]}


def _model(row: sqlite3.Row) -> TunedModel:
    longest = row["max_completion_tokens"]
    return TunedModel(
        row["name"], row["id"], row["job_id"], row["project"], row["status"], row["folder"], row["digest"],
        row["created_at"], longest if isinstance(longest, int) else None,
    )  # fmt: skip
