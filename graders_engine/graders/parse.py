"""From a grader's JSON to its spec, with all mistakes at once."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ValidationError

from graders_engine.errors import InvalidGrader, Mistake
from graders_engine.graders import mistakes
from graders_engine.graders.base import GraderSpec
from graders_engine.graders.fields import BY_SHAPE, BY_TYPE, OWN_MISTAKES, ParseOptions, by_type
from graders_engine.graders.parts import by_name, name_mistakes, wrapped
from graders_engine.graders.register import SPECS as SPECS
from graders_engine.graders.register import TYPES
from graders_engine.language import strict_json
from graders_engine.language.as_served import Strictness
from graders_engine.language.json_fault import json_fault
from graders_engine.language.words import code_points, same_looking
from graders_engine.models.redaction import may_hold_key

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

ROOT = "grader"
"""The path of the whole grader."""


def json_values(grader: Any) -> Any:
    """The grader as JSON values, from JSON text, a dict, or objects of the `openai` package.

    Raises:
        InvalidGrader: the text is not JSON or names a key twice, or the grader contains itself.
    """
    if isinstance(grader, PurePath):
        mistake = mistakes.invalid_type(ROOT, "an object", grader)
        hint = _SOURCE if grader.suffix == ".py" else _PATHS
        raise InvalidGrader([dataclasses.replace(mistake, hint=hint)])
    try:
        if isinstance(grader, (str, bytes)):
            return strict_json.decode_unique(grader)
        return _json_value(grader)
    except ValueError as error:
        raise InvalidGrader([_unreadable(grader, str(error))]) from None
    except RecursionError:
        raise InvalidGrader([mistakes.unreadable_body("it nests too deep")]) from None


_PATHS = (
    "The path of a file is not read here: pass what the file holds, as in "
    "`json.loads(Path('grader.json').read_text())`."
)
_SOURCE = (
    'It is Python source, or the path of some: pass `{"type": "python", "source": '
    "Path('grade.py').read_text()}`."
)
_IS_SOURCE = re.compile(r"^(?:async )?def grade\b|\A[^\n]*\.py\Z", re.MULTILINE)
_YAML = (
    "It seems to be YAML, which the command line alone reads: pass a dict, such as "
    "`ruamel.yaml.YAML(typ='safe').load(text)`."
)
_YAML_KEY = re.compile(r"^(?:- )?[\w\"'-]+:(?:\s|$)", re.MULTILINE)


def _unreadable(grader: Any, reason: str) -> Mistake:
    """A text that is not JSON; in the library it may be a path by mistake."""
    mistake = mistakes.unreadable_body(reason)
    if not isinstance(grader, str):
        return mistake
    if grader.lstrip()[:1] not in ("{", "[", '"'):
        hint = _YAML if _YAML_KEY.search(grader) else _PATHS
        is_source = _IS_SOURCE.search(grader)
        return dataclasses.replace(mistake, hint=_SOURCE if is_source else hint)
    fault = json_fault(grader)
    if fault is None or may_hold_key(grader):
        return mistake
    return dataclasses.replace(mistake, detail=str(fault))


def _json_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _json_value(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(part) for part in value]
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True, exclude_unset=True)
    return value


def parse(
    grader: Any,
    *,
    check_sources: bool = True,
    templates: Strictness = "strict",
    shared_rows: bool = False,
) -> GraderSpec:
    """Check a grader's form and compile its templates and formula.

    Args:
        grader: the grader's JSON values, as `json_values` returns them.
        check_sources: whether a python source that cannot run is a mistake.
        templates: whether a template that cannot be read is a mistake.
        shared_rows: whether a python source that executes text or data as code is one.

    Raises:
        InvalidGrader: with all mistakes.
    """
    found: list[Mistake] = []
    positions: dict[str, int] = {}
    graders = grader.get("graders") if isinstance(grader, dict) else None
    if isinstance(graders, list):
        found += name_mistakes(graders)
        graders = by_name(graders)
        positions = {key: position for position, key in enumerate(graders)}
    # The formula's names are compared with the keys only if all of those are graders; otherwise the same
    # mistake would be reported twice.
    sound = isinstance(graders, dict) and all(isinstance(part, dict) for part in graders.values())
    names = tuple(graders) if graders and sound else None
    type_ = _type_of(grader)
    tag = (f"<{type_}>",) if type_ else ()
    try:
        options = ParseOptions(names, check_sources, templates, shared_rows)
        spec = (
            SPECS[type_].model_validate(grader, context=options)  # the other types are not imported
            if type_
            else adapter().validate_python(grader, context=options)
        )
    except ValidationError as error:
        for details in error.errors(include_url=False):
            details["loc"] = (*tag, *details["loc"])
            describe = _DESCRIBE.get(details["type"], _invalid)
            found += describe(details, _path(details["loc"], positions))
    if found:
        if hint := _where_it_is(grader):
            found[0] = dataclasses.replace(found[0], hint=hint)
        raise InvalidGrader(found)
    return spec


def _type_of(grader: Any) -> str:
    """The type that a grader names; "" if it names none that there is."""
    type_ = grader.get("type") if isinstance(grader, dict) else None
    return type_ if isinstance(type_, str) and type_ in SPECS else ""


def _where_it_is(value: Any) -> str:
    """What to do with a value that holds a grader, or several; empty for any other."""
    pasted = wrapped(value)
    if pasted.problem:
        return pasted.problem[0].upper() + pasted.problem[1:]
    if pasted.path and isinstance(pasted.grader, list):
        return f"There are {len(pasted.grader)} graders under `{pasted.path}`: pass one of them."
    return f"The grader is under `{pasted.path}`: pass what stands there." if pasted.path else ""


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a grader."""
    schema = adapter().json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Grader", **schema}


@functools.cache
def adapter() -> TypeAdapter[GraderSpec]:
    """What validates a grader of any type; it imports all types."""
    from pydantic import Tag, TypeAdapter

    from graders_engine.graders.multi import Leaf, MultiGrader

    return TypeAdapter(Annotated[Leaf | Annotated[MultiGrader, Tag("<multi>")], by_type(*TYPES)])


Describe = Callable[["ErrorDetails", str], Iterable[Mistake]]
"""Describes one of pydantic's errors in the API's words, given its path."""

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
"""pydantic's error types for a value of the wrong type, with the expected type in the API's words."""


def _invalid(error: ErrorDetails, path: str) -> list[Mistake]:
    return [mistakes.invalid(path, f"{error['msg']}.")]


def _own_mistakes(error: ErrorDetails, path: str) -> Iterable[Mistake]:
    described: Iterable[Mistake] = error["ctx"]["describe"](path)
    return described


def _unknown_key(error: ErrorDetails, path: str) -> list[Mistake]:
    location = error["loc"]
    return [mistakes.unknown(path, str(location[-1]), _known_keys(location))]


def _wrong_type(expected: str) -> Describe:
    return lambda error, path: [mistakes.invalid_type(path, expected, error["input"])]


def _out_of_range(side: str, bound: str) -> Describe:
    return lambda error, path: [
        mistakes.out_of_range(path, error["input"], error["ctx"][bound], side)
    ]


def _wrong_length(side: str, bound: str) -> Describe:
    return lambda error, path: [
        mistakes.wrong_length(path, len(error["input"]), error["ctx"][bound], side)
    ]


_DESCRIBE: dict[str, Describe] = {
    OWN_MISTAKES: _own_mistakes,
    BY_SHAPE: lambda error, path: [mistakes.invalid_type(path, error["msg"], error["input"])],
    BY_TYPE: lambda error, path: [_unknown_type(path, error["input"], error["msg"].split(" "))],
    "missing": lambda error, path: [mistakes.missing(path)],
    "extra_forbidden": _unknown_key,
    "greater_than_equal": _out_of_range("minimum", "ge"),
    "less_than_equal": _out_of_range("maximum", "le"),
    "too_short": _wrong_length("minimum", "min_length"),
    "too_long": _wrong_length("maximum", "max_length"),
    **{kind: _wrong_type(expected) for kind, expected in _EXPECTED.items()},
}
"""By pydantic's error type; any other error is described in pydantic's words."""


_AZURE = "azure_ai_"
"""How the types begin that only Azure's service has."""


def _azure(grader: dict[str, Any]) -> str:
    name = grader.get("evaluator_name")
    evaluator = f"the evaluator '{name}'" if isinstance(name, str) else "an evaluator"
    return (
        f"'{grader['type']}' names {evaluator} of Azure AI Foundry, whose prompt or code is kept there: "
        "it runs only in Azure. Leave it out, or write a score_model, label_model or python grader instead."
    )


def _unknown_type(path: str, value: Any, supported: list[str]) -> Mistake:
    """A value whose `type` is not one of the supported ones."""
    if not isinstance(value, dict):
        return mistakes.invalid_type(path, "an object", value)
    where = "type" if path == ROOT else f"{path}.type"
    if value.get("type") is None:
        return dataclasses.replace(mistakes.missing(where), hint=_instead_of_type(value))
    if not isinstance(value["type"], str):
        return mistakes.invalid_type(
            where, f"one of {mistakes.listed(supported, 'or')}", value["type"]
        )
    mistake = mistakes.unsupported(where, value["type"], supported)
    if value["type"].startswith(_AZURE):
        return dataclasses.replace(mistake, hint=_azure(value))
    if value["type"] in TYPES:
        return dataclasses.replace(mistake, hint="A multi cannot contain another multi.")
    return mistake


def _instead_of_type(grader: dict[str, Any]) -> str:
    """What a grader without a type has in its place; empty if nothing is known."""
    if "graders" in grader and "calculate_output" in grader:
        return 'It has graders and a formula: add `"type": "multi"`.'
    for key in grader if "type" not in grader else ():
        if same_looking("type", (key,)):
            return (
                f"A key that looks like `type` has other code points ({code_points(key, 'type')})."
            )
    others = [key for key, word in grader.items() if isinstance(word, str) and word in TYPES]
    return f"Its `{others[0]}` is '{grader[others[0]]}': name this key `type`." if others else ""


def _path(location: tuple[int | str, ...], positions: Mapping[str, int]) -> str:
    """A location in pydantic's form as a path of the API: `graders.name.input`, `input[0].content`.

    Args:
        location: where the mistake is.
        positions: of a multi's graders by key, where they are a list.
    """
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif path == "graders" and positions:
            path += f"[{positions[step]}]"
        elif not _is_tag(step):
            path += f".{step}" if path else step
    return path or ROOT


def _known_keys(location: tuple[int | str, ...]) -> Collection[str]:
    """The keys of the object that contains this location."""
    holder = str(location[-2])
    if holder.startswith("sampling"):
        from graders_engine.graders.messages import SamplingParams

        return SamplingParams.model_fields
    return SPECS[holder.strip("<>")].model_fields


def _is_tag(step: str) -> bool:
    return step.startswith("<") and step.endswith(">")
