"""graders.toml: where models are asked, under which names, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from graders_engine.errors import InvalidRequest
from graders_engine.files import read_text
from graders_engine.models.credentials import DEFAULT_BASE_URL, takes_usual_key
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.policies import Price
from graders_engine.models.tables.fields import fields_of_table, read_record, read_records
from graders_engine.models.tables.inference import InferenceConfig, inference_config
from graders_engine.models.tables.training import BaseModel, TrainingConfig, read_training

TABLES = (
    "endpoints", "models", "prices", "images", "preflight", "projects", "store", "base_models", "training",
    "inference",
)  # fmt: skip
"""The tables of the file; `images` is for `graders image`."""


_QUOTED_NAME = "a name with dots stands in quotes"


@dataclass(frozen=True, slots=True)
class PreflightConfig:
    """The table `preflight`.

    Attributes:
        fail_on: how grave a finding must be for exit code 3.
        ignore: ids of findings that do not count, each with its reason.
        limits: by name, as in `preflight.options.LIMITS`.
    """

    fail_on: Literal["info", "warning", "error"] = "error"
    ignore: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProjectConfig:
    """An entry of the table `projects`: who else may use a server, with files and evals of their own.

    Attributes:
        api_key_env: the variable that has the project's key.
    """

    api_key_env: str


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """The table `store`: bounds of a server's files.

    Attributes:
        max_file_bytes: longest file.
        max_bytes: all files together.
    """

    max_file_bytes: int = 512 << 20
    max_bytes: int = 100 << 30


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says.

    Attributes:
        endpoints: by name; the one called `default` is for models that are not mapped.
        models: from the name in a grader to "MODEL@ENDPOINT", or "MODEL" at the default endpoint.
        prices: by the model's name at the endpoint.
        preflight: the settings of `graders preflight`.
        projects: by name; `default` is that of the server's own key, and not among them.
        store: the bounds of `graders serve --jobs`.
        base_models: what a fine-tuning job may name; nothing else is ever loaded.
        training: how fine-tuning jobs are run.
        inference: how models answer.
        without_address: endpoints whose table has no `base_url`: who asks them must know it.
    """

    endpoints: Mapping[str, EndpointSettings] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)
    preflight: PreflightConfig = field(default_factory=PreflightConfig)
    without_address: frozenset[str] = frozenset()
    projects: Mapping[str, ProjectConfig] = field(default_factory=dict)
    store: StoreConfig = field(default_factory=StoreConfig)
    base_models: Mapping[str, BaseModel] = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)


def read_config(path: Path) -> Config:
    """Read a graders.toml.

    Raises:
        InvalidRequest: it cannot be read, or has mistakes; all of them at once.
    """
    import tomllib  # takes some milliseconds, which runs without the file save

    try:
        tables = tomllib.loads(read_text(path))
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"{path}: {error}.") from None
    mistakes = [
        f"unknown table [{name}]; the tables are {', '.join(TABLES)}"
        for name in tables
        if name not in TABLES
    ]
    folder = path.absolute().parent
    trained = read_training(tables, folder, mistakes)
    config = Config(
        read_records(tables, "endpoints", _endpoint, mistakes),
        read_records(tables, "models", _model, mistakes),
        read_records(tables, "prices", _price, mistakes),
        read_record(tables, "preflight", _preflight, mistakes, PreflightConfig()),
        frozenset(_without_address(tables.get("endpoints"))),
        _projects(tables, mistakes),
        read_record(tables, "store", _store, mistakes, StoreConfig()),
        trained.base_models,
        trained.training,
        read_record(
            tables, "inference", partial(inference_config, folder), mistakes, InferenceConfig()
        ),
    )
    if mistakes:
        raise InvalidRequest("\n".join(f"{path}: {mistake}." for mistake in mistakes))
    return config


def _preflight(value: Any) -> PreflightConfig:
    return PreflightConfig(**fields_of_table(PreflightConfig, value))


def _projects(tables: dict[str, Any], mistakes: list[str]) -> dict[str, ProjectConfig]:
    projects = read_records(tables, "projects", _project, mistakes)
    if "default" in projects:
        mistakes.append(
            "[projects] default: this is the project of GRADERS_API_KEY; choose another name"
        )
    return projects


def _project(value: Any) -> ProjectConfig:
    fields = fields_of_table(ProjectConfig, value)
    if not fields.get("api_key_env"):
        raise ValueError("api_key_env must be the name of the variable that has the key")
    return ProjectConfig(**fields)


def _store(value: Any) -> StoreConfig:
    fields = fields_of_table(StoreConfig, value)
    if low := [name for name, number in fields.items() if number < 1]:
        raise ValueError(f"{' and '.join(low)} must be at least 1")
    return StoreConfig(**fields)


def _endpoint(value: Any) -> EndpointSettings:
    fields = fields_of_table(EndpointSettings, value)
    if fields.get("api_key_env") == "":
        raise ValueError("api_key_env must be the name of a variable; leave it out to send no key")
    if way := next(filter(None, map(_way_of_key, fields.get("headers", {}).items())), ""):
        raise ValueError(
            "headers hold the key, which has no place in a file: name its variable with api_key_env, and "
            f'set auth = "{way}"'
        )
    base_url = fields.get("base_url", DEFAULT_BASE_URL)
    if "api_key_env" not in fields and not takes_usual_key(base_url):
        fields = {**fields, "api_key_env": ""}
    return EndpointSettings(**fields)


def _way_of_key(header: tuple[str, str]) -> str:
    """The setting `auth` that sends the key of a header from its variable; empty where there is no key."""
    name, value = header[0].lower(), header[1].lower()
    if name == "api-key":
        return "api-key"
    return "bearer" if name == "authorization" and value.startswith("bearer ") else ""


def _without_address(endpoints: Any) -> Iterator[str]:
    if isinstance(endpoints, dict):
        for name, value in endpoints.items():
            if isinstance(value, dict) and "base_url" not in value:
                yield name


def _price(value: Any) -> Price:
    if isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
        raise ValueError(f'{_QUOTED_NAME}: [prices."gpt-4.1"]')
    fields = fields_of_table(Price, value)
    for name, amount in fields.items():
        if not 0 <= amount < math.inf:
            raise ValueError(f"{name} is money per million tokens, not {amount!r}")
    if missing := {"input", "output"} - set(fields):
        raise ValueError(f"{' and '.join(sorted(missing))} must be there too")
    return Price(**fields)


def _model(value: Any) -> str:
    if isinstance(value, dict):
        raise ValueError(f'{_QUOTED_NAME}: "gpt-4.1" = "MODEL@ENDPOINT"')
    if not isinstance(value, str) or not value.partition("@")[0]:
        raise ValueError('write "MODEL@ENDPOINT", or "MODEL" at the default endpoint')
    return value
