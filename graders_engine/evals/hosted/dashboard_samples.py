"""The samples of the dashboard's download, in the form that output items of the API have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graders_engine.errors import InvalidRow, NoOutput
from graders_engine.outputs.hosted import hosted_item_and_sample

UNKNOWN_FORM = "unknown_form"
"""Code of the error of a sample that is there, and cannot be read."""
_COUNTS = ("total_tokens", "completion_tokens", "prompt_tokens", "cached_tokens")
_PARAMETERS = ("temperature", "top_p", "seed", "max_completion_tokens")


def sample_of(line: Mapping[str, Any]) -> dict[str, Any]:
    """The `sample` of the output item that a line stands for, with all its keys.

    Args:
        line: of the download. Its output is read as `graders score` reads it; one that has no known form is
            an error with the code `unknown_form`.
    """
    given = _object(line.get("sample"))
    error = given.get("error") or None
    output, finish_reason = given.get("outputs"), given.get("finish_reason")
    if not isinstance(output, list) or not output:
        output, first_reason, unread = _read_output(line)
        finish_reason, error = finish_reason or first_reason, error or unread
    parameters = _object(given.get("sampled_model_params"))
    usage = _object(given.get("token_usage")) or _object(given.get("usage"))
    return {
        "input": _asked(given, output),
        "output": output,
        "finish_reason": finish_reason or "",
        "model": model_of(line),
        "usage": {name: usage.get(name, 0) for name in _COUNTS},
        "error": error,
        **{name: parameters.get(name, given.get(name)) for name in _PARAMETERS},
    }


def model_of(line: Mapping[str, Any]) -> str:
    """The model that a line of the download names; empty if it names none."""
    sample = _object(line.get("sample"))
    names = (sample.get(key) for key in ("sampled_model_name", "model"))
    return next((name for name in names if isinstance(name, str) and name), "")


def _read_output(line: Mapping[str, Any]) -> tuple[list[Any], Any, dict[str, str] | None]:
    """The model's messages, why the first one ends, and the error if they cannot be read."""
    try:
        _, sample = hosted_item_and_sample(line)
    except NoOutput:
        return [], None, None  # its error is in the sample, or it is said by the item's status
    except InvalidRow as error:
        return [], None, {"code": UNKNOWN_FORM, "message": str(error)}
    if sample is None:
        return [], None, None
    choices = _objects(sample.get("choices"))
    messages = [one["message"] for one in choices if isinstance(one.get("message"), Mapping)]
    if not messages:
        calls = {"tool_calls": sample["output_tools"]} if sample.get("output_tools") else {}
        messages = [{"role": "assistant", "content": sample.get("output_text"), **calls}]
    return messages, choices[0].get("finish_reason") if choices else None, None


def _asked(sample: Mapping[str, Any], output: Sequence[Any]) -> list[Any]:
    """What was asked: the trajectory, but for the answer where it ends with that."""
    asked = sample.get("trajectory") or sample.get("input")
    if not isinstance(asked, list):
        return []
    last = _object(asked[-1]) if asked else {}
    first = _object(output[0]) if output else {}
    answered = last.get("role") == "assistant" and not sample.get("outputs")
    return asked[:-1] if answered and last.get("content") == first.get("content") else asked


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
