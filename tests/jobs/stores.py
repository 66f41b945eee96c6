"""Stores with files and jobs, for tests that need no server."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from graders_engine.jobs.creating import PURPOSE, create_job
from graders_engine.jobs.requests.request import new_job
from graders_engine.models.config import Config
from graders_engine.models.tables.training import BaseModel
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store
from tests.jobs.models import make_model
from tests.jobs.test_rows import DPO, REINFORCEMENT, SUPERVISED

ROWS: dict[str, list[Any]] = {
    "supervised": [SUPERVISED] * 12,
    "dpo": [DPO] * 12,
    "reinforcement": [
        {"messages": [{"role": "user", "content": f"What is {n} plus {n}?"}], "label": str(2 * n)}
        for n in range(12)
    ],
    "others": [REINFORCEMENT] * 3,
}
GRADER: dict[str, Any] = {
    "type": "string_check",
    "name": "match",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "operation": "eq",
}
NOW = 1_900_000_000
ROOT = Path(__file__).parents[2]


def add_file(
    store: Store, rows: Iterable[Any], *, project: str = "default", purpose: str = PURPOSE
) -> str:
    """The id of a new file with these rows; a text is a line as it is."""
    part = store.files.new_part()
    for row in rows:
        part.write((row if isinstance(row, str) else json.dumps(row)).encode() + b"\n")
    return store.files.add(part, project=project, purpose=purpose, name="rows.jsonl").id


def config_of(folder: Path, **more: Any) -> Config:
    """A graders.toml with the model `tiny`."""
    return Config(base_models={"tiny": BaseModel(str(make_model(folder / "tiny")))}, **more)


def body_of(store: Store, method: str, **more: Any) -> dict[str, Any]:
    """A request for a job, with files of its own."""
    body: dict[str, Any] = {
        "model": "tiny",
        "training_file": add_file(store, ROWS[method]),
        "method": {"type": method},
        "seed": 7,
    }
    if method == "reinforcement":
        body["validation_file"] = add_file(store, ROWS["others"])
        body["method"]["reinforcement"] = {"grader": GRADER}
    return {**body, **more}


def add_job(store: Store, body: dict[str, Any], project: str = "default") -> StoredJob:
    """A job that is to be checked."""
    return create_job(store, project, new_job(body), now=NOW)


def found(store: Store, job_id: str) -> StoredJob:
    """A job as it is now."""
    job = store.jobs.find(job_id)
    assert job is not None
    return job


def events_of(store: Store, job_id: str) -> list[tuple[str, str]]:
    """The levels and messages of a job's events, in their order."""
    listed = store.jobs.events(job_id, Page(limit=100)).data
    return [(event.level, event.message) for event in listed]


def trains(folder: Path, before: str = "") -> str:
    """A Python that trains with the scripted trainer; `before` is what it does first."""
    python = folder / "trains"
    more = f'exec "{sys.executable}" "$@" --trainer tests.jobs.served:ServedTrainer'
    python.write_text(f"#!/bin/sh\nexport PYTHONPATH={ROOT}\n{before}\n{more}\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return str(python)
