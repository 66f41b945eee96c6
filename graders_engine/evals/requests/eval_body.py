"""The bodies of `evals.create` and `evals.update`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graders_engine.body_fields import Fields, fields_of
from graders_engine.evals.requests.criteria import read_criteria
from graders_engine.evals.requests.item_schema import ItemSchema, data_schema
from graders_engine.evals.requests.not_kept import not_kept
from graders_engine.graders import mistakes

_CONFIGS = ("custom", "logs", "stored_completions")
_RETRIEVED = (
    "Unknown parameter: '{path}'. The schema that an eval is answered with is made from `item_schema`, the "
    "schema of an item alone: pass that."
)


@dataclass(frozen=True, slots=True)
class NewEval:
    """What an eval is made of.

    Attributes:
        name: its name; None where it is to get one.
        metadata: its key-value pairs.
        data_source_config: as the service answers it.
        testing_criteria: as the service answers them, each with its id.
    """

    name: str | None
    metadata: dict[str, str] | None
    data_source_config: dict[str, Any]
    testing_criteria: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class EvalUpdate:
    """What an eval gets new.

    Attributes:
        name: its new name; None to leave it.
        has_metadata: whether the metadata are replaced.
        metadata: its new key-value pairs.
    """

    name: str | None
    has_metadata: bool
    metadata: dict[str, str] | None


def new_eval(body: Any) -> NewEval:
    """Read the body of `evals.create`.

    Raises:
        InvalidBody: with all mistakes.
    """
    made: NewEval = fields_of(body, _new_eval)
    return made


def eval_update(body: Any) -> EvalUpdate:
    """Read the body of `evals.update`.

    Raises:
        InvalidBody: with all mistakes.
    """
    given = isinstance(body, dict) and "metadata" in body
    update: EvalUpdate = fields_of(
        body, lambda fields: EvalUpdate(fields.text("name"), given, fields.metadata())
    )
    return update


def _new_eval(body: Fields) -> NewEval:
    return NewEval(
        body.text("name"), body.metadata(), _data_source_config(body), read_criteria(body)
    )


def _data_source_config(body: Fields) -> dict[str, Any]:
    config = body.fields("data_source_config", required=True)
    kind = config.word("type", _CONFIGS, required=True) if config else None
    if config is None or kind is None:
        return {}
    if kind != "custom":
        what = "logs of completions" if kind == "logs" else "stored completions"
        config.add(not_kept(config.path("type"), what))
        return {}
    schema = config.object("item_schema", required=True)
    with_sample = config.flag("include_sample_schema")
    config.close({"schema": _RETRIEVED.format(path=config.path("schema"))})
    if schema is None:
        return {}
    try:
        ItemSchema(schema)
    except ValueError as error:
        config.add(mistakes.invalid(config.path("item_schema"), str(error)))
    return {"type": kind, "schema": data_schema(schema, with_sample=bool(with_sample))}
