"""What an answer lacks of what a case expects."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graders_engine.conformance.cases import Case

TOLERANCE = 1e-9
"""Numbers may differ by this much, relative to the larger one or to 1: implementations round differently."""
GENERATED, DETAILS = "<generated>", "<details>"
"""In an expected response: any name; any text that is not empty."""
_QUOTED = 160
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        status: the HTTP status.
        body: the JSON of the body; its text where it is no JSON.
    """

    status: int
    body: Any


def differences(case: Case, answer: Answer) -> list[str]:
    """What is not as the case expects, each as a part of a sentence; empty if nothing.

    What a case may expect, all of it at once:

    - `reward`: the number, within `TOLERANCE`.
    - `sub_rewards`: the parts' rewards, by their keys.
    - `flags`: exactly these of `metadata.errors` are true; `flags_among_others`: these are.
    - `response`: every key of the whole response, in any order; but for `execution_time`, which must be a
      number, and the placeholders `GENERATED` and `DETAILS`.
    - `grader`: `validate` accepts the request, and gives this grader back.
    - `error`: HTTP 400 with an error object that has the `param` and the `code` of one of these; a sentence
      is the server's own.

    Example:
        >>> case = Case("t", "n", "run", {}, {"reward": 0.5, "flags": []})
        >>> differences(case, Answer(200, {"reward": 1.0, "metadata": {"errors": {}}}))
        ['reward is 1.0, not 0.5']
    """
    wanted = 400 if "error" in case.expected else 200
    if answer.status != wanted:
        return [f"HTTP {answer.status}, not {wanted}: {quoted(_reason(answer.body))}"]
    if not isinstance(answer.body, dict):
        return [f"the body is no JSON object: {quoted(answer.body)}"]
    return list(_found(case.expected, answer.body))


def _found(expected: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[str]:
    if "error" in expected:
        yield from _errors(expected["error"], body.get("error"))
    if "grader" in expected:
        yield from _values("grader", expected["grader"], body.get("grader", _ABSENT))
    if "response" in expected:
        yield from _values("", expected["response"], body)
    for name in ("reward", "sub_rewards"):
        if name in expected:
            yield from _values(name, expected[name], body.get(name, _ABSENT))
    if "flags" in expected or "flags_among_others" in expected:
        yield from _flags(expected, body)


def _flags(expected: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[str]:
    metadata = body.get("metadata")
    errors = metadata.get("errors") if isinstance(metadata, dict) else None
    if not isinstance(errors, dict):
        yield f"metadata.errors is {quoted(errors)}, not an object"
        return
    true = {name for name, value in errors.items() if value is True}
    wanted = set(expected.get("flags", expected.get("flags_among_others")))
    for name in sorted(wanted - true):
        yield f"metadata.errors.{name} is not true"
    if "flags" in expected:
        for name in sorted(true - wanted):
            yield f"metadata.errors.{name} is true"


def _errors(wanted: list[Mapping[str, Any]], error: Any) -> Iterator[str]:
    if not isinstance(error, dict):
        yield f"there is no error object, but {quoted(error)}"
        return
    for key in ("message", "type"):
        if not isinstance(error.get(key), str):
            yield f"error.{key} is {quoted(error.get(key, _ABSENT))}, not a text"
    found = {key: error.get(key, _ABSENT) for key in wanted[0]}
    if any(found == dict(one) for one in wanted):
        return
    if len(wanted) > 1 and len(wanted[0]) > 1:
        alternatives = " or ".join(
            f"{quoted(one['param'])} with {quoted(one['code'])}" for one in wanted
        )
        named = f"{quoted(found['param'])} with the code {quoted(found['code'])}"
        yield f"error is of {named}, not of {alternatives}"
        return
    for key, value in found.items():
        if value not in [one[key] for one in wanted]:
            expected = " or ".join(quoted(one[key]) for one in wanted)
            yield f"error.{key} is {quoted(value)}, not {expected}"


def _values(at: str, wanted: Any, found: Any) -> Iterator[str]:
    """Where two values differ, by their paths."""
    if at.endswith("execution_time"):
        if not (_finite(found) >= 0):
            yield f"{at} is {quoted(found)}, not a number of seconds"
    elif wanted in (GENERATED, DETAILS):
        if not isinstance(found, str) or not found:
            yield f"{at} is {quoted(found)}, not a text"
    elif isinstance(wanted, dict) and isinstance(found, dict):
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            path = f"{at}.{key}" if at else key
            if key not in wanted:
                yield f"{path} is not expected"
            else:
                yield from _values(path, wanted[key], found.get(key, _ABSENT))
    elif not _same(wanted, found):
        yield f"{at} is {quoted(found)}, not {quoted(wanted)}"


def _same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and not any(
            list(_values("", one, other)) for one, other in zip(wanted, found, strict=True)
        )
    if isinstance(wanted, bool) or not isinstance(wanted, int | float):
        return type(wanted) is type(found) and bool(wanted == found)
    number = _finite(found)
    return abs(wanted - number) <= TOLERANCE * max(1.0, abs(wanted), abs(number))


def _finite(value: Any) -> float:
    """A JSON number; NaN, which is near to nothing, for anything else, infinity among it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def quoted(value: Any) -> str:
    """A value of an answer as a line shows it."""
    if value is _ABSENT:
        return "absent"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"


def _reason(body: Any) -> Any:
    """The sentence of an error body, or the body itself."""
    error = body.get("error") if isinstance(body, dict) else None
    return error.get("message", error) if isinstance(error, dict) else error or body
