"""The files of a run in its folder, and how its rows come there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graders_engine.dataset.rows.source import DAMAGE, Source
from graders_engine.errors import DataSetError
from graders_engine.evals.run.failure import RunFailed
from graders_engine.language import strict_json
from graders_engine.storage.store import Store

ITEMS = "items.jsonl"
"""The rows of the data source; for a file that was uploaded, another name of its content."""
SAMPLES = "samples.jsonl"
RESULTS = "results.jsonl"
JUDGED = "judged.sqlite"
REPLIES = "replies.sqlite"
"""Keeps the replies of models for a run whose settings name no other cache."""
LOCK = "lock"
LOG = "worker.log"
RESERVE = "reserve"
"""Takes space while the run goes; when the disk is full, it makes room to say so."""
RESERVE_BYTES = 1 << 18
NOTED = "noted"
"""The bytes of samples and results, and the number of replies, when the last worker was started."""


def rows_of_run(folder: Path, source: Mapping[str, Any]) -> Path:
    """The rows that a run grades: those of its data source, or those that were sampled."""
    return folder / (ITEMS if source.get("type") == "jsonl" else SAMPLES)


def lay_out(store: Store, run_id: str, data_source: Mapping[str, Any]) -> Path:
    """Make a run's folder with its items, if they are not there yet; gives the file of the items.

    Raises:
        RunFailed: the file with the items was deleted, or the items are lost.
        OSError: it cannot be written.
    """
    folder = store.run_folder(run_id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / RESERVE).write_bytes(os.urandom(RESERVE_BYTES))  # zeros may take no space
    items = folder / ITEMS
    if items.exists():
        return items
    source = data_source.get("source") or {}
    part = folder / f"{ITEMS}.part"
    part.unlink(missing_ok=True)
    if source.get("type") == "file_id":
        _take(store.files.path(str(source.get("id"))), part, str(source.get("id")))
    else:
        if "content" not in source:
            raise RunFailed(
                "items_not_found", "The items of this run are lost: create another run."
            )
        with part.open("wb") as file:
            for row in source["content"] or ():
                file.write(strict_json.encode(row) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    part.replace(items)
    return items


def _take(content: Path, part: Path, file_id: str) -> None:
    """Give a content a second name, so that it stays when the file is deleted; or copy it.

    A compressed one is unpacked: its lines could not be found by their bytes.
    """
    try:
        if not _unpack(content, part):
            _link_or_copy(content, part)
    except FileNotFoundError:
        raise RunFailed(
            "file_not_found",
            f"The file {file_id} was deleted before the run read it: upload it again, and create another "
            "run.",
        ) from None


def _link_or_copy(content: Path, part: Path) -> None:
    try:
        os.link(content, part)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without second names
        shutil.copyfile(content, part)


def _unpack(content: Path, part: Path) -> bool:
    """Write the decompressed bytes of a compressed content; whether it is one.

    Raises:
        DataSetError: it cannot be decompressed.
    """
    with content.open("rb"):  # raises FileNotFoundError
        source = Source(content)
    if not source.compression:
        return False
    with source.open() as (stream, _), part.open("wb") as file:
        try:
            shutil.copyfileobj(stream, file)
        except DAMAGE as error:
            raise DataSetError(f"The file {content.name} is damaged: {error}.") from error
        file.flush()
        os.fsync(file.fileno())
    return True
