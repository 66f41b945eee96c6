"""Why an output cannot be read, or is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graders_engine.errors import NoOutput
from graders_engine.language.scope import SAMPLE_KEYS
from graders_engine.language.spelling import nearest
from graders_engine.outputs.responses import error_in

MAX_LISTED = 12
"""How many keys are listed in a message."""
_FAILED = ("error", "fail", "cancel", "expired", "timeout", "timed")
"""How the `status` of a request begins that gave no output."""


def require_no_failure(value: Mapping[str, Any]) -> None:
    """Check that an object without a text does not say of a request that it failed.

    Raises:
        NoOutput: it does.
    """
    if reason := _failure_in(value):
        raise NoOutput(f"There is no output, but an error: {reason}.")


def failure_beside(value: Mapping[str, Any]) -> str:
    """Why the text of an object is probably no answer but an error; empty where nothing says it."""
    status = value.get("status")
    if isinstance(status, str) and status.lower() in ("error", "failed"):
        return f"its status is {status}"
    return "its success is false" if value.get("success") is False else ""


def _failure_in(value: Mapping[str, Any]) -> str:
    status = value.get("status")
    if reason := error_in(value.get("error")):
        return reason
    if isinstance(status, str) and status.lower().startswith(_FAILED):
        return f"its status is {status}"
    if value.get("success") is False:
        return "its success is false"
    if value.get("choices") == [] and value.get("output_text") is None:
        return "its `choices` are empty"
    return f"{value['detail']}" if set(value) == {"detail"} else ""


def misspelt(key: Any) -> str:
    """The key of a sample object that was probably meant; empty for none."""
    return nearest(str(key), SAMPLE_KEYS)


def unknown_form(value: Mapping[str, Any]) -> str:
    """Why an object is in no form that is known."""
    if not value:
        return "The output is an empty object; if the model said nothing, give an empty text."
    listed, more = [str(key) for key in value][:MAX_LISTED], ", …" * (len(value) > MAX_LISTED)
    meant = next(((key, near) for key in listed if (near := misspelt(key))), None)
    return (
        f"The output is an object that holds no output (its keys: {', '.join(listed)}{more}). "
        + (f"`{meant[0]}`: did you mean `{meant[1]}`? " if meant else "")
        + f"A sample object has {', '.join(SAMPLE_KEYS[:-1])} or {SAMPLE_KEYS[-1]}; chat completions, "
        "responses, messages and objects with a `text` are read, too. If the text is under another key, "
        "name it: --sample-field KEY."
    )
