"""Jobs and their work, made in few words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from graders_engine.jobs.checkpoints import digest
from graders_engine.jobs.supervisor import Supervisor
from graders_engine.settings import EngineSettings
from graders_engine.storage.ids import new_job_id
from graders_engine.storage.job_records import StoredCheckpoint, StoredEvent
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.lock import ProcessLock
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store
from graders_engine.training.trainer import JobSpec, Method
from tests.jobs.scripted import AGAIN

PROJECT = "default"
TRAINER = "tests.jobs.scripted:ScriptedTrainer"
STEPS, INTERVAL = 20, 5


@dataclass
class Bench:
    """A store, and what is done with the jobs in it."""

    folder: Path

    def __post_init__(self) -> None:
        self.store = Store(self.folder)

    def job(
        self,
        script: dict[str, Any] | None = None,
        method: Method = "reinforcement",
        steps: int = STEPS,
        status: str = "queued",
        **of_spec: Any,
    ) -> str:
        """A new job; its id."""
        job_id = new_job_id()
        hyperparameters: dict[str, int | float | str] = {
            "steps": steps,
            "eval_interval": INTERVAL,
            "script": json.dumps(script or {}),
        }
        spec = JobSpec(
            id=job_id, method=method, model_path="", lora=None, learning_rate=1.0,
            max_completion_tokens=1, training_file="", validation_file=None,
            hyperparameters=hyperparameters, seed=7, **of_spec,
        )  # fmt: skip
        made = StoredJob(
            id=job_id, project=PROJECT, status=status, created_at=1,
            request={"model": "tiny", "suffix": "mine"}, spec=msgspec.to_builtins(spec),
        )  # fmt: skip
        assert self.store.jobs.add(made)
        return job_id

    def supervisor(self, **more: Any) -> Supervisor:
        return Supervisor(self.store, EngineSettings(), **{"trainer": TRAINER, **more})

    def finish(self, job_id: str, **more: Any) -> StoredJob:
        done = self.supervisor(**more).finish(job_id)
        assert done is not None
        return done

    def job_of(self, job_id: str) -> StoredJob:
        found = self.store.jobs.find(job_id)
        assert found is not None
        return found

    def events(self, job_id: str) -> Sequence[StoredEvent]:
        found = self.store.jobs.events(job_id, Page(limit=1000))
        assert not found.has_more
        return found.data

    def messages(self, job_id: str, level: Literal["info", "warn", "error"]) -> list[str]:
        events = self.events(job_id)
        return [one.message for one in events if one.level == level and one.type == "message"]

    def checkpoints(self, job_id: str) -> list[StoredCheckpoint]:
        return self.store.jobs.all_checkpoints(job_id)

    def place(self, job_id: str) -> Path:
        return self.store.job_folder(job_id)

    def script_is_over(self, job_id: str) -> None:
        """From now on, the trainer of this job does what every trainer does."""
        (self.place(job_id) / AGAIN).touch()

    def is_free(self, job_id: str) -> bool:
        """Whether no worker is at work."""
        lock = ProcessLock(self.place(job_id) / "lock")
        taken = lock.take()
        lock.release()
        return taken

    def result(self, job_id: str, name: str) -> bytes:
        """The content of a result file."""
        found = [self.store.files.get(PROJECT, one) for one in self.job_of(job_id).result_files]
        (file,) = [one for one in found if one is not None and one.name == name]
        assert file.purpose == "fine-tune-results"
        return self.store.files.path(file.id).read_bytes()


def made_of(bench: Bench, job_id: str) -> dict[str, Any]:
    """All that a job has made, but for ids, names and times."""
    events = [one for one in bench.events(job_id) if one.type == "metrics"]
    return {
        "steps": [one.step for one in events],
        "messages": [one.message for one in events],
        "curve": [one.data for one in events],
        "rollouts": bench.result(job_id, "rollouts.jsonl").splitlines(),
        "csv": bench.result(job_id, "step_metrics.csv").splitlines(),
        "checkpoints": [
            (one.step, one.digest, one.metrics, one.resumable, one.final)
            for one in bench.checkpoints(job_id)
        ],
        "weights": [
            digest(bench.place(job_id) / one.folder / "model") for one in bench.checkpoints(job_id)
        ],
        "folders": sorted(path.name for path in bench.place(job_id).glob("*step-*")),
        "states": sorted(path.parent.name for path in bench.place(job_id).glob("*/state")),
        "tokens": bench.job_of(job_id).trained_tokens,
    }
