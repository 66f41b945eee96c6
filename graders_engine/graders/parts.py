"""A grader's JSON and the graders inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from graders_engine.errors import Mistake
from graders_engine.graders import mistakes


def map_parts(grader: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A copy of a grader's JSON in which `change` was applied to it and to every grader inside it.

    What is not an object is left as it is: the JSON need not be a valid grader.
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
    """A grader's JSON without its keys that are null: for the API they are as if left out."""
    return map_parts(
        grader, lambda part: {key: value for key, value in part.items() if value is not None}
    )


def keyed(graders: list[Any]) -> dict[str, Any]:
    """The list form of a multi's graders as a map by name; one without a name gets its index, `[2]`."""
    by_key: dict[str, Any] = {}
    for position, grader in enumerate(graders):
        name = grader.get("name") if isinstance(grader, dict) else None
        free = isinstance(name, str) and name not in by_key
        by_key[name if isinstance(name, str) and free else f"[{position}]"] = grader
    return by_key


def unnamed(graders: list[Any]) -> Iterator[Mistake]:
    """Why a list of graders cannot become a map: names that are missing or used twice."""
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
