"""Which trainer trains: loaded by its name, or a reason why it cannot be."""

from __future__ import annotations

import importlib

from graders_engine.training.trainer import Trainer, TrainingFailed
from graders_engine.version import how_to_install

TRAINER = "graders_engine.training.trl_trainer:TRLTrainer"


def load_trainer(name: str) -> Trainer:
    """The trainer of this name, `MODULE:CLASS`.

    Raises:
        TrainingFailed: it, or what it needs, is not installed.
    """
    module, _, class_name = name.partition(":")
    try:
        trainer: Trainer = getattr(importlib.import_module(module), class_name)()
    except ImportError as error:
        raise not_available(str(error)) from error
    return trainer


def other_version(its: str, ours: str) -> str:
    """Why a Python that has another graders-engine cannot train."""
    return f"it has graders-engine {its}, and this server is {ours}"


def not_available(why: str) -> TrainingFailed:
    """What a job fails with whose trainer is not there."""
    return TrainingFailed(
        "trainer_not_available",
        f"The trainer cannot be loaded: {why}. The Python that trains is the server's, or that of "
        "[training] in graders.toml; install there what it needs, with the same graders-engine: "
        f"{how_to_install('train')}.",
    )
