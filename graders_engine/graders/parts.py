"""A grader's JSON and the graders inside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from graders_engine.errors import Mistake
from graders_engine.graders import mistakes

PYTHON_SOURCE = re.compile(r"^(async )?def grade\s*\(", re.MULTILINE)
"""What a text has that is the source of a python grader."""


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


_GRADER_LEVELS = 10
"""How deep the keys of a grader are nested; what is deeper is a value that nothing reads."""


def without_nulls(grader: Any, levels: int = _GRADER_LEVELS) -> Any:
    """A grader's JSON without keys whose value is null: to the API that is the same as a missing key."""
    if isinstance(grader, dict) and levels:
        kept = {key: part for key, part in grader.items() if part is not None}
        return {key: without_nulls(part, levels - 1) for key, part in kept.items()}
    if isinstance(grader, list) and levels:
        return [without_nulls(part, levels - 1) for part in grader]
    return grader


_WRAPPINGS = (
    ("grader",),
    ("reinforcement", "grader"),
    ("method", "grader"),
    ("method", "reinforcement", "grader"),
)
"""Where the grader is in what it is often pasted with: a request, a method, a fine-tuning job."""
_OTHER_METHODS = ("supervised", "dpo")
"""Methods of fine-tuning that use no grader."""
_MAX_WRAPPINGS = 4


class Wrapped(NamedTuple):
    """What a pasted value holds.

    Attributes:
        grader: the grader: an object, or its JSON text; a list of several that stand together; the value
            itself if it holds none.
        path: where it is; empty for the value itself.
        problem: why none can be taken out; empty if one is, or if the value itself may be a grader.
    """

    grader: Any
    path: str = ""
    problem: str = ""


def wrapped(value: Any) -> Wrapped:
    """The grader inside a request, a method, a fine-tuning job, or an eval or list with one of them."""
    found = Wrapped(value)
    for _ in range(_MAX_WRAPPINGS):
        inner = _unwrapped(found.grader)
        if inner.path or inner.problem:
            path = ".".join(filter(None, (found.path, inner.path)))
            found = Wrapped(inner.grader, path, inner.problem)
        if not inner.path:
            break
    return found


def _unwrapped(value: Any) -> Wrapped:
    if not isinstance(value, dict):
        return Wrapped(value)
    kind, method = value.get("type"), value.get("method")
    if isinstance(kind, str) and kind not in ("reinforcement", *_OTHER_METHODS):
        return Wrapped(value)  # a grader, or one whose type is misspelt
    found = dict(_graders_in(value))
    kind = kind or (method.get("type") if isinstance(method, dict) else method)
    if kind in _OTHER_METHODS:
        there = f": a grader is at `{next(iter(found))}`; pass that alone" if found else ""
        return Wrapped(value, problem=f"the method here is `{kind}`, which uses no grader{there}.")
    (path, grader), *others = [*found.items()] or [("", value)]
    if all(other == grader for _, other in others):
        return Wrapped(grader, path)
    places = mistakes.listed(list(found), "and")
    return Wrapped(value, problem=f"there are different graders at {places}: pass one of them.")


def _graders_in(value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The graders inside an object that is none itself, by their paths."""
    for path in _WRAPPINGS:
        found: Any = value
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, dict) or (isinstance(found, str) and found.lstrip()[:1] == "{"):
            yield ".".join(path), found
    # A formula makes a multi of the graders, whose type is missing.
    for key in ("testing_criteria", *(() if "calculate_output" in value else ("graders",))):
        several = value.get(key)
        names = [f"{key}[0]"]
        if isinstance(several, dict) and several:
            names = [f"{key}.{name}" for name in several]
            several = list(several.values())
        if isinstance(several, list):
            yield (names[0], several[0]) if len(several) == 1 else (key, several)


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
