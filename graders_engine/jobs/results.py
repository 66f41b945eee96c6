"""The result files of a job, put into the store's files."""

from __future__ import annotations

from pathlib import Path

from graders_engine.jobs.place import RESULTS, ROLLOUTS, STEP_METRICS, write_whole
from graders_engine.language import strict_json
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.store import Store

PURPOSE = "fine-tune-results"
_CHUNK = 1 << 20


def publish(store: Store, job: StoredJob, folder: Path) -> list[str]:
    """Make files of a job's results; their ids. Doing it again after a crash makes none a second time.

    Raises:
        StoreError: the disk is full, or fails.
        OSError: as above.
    """
    note = folder / RESULTS
    ids: dict[str, str] = strict_json.decode(note.read_bytes()) if note.exists() else {}
    for name in (STEP_METRICS, ROLLOUTS):
        path = folder / name
        is_there = name in ids and store.files.get(job.project, ids[name]) is not None
        if is_there or not path.exists():
            continue
        part = store.files.new_part()
        try:
            with path.open("rb") as content:
                while chunk := content.read(_CHUNK):
                    part.write(chunk)
            ids[name] = part.id
            write_whole(note, strict_json.encode(ids))
        except BaseException:
            part.discard()
            raise
        store.files.add(part, project=job.project, purpose=PURPOSE, name=name)
    return list(ids.values())


def withdraw(store: Store, job: StoredJob, ids: list[str]) -> None:
    """Delete the result files of a job that was cancelled in the last moment."""
    for one in ids:
        store.files.delete(job.project, one)
