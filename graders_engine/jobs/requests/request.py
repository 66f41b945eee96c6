"""The body of `fine_tuning.jobs.create`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graders_engine.body_fields import Fields, Range, fields_of, long_text
from graders_engine.errors import Mistake
from graders_engine.evals.requests.criteria import grader_mistakes
from graders_engine.graders import mistakes
from graders_engine.jobs.requests.hyperparameters import Value, read_hyperparameters
from graders_engine.jobs.requests.response_format import read_response_format
from graders_engine.models.tables.training import METHODS, Method

MAX_SEED = 2**31 - 1
MAX_SUFFIX_CHARS = 64
MAX_TAGS, MAX_TAG_CHARS = 30, 64
GRADER = "method.reinforcement.grader"
TRAINING_FILE, VALIDATION_FILE = "training_file", "validation_file"
_AZURE = (
    "Unknown parameter: 'trainingType'. It chooses where and at what price Azure trains; this server trains "
    "on its own machine: leave it out."
)
_KEPT_APART = ":/"
"""What has a meaning in the name of a model."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a fine-tuning job is made of.

    Attributes:
        model: the name of the base model.
        training_file: the id of a file.
        validation_file: the id of another; empty without one.
        method: how it trains.
        hyperparameters: all that the method has; `auto` for those that are to be chosen.
        grader: of a reinforcement job, as sent; None for others.
        response_format: of a reinforcement job's answers, as sent; None without one.
        suffix: for the name of the tuned model; empty without one.
        seed: as sent, or a new one.
        metadata: its key-value pairs.
        wandb: the settings of Weights & Biases; None without them.
    """

    model: str
    training_file: str
    validation_file: str
    method: Method
    hyperparameters: Mapping[str, Value]
    grader: dict[str, Any] | None
    response_format: dict[str, Any] | None
    suffix: str
    seed: int
    metadata: dict[str, str] | None
    wandb: dict[str, Any] | None

    @property
    def request(self) -> dict[str, Any]:
        """The request as it is kept: what was left out is there."""
        config: dict[str, Any] = {"hyperparameters": dict(self.hyperparameters)}
        if self.grader is not None:
            config["grader"] = self.grader
        if self.response_format is not None:
            config["response_format"] = self.response_format
        integrations = None if self.wandb is None else [{"type": "wandb", "wandb": self.wandb}]
        return {
            "model": self.model,
            TRAINING_FILE: self.training_file,
            VALIDATION_FILE: self.validation_file or None,
            "method": {"type": self.method, self.method: config},
            "suffix": self.suffix or None,
            "seed": self.seed,
            "integrations": integrations,
        }


def new_job(body: Any) -> NewJob:
    """Read the body of `fine_tuning.jobs.create`.

    Raises:
        InvalidBody: with all mistakes.
    """
    made: NewJob = fields_of(body, _new_job)
    return made


@dataclass(slots=True)
class _Configured:
    """What the method of a request says."""

    method: Method = "supervised"
    hyperparameters: dict[str, Value] = field(default_factory=dict)
    grader: dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None


def _new_job(body: Fields) -> NewJob:
    model = _named(body, "model")
    training_file = _named(body, TRAINING_FILE)
    validation_file = body.text(VALIDATION_FILE) or ""
    configured = _method(body)
    if configured.method == "reinforcement" and not validation_file:
        missing = mistakes.missing(VALIDATION_FILE)
        message = f"{missing.message} A reinforcement job needs one."
        body.add(Mistake(message, VALIDATION_FILE, missing.code))
    suffix = _suffix(body)
    seed = body.number("seed", Range(0, MAX_SEED))
    metadata, wandb = body.metadata(), _wandb(body)
    if body.value("trainingType") is not None:
        body.add(Mistake(_AZURE, "trainingType", "unknown_parameter"))
    return NewJob(
        model, training_file, validation_file, configured.method, configured.hyperparameters,
        configured.grader, configured.response_format, suffix,
        secrets.randbelow(MAX_SEED + 1) if seed is None else int(seed),
        metadata, wandb,
    )  # fmt: skip


def _named(body: Fields, key: str) -> str:
    """A name or an id, which must not be empty."""
    name = body.text(key, required=True)
    if name is not None and not name.strip():
        body.add(mistakes.invalid(body.path(key), "it is empty."))
    return name or ""


def _method(body: Fields) -> _Configured:
    """How a job trains. Without a method it is supervised, with the deprecated `hyperparameters`."""
    method, old = body.fields("method"), body.object("hyperparameters")
    if method is None:
        fields = body.fields("hyperparameters") if old else None
        return _Configured("supervised", read_hyperparameters(fields, "supervised"))
    kind = method.word("type", METHODS, required=True)
    known: Method | None = next((one for one in METHODS if one == kind), None)
    if known is None:
        return _Configured()
    if old:
        reason = f"it is deprecated, and refused beside `method`: put it into method.{known}.hyperparameters."
        body.add(mistakes.invalid("hyperparameters", reason))
    config = method.fields(known, required=known == "reinforcement")
    method.close({other: _beside(method, other, known) for other in METHODS if other != known})
    return _configured(config, known)


def _beside(method: Fields, other: str, kind: str) -> str:
    path = method.path(other)
    return f"Unknown parameter: '{path}'. The type of this method is '{kind}': leave one of the two out."


def _configured(config: Fields | None, method: Method) -> _Configured:
    if config is None:
        return _Configured(method, read_hyperparameters(None, method))
    found = _Configured(method)
    if method == "reinforcement":
        found.grader = _grader(config)
    found.hyperparameters = read_hyperparameters(config.fields("hyperparameters"), method)
    if method == "reinforcement":
        found.response_format = read_response_format(config)
    config.close()
    return found


def _grader(config: Fields) -> dict[str, Any] | None:
    grader = config.object("grader", required=True)
    if grader is not None:
        config.add(*grader_mistakes(grader, config.path("grader")))
    return grader


def _suffix(body: Fields) -> str:
    suffix = body.text("suffix")
    if suffix is None:
        return ""
    if not suffix:
        message = (
            "Invalid 'suffix': string too short. Expected a string with minimum length 1, but got an empty "
            "string instead."
        )
        body.add(Mistake(message, "suffix", "string_below_min_length"))
    elif len(suffix) > MAX_SUFFIX_CHARS:
        body.add(long_text("suffix", len(suffix), MAX_SUFFIX_CHARS))
    elif not suffix.isprintable() or any(char in suffix for char in _KEPT_APART):
        reason = "it becomes a part of a model's name, and may have no `:`, no `/` and no control character."
        body.add(mistakes.invalid("suffix", reason))
    return suffix


def _wandb(body: Fields) -> dict[str, Any] | None:
    """The settings of the one integration that there is."""
    found: dict[str, Any] | None = None
    for position, integration in enumerate(body.objects("integrations")):
        if integration.word("type", ("wandb",), required=True) is None:
            continue
        settings = integration.fields("wandb", required=True)
        integration.close()
        if position:
            path = integration.path("type")
            body.add(mistakes.invalid(path, "there can be one integration of the type 'wandb'."))
        if settings is not None:
            found = _wandb_settings(settings)
    return found


def _wandb_settings(settings: Fields) -> dict[str, Any]:
    tags = settings.array("tags", most=MAX_TAGS) or []
    found = {
        "project": _named(settings, "project"),
        "entity": settings.text("entity"),
        "name": settings.text("name"),
        "tags": tags,
    }
    for position, tag in enumerate(tags):
        path = f"{settings.path('tags')}[{position}]"
        if not isinstance(tag, str):
            settings.add(mistakes.invalid_type(path, "a string", tag))
        elif len(tag) > MAX_TAG_CHARS:
            settings.add(long_text(path, len(tag), MAX_TAG_CHARS))
    settings.close()
    return found
