"""A grader's JSON and the graders inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from graders_engine.errors import Mistake
from graders_engine.graders import mistakes


def map_parts(grader: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A copy of a grader's JSON in which `change` was applied to it and to every grader inside it.

    Values that are not objects are left unchanged: the JSON need not be a valid grader.
    """
    if not isinstance(grader, dict):
        return grader
    changed = change(grader)
    parts = changed.get("graders")
    if isinstance(parts, dict):
        changed = {**changed, "graders": {k: map_parts(part, change) for k, part in parts.items()}}
    elif isinstance(parts, list):
        changed = {**changed, "graders": [map_parts(part, change) for part in parts]}
    return changed


def without_nulls(grader: Any) -> Any:
    """A grader's JSON without null values: to the API a null is the same as a missing key."""
    return map_parts(
        grader, lambda part: {key: value for key, value in part.items() if value is not None}
    )


_WRAPPINGS = (
    ("grader",),
    ("reinforcement", "grader"),
    ("method", "reinforcement", "grader"),
)
"""Where the grader is in what it is often pasted with: a request, a method, a fine-tuning job."""


def wrapped(value: Any) -> tuple[Any, str]:
    """The grader inside a request, a method, a fine-tuning job or an eval with one criterion, and its path.

    The path is empty, and the value is returned, if it is none of these.
    """
    if not isinstance(value, dict) or value.get("type", "reinforcement") != "reinforcement":
        return value, ""
    for path in _WRAPPINGS:
        found: Any = value
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, dict):
            return found, ".".join(path)
    criteria = value.get("testing_criteria")
    if isinstance(criteria, list) and len(criteria) == 1 and isinstance(criteria[0], dict):
        return criteria[0], "testing_criteria[0]"
    return value, ""


def by_name(graders: list[Any]) -> dict[str, Any]:
    """The list form of a multi's graders as a map by name; a grader without a name gets its index, `[2]`."""
    by_key: dict[str, Any] = {}
    for position, grader in enumerate(graders):
        name = grader.get("name") if isinstance(grader, dict) else None
        free = isinstance(name, str) and name not in by_key
        by_key[name if isinstance(name, str) and free else f"[{position}]"] = grader
    return by_key


def name_mistakes(graders: list[Any]) -> Iterator[Mistake]:
    """Mistakes in the names of a list of graders: missing names and duplicates."""
    seen = set()
    for position, grader in enumerate(graders):
        path = f"graders[{position}].name"
        name = grader.get("name") if isinstance(grader, dict) else None
        if isinstance(grader, dict) and name is None:
            yield mistakes.missing(path)
        elif isinstance(name, str) and name in seen:
            reason = f"duplicate name '{name}'. Each grader in a list needs a name of its own."
            yield mistakes.invalid(path, reason)
        elif isinstance(name, str):
            seen.add(name)
