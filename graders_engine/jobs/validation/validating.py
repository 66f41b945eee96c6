"""Check a job that is new: its files are read, its model is found, and `auto` is resolved."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from graders_engine.jobs.models.base_models import ModelRefused, Trainable, find_model, trainable
from graders_engine.jobs.models.hub import NotDownloaded, downloaded
from graders_engine.jobs.models.machine import memory
from graders_engine.jobs.requests.hyperparameters import AUTO, resolved, total_steps
from graders_engine.jobs.requests.request import (
    GRADER,
    TRAINING_FILE,
    VALIDATION_FILE,
    NewJob,
    new_job,
)
from graders_engine.jobs.requests.rows import FEWEST, fields_read, read_rows
from graders_engine.jobs.states import change
from graders_engine.jobs.validation.preflight_events import names_calls, preflight_events
from graders_engine.jobs.validation.trainer_check import check_with_trainer
from graders_engine.models.config import Config
from graders_engine.models.tables.training import BaseModel
from graders_engine.storage.job_records import NewEvent
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.store import Store
from graders_engine.training.answers import is_bound
from graders_engine.training.rows import WORDS, invalid_file
from graders_engine.training.trainer import JobSpec, TrainingFailed

VALIDATING = "validating_files"
_LINKED = {TRAINING_FILE: "training.jsonl", VALIDATION_FILE: "validation.jsonl"}
"""The names of a job's rows in its folder: the files may be deleted when they are there."""


@dataclass(frozen=True, slots=True)
class _Files:
    """The rows of a job: where they are by parameter, and how many it trains on."""

    paths: Mapping[str, Path]
    rows: int

    @property
    def validation(self) -> Path | None:
        """The validation rows; None without any."""
        return self.paths.get(VALIDATION_FILE)


def validate(
    store: Store,
    job_id: str,
    config: Config,
    check: Callable[[JobSpec, str], None] = check_with_trainer,
) -> bool:
    """Check a job that is new, and queue it, or let it fail with what is wrong; whether it was one.

    Args:
        store: where the job is.
        job_id: of the job.
        config: what graders.toml says.
        check: what its trainer does; it is given the Python that trains.

    Raises:
        StoreError: the store cannot be read or written.
        OSError: the files cannot be read.
    """
    job = store.jobs.find(job_id)
    if job is None or job.status != VALIDATING:
        return False
    new = new_job({key: value for key, value in job.request.items() if not key.startswith("_")})
    store.jobs.add_event(job_id, "info", _reading(new), once="validating", while_in=[VALIDATING])
    try:
        files = _files(store, job, new)
        base = find_model(config.base_models, new.model, new.method)
        folder = _folder(new.model, base, config)
        base_as_trained = trainable(new.model, base, folder, new.method, memory())
        spec = _spec(job, new, files, base_as_trained, config)
        check(spec, config.training.python)
    except TrainingFailed as failed:
        return _fail(store, job_id, failed)
    except ModelRefused as refused:
        found = refused.mistake
        return _fail(store, job_id, TrainingFailed(found.code or "", found.message, found.param))
    events = [
        *_about_model(new, base, base_as_trained),
        *_about_batches(new, files),
        *_found(job, new, files, spec),
    ]
    steps = total_steps(spec.hyperparameters, files.rows)
    planned = f"Files validated, moving job to queued state: {files.rows:,} rows, {steps:,} steps."
    return change(
        store.jobs, job_id, "queued", [VALIDATING], [*events, NewEvent("info", planned)],
        spec=msgspec.to_builtins(spec),
    )  # fmt: skip


def _fail(store: Store, job_id: str, failed: TrainingFailed) -> bool:
    error = {"code": failed.code, "message": failed.message, "param": failed.param}
    event = NewEvent("error", failed.message)
    return change(store.jobs, job_id, "failed", [VALIDATING], [event], error=error)


def _reading(new: NewJob) -> str:
    validation = f" and validation file: {new.validation_file}" if new.validation_file else ""
    return f"Validating training file: {new.training_file}{validation}"


def _files(store: Store, job: StoredJob, new: NewJob) -> _Files:
    """Bring a job's files into its folder, and check their rows.

    Raises:
        TrainingFailed: one is bad, or gone, or has not what the grader reads.
    """
    folder = store.job_folder(job.id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ids = {TRAINING_FILE: new.training_file, VALIDATION_FILE: new.validation_file}
    fields = fields_read(new.grader) if new.grader else ()
    paths: dict[str, Path] = {}
    rows: dict[str, int] = {}
    for param, file_id in ids.items():
        if not file_id:
            continue
        paths[param] = folder / _LINKED[param]
        try:
            _link(store.files.path(file_id), paths[param])
            read = read_rows(
                paths[param], new.method, fields, may_call=not is_bound(new.response_format)
            )
        except (FileNotFoundError, ValueError):
            raise invalid_file(
                param, f"The file '{file_id}' was deleted before it was read."
            ) from None
        if param == TRAINING_FILE and read.unread.count == read.rows > 0:
            line, fault = read.unread.named[0]
            message = (
                f"No row of the {WORDS[param]} has what the grader reads. Line {line}: {fault}"
            )
            raise TrainingFailed("invalid_grader", message, GRADER)
        fewest = FEWEST[new.method] if param == TRAINING_FILE else 1
        if mistake := read.mistake(fewest):
            raise invalid_file(param, mistake)
        rows[param] = read.rows
    return _Files(paths, rows[TRAINING_FILE])


def _link(content: Path, path: Path) -> None:
    """Give a content a second name, so that it stays when the file is deleted; or copy it."""
    if path.exists():
        return
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    try:
        os.link(content, part)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without second names
        shutil.copyfile(content, part)
    part.replace(path)


def _folder(name: str, base: BaseModel, config: Config) -> Path:
    """Where a model is.

    Raises:
        TrainingFailed: it is not here, and cannot be had.
    """
    if base.path:
        return Path(base.path)
    try:
        return downloaded(base.hub, base.revision, config.training.python)
    except NotDownloaded as error:
        message = f"The model '{name}' cannot be used: {error}"
        raise TrainingFailed("model_not_available", message, "model") from None


def _spec(job: StoredJob, new: NewJob, files: _Files, base: Trainable, config: Config) -> JobSpec:
    values = resolved(new.method, new.hyperparameters, files.rows)
    return JobSpec(
        id=job.id,
        method=new.method,
        model_path=str(base.folder),
        lora=base.lora,
        learning_rate=base.learning_rate * float(values["learning_rate_multiplier"]),
        max_completion_tokens=base.max_completion_tokens,
        training_file=str(files.paths[TRAINING_FILE]),
        validation_file=None if files.validation is None else str(files.validation),
        hyperparameters=values,
        seed=new.seed,
        grader=new.grader,
        response_format=new.response_format,
        names_calls=new.grader is not None and names_calls(new.grader),
        wandb=new.wandb,
        accelerate=config.training.accelerate or None,
    )


def _about_model(new: NewJob, base: BaseModel, found: Trainable) -> list[NewEvent]:
    """What people should know of the model that is trained."""
    stands_in = base.hub or Path(base.path).name
    events = []
    if new.model.rpartition("/")[2].casefold() != stands_in.rpartition("/")[2].casefold():
        message = (
            f"'{new.model}' is the name of {stands_in} here: that is the model which is trained."
        )
        events.append(NewEvent("warn", message, once="stands in"))
    how = "all weights" if found.lora is None else f"adapters of rank {found.lora['r']}"
    message = f"The model has {found.parameters:,} parameters; {how} will be trained."
    return [*events, NewEvent("info", message, once="model")]


def _about_batches(new: NewJob, files: _Files) -> list[NewEvent]:
    given = new.hyperparameters["batch_size"]
    if given == AUTO or int(given) <= files.rows:
        return []
    message = (
        f"A batch of {given} rows is asked for, and there are {files.rows}: it has all of them."
    )
    return [NewEvent("warn", message, once="batch")]


def _found(job: StoredJob, new: NewJob, files: _Files, spec: JobSpec) -> list[NewEvent]:
    if new.method != "reinforcement":
        return []
    method: dict[str, Any] = {"grader": new.grader, "hyperparameters": spec.hyperparameters}
    if new.response_format is not None:
        method["response_format"] = new.response_format
    request = {**job.request, "method": {"type": new.method, new.method: method}}
    names = {path: f"the {WORDS[param]}" for param, path in files.paths.items()}
    return preflight_events(request, files.paths[TRAINING_FILE], files.validation, names)
