"""The models of this machine that the graders of jobs may ask."""

from __future__ import annotations

from graders_engine.errors import InvalidRequest
from graders_engine.inference.judging import Projects
from graders_engine.models.local.source import LocalSource
from graders_engine.settings_json import from_json
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.store import Store
from graders_engine.training.trainer import TrainingFailed


def models_for_grader(store: Store, job: StoredJob, settings: str) -> LocalSource:
    """The models that the grader of a job may ask: those that the job's project may use.

    Args:
        store: where the job is.
        job: the job.
        settings: of the engine that grades, as text.

    Raises:
        TrainingFailed: they cannot be used.
    """
    try:
        judges = from_json(settings.encode()).judge_settings()
        return Projects(store, judges, trains=True).of(job.project)
    except (InvalidRequest, TypeError, ValueError) as error:
        raise TrainingFailed("invalid_grader", str(error), "method.reinforcement.grader") from error
