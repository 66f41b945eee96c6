"""From what the caller gave to a spec, with every mistake at once."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Tag, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from graders_engine.errors import InvalidGrader, Mistake
from graders_engine.graders import mistakes
from graders_engine.graders.base import GraderSpec
from graders_engine.graders.fields import FOUND, SHAPE, TYPE, Reading, by_type
from graders_engine.graders.leaf import LEAF_MODELS, LEAF_TYPES, Leaf
from graders_engine.graders.messages import SamplingParams
from graders_engine.graders.multi import MultiGrader
from graders_engine.graders.parts import keyed, unnamed
from graders_engine.language import strict_json

TYPES = (*LEAF_TYPES, "multi")
ROOT = "grader"
"""The path of the grader itself."""

MODELS: dict[str, type[GraderSpec]] = {**LEAF_MODELS, "multi": MultiGrader}
Grader = Annotated[Leaf | Annotated[MultiGrader, Tag("<multi>")], by_type(*TYPES)]


def read(grader: Any) -> Any:
    """The grader as JSON values, from JSON text, a dict, or objects of the `openai` package.

    Raises:
        InvalidGrader: it is text that is not JSON, or nests without end.
    """
    try:
        return strict_json.decode(grader) if isinstance(grader, (str, bytes)) else _plain(grader)
    except ValueError as error:
        raise InvalidGrader([mistakes.unreadable_body(str(error))]) from None
    except RecursionError:
        raise InvalidGrader([mistakes.unreadable_body("it nests too deep")]) from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True, exclude_unset=True)
    return value


def parse(grader: Any, *, check_sources: bool = True) -> GraderSpec:
    """Check a grader's form and compile its templates and formula; it is JSON values, as `read` gives them.

    Args:
        grader: the JSON values.
        check_sources: whether a python source that cannot run is a mistake.

    Raises:
        InvalidGrader: with every mistake.
    """
    mistakes: list[Mistake] = []
    graders = grader.get("graders") if isinstance(grader, dict) else None
    if isinstance(graders, list):
        mistakes += unnamed(graders)
        graders = keyed(graders)
    # Names are held against the keys only where those are graders; else one mistake would be told twice.
    sound = isinstance(graders, dict) and all(isinstance(part, dict) for part in graders.values())
    names = tuple(graders) if graders and sound else None
    try:
        spec = _adapter().validate_python(grader, context=Reading(names, check_sources))
    except ValidationError as error:
        for details in error.errors(include_url=False):
            mistakes += _mistakes(details, grader)
    if mistakes:
        raise InvalidGrader(mistakes)
    return spec


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a grader."""
    schema = _adapter().json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Grader", **schema}


@functools.cache
def _adapter() -> TypeAdapter[GraderSpec]:
    return TypeAdapter(Grader)


_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a decimal",
    "finite_number": "a finite decimal",
    "bool_type": "a boolean",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "list_type": "an array",
}
"""pydantic's error types that say that a value has the wrong type, in the API's words."""


def _mistakes(error: ErrorDetails, grader: Any) -> Iterator[Mistake]:
    """One of pydantic's errors in the API's words."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    path = _path(error["loc"], grader)
    if kind == FOUND:
        yield from context["describe"](path)
    elif kind == SHAPE:
        yield mistakes.invalid_type(path, error["msg"], value)
    elif kind == TYPE:
        yield _untyped(path, value, error["msg"].split(" "))
    elif kind == "missing":
        yield mistakes.missing(path)
    elif kind == "extra_forbidden":
        yield mistakes.unknown(path, str(error["loc"][-1]), _known_keys(error["loc"]))
    elif kind in ("greater_than_equal", "less_than_equal"):
        side, bound = ("minimum", "ge") if kind == "greater_than_equal" else ("maximum", "le")
        yield mistakes.out_of_range(path, value, context[bound], side)
    elif kind in ("too_short", "too_long"):
        side, bound = (
            ("minimum", "min_length") if kind == "too_short" else ("maximum", "max_length")
        )
        yield mistakes.wrong_length(path, len(value), context[bound], side)
    elif kind in _EXPECTED:
        yield mistakes.invalid_type(path, _EXPECTED[kind], value)
    else:
        yield mistakes.invalid(path, f"{error['msg']}.")


def _untyped(path: str, value: Any, supported: list[str]) -> Mistake:
    """A value whose `type` is not one of the supported ones."""
    if not isinstance(value, dict):
        return mistakes.invalid_type(path, "an object", value)
    where = "type" if path == ROOT else f"{path}.type"
    if value.get("type") is None:
        return mistakes.missing(where)
    if not isinstance(value["type"], str):
        return mistakes.invalid_type(
            where, f"one of {mistakes.listed(supported, 'or')}", value["type"]
        )
    mistake = mistakes.unsupported(where, value["type"], supported)
    if value["type"] in TYPES:
        return dataclasses.replace(mistake, hint="A multi cannot stand inside a multi.")
    return mistake


def _path(location: tuple[int | str, ...], grader: Any) -> str:
    """A location of pydantic's as a path of the API: `graders.name.input`, `input[0].content`."""
    path = ""
    listed = isinstance(grader, dict) and isinstance(grader.get("graders"), list)
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif path == "graders" and listed:
            path += f"[{list(keyed(grader['graders'])).index(step)}]"
        elif not _is_tag(step):
            path += f".{step}" if path else step
    return path or ROOT


def _known_keys(location: tuple[int | str, ...]) -> Collection[str]:
    """The keys of the object that this location's last step is a key of."""
    holder = str(location[-2])
    return (
        SamplingParams.model_fields
        if holder.startswith("sampling")
        else MODELS[holder.strip("<>")].model_fields
    )


def _is_tag(step: str) -> bool:
    return step.startswith("<") and step.endswith(">")
