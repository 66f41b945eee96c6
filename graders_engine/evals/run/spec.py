"""The environment that a run's worker is started with: few variables, and the keys of its endpoints."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from graders_engine.inference.environment import is_passed
from graders_engine.models.config import Config, read_config
from graders_engine.models.credentials import USUAL_KEY
from graders_engine.settings import EngineSettings

_PASSED = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|XDG_\w+|PYTHON(?:PATH|HOME|UTF8)|LD_LIBRARY_PATH"
    r"|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|(?i:\w+_PROXY)|OPENAI_BASE_URL|GRADERS_\w+"
)
"""The variables that a worker gets, besides the keys of endpoints and what a model of this machine needs."""
_PLACES_OF_MODELS = ("HF_HOME", "HF_HUB_CACHE")
_OF_THE_SERVER = ("GRADERS_API_KEY", "GRADERS_ADMIN_KEY")


def environment(settings: EngineSettings, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a worker: what it needs of this process's, and the keys of its endpoints.

    Raises:
        InvalidRequest: graders.toml cannot be read.
    """
    path = settings.judge_settings().config
    config = Config() if path is None else read_config(Path(path))
    keys = {USUAL_KEY, *(endpoint.api_key_env for endpoint in config.endpoints.values())}
    of_the_server = {*_OF_THE_SERVER, *(one.api_key_env for one in config.projects.values())}
    return {
        name: value
        for name, value in given.items()
        if name in keys
        or name in _PLACES_OF_MODELS
        or is_passed(name)
        or (_PASSED.fullmatch(name) and name not in of_the_server)
    }


def environment_without_keys(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a process that asks nobody."""
    return {
        name: value
        for name, value in given.items()
        if _PASSED.fullmatch(name) and not name.startswith("GRADERS_")
    }
