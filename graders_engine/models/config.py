"""graders.toml: where models are asked, under which names, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from graders_engine.errors import InvalidRequest
from graders_engine.files import read_text
from graders_engine.models.credentials import DEFAULT_BASE_URL, takes_usual_key
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.policies import Price

T = TypeVar("T")

TABLES = ("endpoints", "models", "prices", "images", "preflight", "projects", "store")
"""The tables of the file; `images` is for `graders image`."""


_QUOTED_NAME = "a name with dots stands in quotes"
_FORMS = {
    "headers": 'write {"X-Name" = "VALUE"}',
    "query": 'write {api-version = "2024-10-21"}, the value in quotes',
}
"""How a table in a table is written, for those who wrote something else."""


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
        without_address: endpoints whose table has no `base_url`: who asks them must know it.
    """

    endpoints: Mapping[str, EndpointSettings] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)
    preflight: PreflightConfig = field(default_factory=PreflightConfig)
    without_address: frozenset[str] = frozenset()
    projects: Mapping[str, ProjectConfig] = field(default_factory=dict)
    store: StoreConfig = field(default_factory=StoreConfig)


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
    config = Config(
        _records(tables, "endpoints", _endpoint, mistakes),
        _records(tables, "models", _model, mistakes),
        _records(tables, "prices", _price, mistakes),
        _preflight(tables, mistakes),
        frozenset(_without_address(tables.get("endpoints"))),
        _projects(tables, mistakes),
        _store(tables, mistakes),
    )
    if mistakes:
        raise InvalidRequest("\n".join(f"{path}: {mistake}." for mistake in mistakes))
    return config


def _preflight(tables: dict[str, Any], mistakes: list[str]) -> PreflightConfig:
    try:
        return PreflightConfig(**_fields(PreflightConfig, tables.get("preflight", {})))
    except (TypeError, ValueError) as error:
        mistakes.append(f"[preflight] {error}")
        return PreflightConfig()


def _projects(tables: dict[str, Any], mistakes: list[str]) -> dict[str, ProjectConfig]:
    projects = _records(tables, "projects", _project, mistakes)
    if "default" in projects:
        mistakes.append(
            "[projects] default: this is the project of GRADERS_API_KEY; choose another name"
        )
    return projects


def _project(value: Any) -> ProjectConfig:
    fields = _fields(ProjectConfig, value)
    if not fields.get("api_key_env"):
        raise ValueError("api_key_env must be the name of the variable that has the key")
    return ProjectConfig(**fields)


def _store(tables: dict[str, Any], mistakes: list[str]) -> StoreConfig:
    try:
        fields = _fields(StoreConfig, tables.get("store", {}))
        if low := [name for name, value in fields.items() if value < 1]:
            raise ValueError(f"{' and '.join(low)} must be at least 1")
        return StoreConfig(**fields)
    except (TypeError, ValueError) as error:
        mistakes.append(f"[store] {error}")
        return StoreConfig()


def _records(
    tables: dict[str, Any], table: str, make: Callable[[Any], T], mistakes: list[str]
) -> dict[str, T]:
    records = {}
    given = tables.get(table, {})
    if not isinstance(given, dict):
        mistakes.append(f"[{table}] must be a table")
        return {}
    for name, value in given.items():
        try:
            records[name] = make(value)
        except (TypeError, ValueError) as error:
            mistakes.append(f"[{table}] {name}: {error}")
    return records


def _endpoint(value: Any) -> EndpointSettings:
    fields = _fields(EndpointSettings, value)
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
    fields = _fields(Price, value)
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


def _fields(record: type[Any], value: Any) -> dict[str, Any]:
    """The keys of a table that are a record's, each of its kind."""
    known = get_type_hints(record)
    if not isinstance(value, dict):
        raise TypeError(f"a table with {', '.join(known)}")
    mistakes = []
    if "api_key" in value:
        mistakes.append("a key has no place in a file: name its variable with api_key_env")
    strange = sorted(value.keys() - {*known, "api_key"})
    if strange:
        mistakes.append(f"unknown key {', '.join(strange)}; there are {', '.join(known)}")
    for name in filter(known.__contains__, value):
        form = _FORMS.get(name)
        wrong = _wrong_kinds(name, value[name], known[name])
        mistakes += (f"{mistake}; {form}" if form else mistake for mistake in wrong)
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return value


def _wrong_kinds(name: str, value: Any, kind: Any) -> Iterator[str]:
    """What is wrong with a value; of a table, by its keys."""
    if get_origin(kind) is Mapping and isinstance(value, dict):
        for key, part in value.items():
            yield from _wrong_kinds(f"{name}.{key}", part, get_args(kind)[1])
        return
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        choices = ", ".join(map(str, get_args(kind))) if get_origin(kind) is Literal else ""
        yield f"{name} is one of {choices}, not {value!r}" if choices else f"{name}: {error}"
