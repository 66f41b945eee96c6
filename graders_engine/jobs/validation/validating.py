"""Check a job that is new: its files are read, its model is found, and `auto` is resolved."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from graders_engine.errors import GradersError
from graders_engine.jobs.models.base_models import ModelRefused, Trainable, find_model, trainable
from graders_engine.jobs.models.hub import NotDownloaded, downloaded
from graders_engine.jobs.models.machine import memory
from graders_engine.jobs.requests.hyperparameters import AUTO, resolved, total_steps
from graders_engine.jobs.requests.request import TRAINING_FILE, VALIDATION_FILE, NewJob, new_job
from graders_engine.jobs.requests.rows import FEWEST, read_rows
from graders_engine.jobs.states import change
from graders_engine.jobs.validation.answers import check_answers, is_bound
from graders_engine.jobs.validation.preflight_events import preflight_events
from graders_engine.models.config import Config
from graders_engine.models.tables.training import BaseModel
from graders_engine.storage.job_records import NewEvent
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.store import Store
from graders_engine.training.trainer import JobSpec, TrainingFailed

VALIDATING = "validating_files"
_WORDS = {TRAINING_FILE: "training file", VALIDATION_FILE: "validation file"}
_LINKED = {TRAINING_FILE: "training.jsonl", VALIDATION_FILE: "validation.jsonl"}
"""The names of a job's rows in its folder: the files may be deleted when they are there."""


class JobRefused(GradersError):
    """Raised when a job cannot be trained.

    Attributes:
        code: of the job's error.
        param: what of the request is wrong; None for none.
    """

    def __init__(self, code: str, message: str, param: str | None) -> None:
        self.code, self.param = code, param
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Files:
    """The rows of a job: where they are by parameter, and how many it trains on."""

    paths: Mapping[str, Path]
    rows: int

    @property
    def validation(self) -> Path | None:
        """The validation rows; None without any."""
        return self.paths.get(VALIDATION_FILE)


def validate(store: Store, job_id: str, config: Config) -> bool:
    """Check a job that is new, and queue it, or let it fail with what is wrong; whether it was one.

    Args:
        store: where the job is.
        job_id: of the job.
        config: what graders.toml says.

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
        check_answers(spec, config.training.python)
    except JobRefused as refused:
        return _fail(store, job_id, refused)
    except TrainingFailed as error:
        return _fail(store, job_id, JobRefused(error.code, error.message, error.param))
    except ModelRefused as error:
        mistake = error.mistake
        return _fail(store, job_id, JobRefused(mistake.code or "", mistake.message, mistake.param))
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


def _fail(store: Store, job_id: str, refused: JobRefused) -> bool:
    error = {"code": refused.code, "message": str(refused), "param": refused.param}
    event = NewEvent("error", str(refused))
    return change(store.jobs, job_id, "failed", [VALIDATING], [event], error=error)


def _reading(new: NewJob) -> str:
    validation = f" and validation file: {new.validation_file}" if new.validation_file else ""
    return f"Validating training file: {new.training_file}{validation}"


def _files(store: Store, job: StoredJob, new: NewJob) -> _Files:
    """Bring a job's files into its folder, and check their rows.

    Raises:
        JobRefused: one is bad, or gone.
    """
    folder = store.job_folder(job.id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ids = {TRAINING_FILE: new.training_file, VALIDATION_FILE: new.validation_file}
    paths: dict[str, Path] = {}
    rows: dict[str, int] = {}
    for param, file_id in ids.items():
        if not file_id:
            continue
        paths[param] = folder / _LINKED[param]
        try:
            _link(store.files.path(file_id), paths[param])
            read = read_rows(paths[param], new.method, may_call=not is_bound(new.response_format))
        except (FileNotFoundError, ValueError):
            _refuse(param, f"The file '{file_id}' was deleted before it was read.")
        fewest = FEWEST[new.method] if param == TRAINING_FILE else 1
        if mistake := read.mistake(fewest):
            _refuse(param, mistake)
        rows[param] = read.rows
    return _Files(paths, rows[TRAINING_FILE])


def _refuse(param: str, mistake: str) -> None:
    message = f"The job failed due to an invalid {_WORDS[param]}. {mistake}"
    raise JobRefused(f"invalid_{param}", message, param)


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
        JobRefused: it is not here, and cannot be had.
    """
    if base.path:
        return Path(base.path)
    try:
        return downloaded(base.hub, base.revision, config.training.python)
    except NotDownloaded as error:
        message = f"The model '{name}' cannot be used: {error}"
        raise JobRefused("model_not_available", message, "model") from None


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
    method: dict[str, Any] = {
        "grader": new.grader,
        "hyperparameters": spec.hyperparameters,
    }
    if new.response_format is not None:
        method["response_format"] = new.response_format
    request = {**job.request, "method": {"type": new.method, new.method: method}}
    names = {path: f"the {_WORDS[param]}" for param, path in files.paths.items()}
    return preflight_events(request, files.paths[TRAINING_FILE], files.validation, names)
