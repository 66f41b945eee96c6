"""The response format of a job: what was given, what is wrong with it, and the schema that can be used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.language.kinds import kind_of
from graders_engine.language.spelling import nearest
from graders_engine.preflight.schemas.keywords import SchemaMistake, faults_of
from graders_engine.preflight.schemas.size import size_of

PATH = "method.reinforcement.response_format"
FORMATS = ("text", "json_object", "json_schema")
_HOLDER = ("name", "description", "schema", "strict")
_FORM = ("type", "json_schema", *_HOLDER)
"""The name, the schema and `strict` stand in `json_schema`, or beside `type`, as in requests of responses."""
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def given_format(job: Mapping[str, Any] | None) -> Any:
    """What a job's request has for a response format, whatever it is; None without one."""
    value: Any = job
    for key in PATH.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def format_faults(given: Any) -> Iterator[SchemaMistake]:
    """All that is wrong with a response format, its schema included, with paths from the format on."""
    if given is None:
        return
    if not isinstance(given, Mapping):
        yield SchemaMistake(
            "response_format", f"is {kind_of(given)}, and must be an object with a `type`"
        )
        return
    kind = given.get("type")
    if kind not in FORMATS:
        yield _wrong_kind(given, kind)
        return
    yield from _unknown(given, "response_format", _FORM)
    if kind != "json_schema":
        return
    holder, path = given.get("json_schema"), "json_schema"
    if holder is None and "schema" in given:
        holder, path = given, "response_format"
    elif holder is None:
        what = 'is missing: write {"name": …, "schema": …} for it'
        yield SchemaMistake(path, what)
        return
    if not isinstance(holder, Mapping):
        yield SchemaMistake(
            path, f"is {kind_of(holder)}, and must be an object with `name` and `schema`"
        )
        return
    yield from _holder(holder, path)


def usable_schema(schema: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A schema if what it says of answers can be known: nothing is wrong with it, and it is not too large."""
    if schema is None or size_of(schema).is_cut or next(faults_of(schema), None) is not None:
        return None
    return schema


def _wrong_kind(given: Mapping[str, Any], kind: Any) -> SchemaMistake:
    known = f"there are {', '.join(FORMATS)}"
    if kind is None:
        return SchemaMistake("response_format.type", f"is missing: {known}")
    if not isinstance(kind, str):
        return SchemaMistake(
            "response_format.type", f"is {kind_of(kind)}, and must be a string: {known}"
        )
    near = nearest(kind, FORMATS)
    return SchemaMistake(
        "response_format.type",
        f"is no format, `{kind}`: {f'did you mean `{near}`?' if near else known}",
    )


def _holder(holder: Mapping[str, Any], path: str) -> Iterator[SchemaMistake]:
    nested = path == "json_schema"
    if nested:
        yield from _unknown(holder, path, _HOLDER)
    name, strict = holder.get("name"), holder.get("strict")
    if name is None and nested:
        yield SchemaMistake(f"{path}.name", "is missing: a schema has a name")
    elif name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        what = "must be 1 to 64 letters, digits, dashes and underscores"
        yield SchemaMistake(f"{path}.name", f"is {kind_of(name)} that is no name: it {what}")
    if strict is not None and not isinstance(strict, bool):
        yield SchemaMistake(f"{path}.strict", f"is {kind_of(strict)}, and must be true or false")
    if "schema" not in holder:
        yield SchemaMistake(
            f"{path}.schema", "is missing: without it, nothing says which JSON is meant"
        )
    else:
        yield from faults_of(holder["schema"])


def _unknown(
    given: Mapping[str, Any], path: str, known: tuple[str, ...]
) -> Iterator[SchemaMistake]:
    for key in given:
        if key not in known:
            near = nearest(str(key), known)
            tail = f"did you mean `{near}`?" if near else f"there are {', '.join(known)}"
            yield SchemaMistake(f"{path}.{key}", f"is no key of it: {tail}")
