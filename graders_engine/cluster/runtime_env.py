"""A runtime environment of Ray's: what the nodes install and set before they run anything of ours."""

from __future__ import annotations

import re
from typing import Any

from graders_engine.errors import InvalidRequest
from graders_engine.language import strict_json
from graders_engine.models.redaction import MASK

_FIELDS = (
    "conda", "config", "container", "env_vars", "excludes", "image_uri", "java_jars", "nsight", "pip",
    "py_executable", "py_modules", "uv", "worker_process_setup_hook", "working_dir",
)  # fmt: skip
_USER = re.compile(r"(?<=://)[^/\s@'\"]+(?=@)")
_LEAST_SECRET = 4
"""Characters of a value that is worth hiding: shorter ones are in every sentence."""


def parse_runtime_env(text: str, source: str) -> dict[str, Any]:
    """A runtime environment, as `ray.init` takes it, from its JSON text.

    Args:
        text: a JSON object.
        source: the file that it is from, for messages. None of its values is ever in one.

    Raises:
        InvalidRequest: it is no runtime environment.
    """
    try:
        given = strict_json.decode_unique(text)
    except strict_json.RepeatedKey:
        raise InvalidRequest(f"{source}: a key is in it twice.") from None
    except ValueError as error:
        reason = strict_json.explained(error).partition(", before ")[0]
        raise InvalidRequest(f"{source} is not JSON: {reason}.") from None
    if not isinstance(given, dict):
        raise InvalidRequest(f"{source}: a runtime environment is a JSON object.")
    if unknown := [key for key in given if key not in _FIELDS]:
        raise InvalidRequest(
            f"{source}: a runtime environment has no field '{unknown[0]}'; its fields are "
            f"{', '.join(_FIELDS)}."
        )
    variables = given.get("env_vars", {})
    if not isinstance(variables, dict) or not all(isinstance(v, str) for v in variables.values()):
        raise InvalidRequest(f"{source}: `env_vars` is a JSON object whose values are texts.")
    return given


def masked(text: str, runtime_env: dict[str, Any] | None) -> str:
    """A text about an environment, without the values of its variables and the users in addresses."""
    variables = (runtime_env or {}).get("env_vars") or {}
    values = {form for value in variables.values() for form in (str(value), repr(str(value))[1:-1])}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _LEAST_SECRET:
            text = text.replace(value, MASK)
    return _USER.sub(MASK, text)
