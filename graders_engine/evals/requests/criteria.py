"""The testing criteria of an eval: graders as the hosted evals took them."""

from __future__ import annotations

import dataclasses
import re
import uuid
from collections.abc import Sequence
from typing import Any

from graders_engine.body_fields import Fields
from graders_engine.errors import InvalidGrader, Mistake
from graders_engine.evals.run.criteria import MAX_CRITERIA
from graders_engine.graders import mistakes
from graders_engine.graders.parse import ROOT, parse

TYPES = ("label_model", "string_check", "text_similarity", "python", "score_model")
"""The grader types that the Evals API has."""
_MULTI = (
    "The Evals API has no multi: make its graders testing criteria; each gets its own result, and an item "
    "passes when all of them do."
)

_THRESHOLD = "It is the lowest score, of 0 to 1, with which an item passes."


def read_criteria(body: Fields) -> list[dict[str, Any]]:
    """The criteria of an eval, each with an `id` under which its results are known.

    Names may be equal, as the hosted API allows: the ids are not.
    """
    key = "testing_criteria"
    values = body.array(key, required=True, least=1, most=MAX_CRITERIA) or []
    kept: list[dict[str, Any]] = []
    ids: set[str] = set()
    for position, value in enumerate(values):
        path = f"{body.path(key)}[{position}]"
        found = _mistakes(value, path, ids)
        body.add(*found)
        if not found:
            kept.append(_with_id(value))
            ids.add(kept[-1]["id"])
    return kept


def _with_id(criterion: dict[str, Any]) -> dict[str, Any]:
    present = {name: part for name, part in criterion.items() if part is not None}
    return {"id": f"{criterion['name']}-{uuid.uuid4()}", **present}


def _mistakes(value: Any, path: str, ids: set[str]) -> Sequence[Mistake]:
    if not isinstance(value, dict):
        return [mistakes.invalid_type(path, "an object", value)]
    if misfit := _misfit(value, path):
        return [misfit]
    found: list[Mistake] = []
    if value.get("name") is None:
        found.append(mistakes.missing(f"{path}.name"))
    if isinstance(value.get("id"), str) and value["id"] in ids:
        reason = f"another criterion has the id '{value['id']}': leave it out, one is made."
        found.append(mistakes.invalid(f"{path}.id", reason))
    if value.get("invalid_grade") is not None:
        known = [name for name in value if name != "invalid_grade"]
        found.append(mistakes.unknown(f"{path}.invalid_grade", "invalid_grade", known))
    found += grader_mistakes(value, path)
    if value["type"] == "text_similarity" and value.get("pass_threshold") is None:
        lacking = mistakes.missing(f"{path}.pass_threshold")
        found.append(dataclasses.replace(lacking, hint=_THRESHOLD))
    return found


def _misfit(value: dict[str, Any], path: str) -> Mistake | None:
    """The mistake in a `type` that is none of the Evals API's."""
    kind, where = value.get("type"), f"{path}.type"
    if kind is None:
        return mistakes.missing(where)
    if not isinstance(kind, str):
        expected = f"one of {mistakes.listed(TYPES, 'or')}"
        return mistakes.invalid_type(where, expected, kind)
    if kind in TYPES:
        return None
    mistake = mistakes.unsupported(where, kind, TYPES)
    return dataclasses.replace(mistake, hint=_MULTI) if kind == "multi" else mistake


def grader_mistakes(grader: dict[str, Any], path: str, inside: str = "") -> list[Mistake]:
    """The mistakes in a grader, with their paths in the body.

    Args:
        grader: its JSON values.
        path: where it is in the body.
        inside: the part of the grader that stands at the path, as in `input`; the whole one by default.
    """
    try:
        parse(grader, templates="as_served")
    except InvalidGrader as error:
        return [moved(mistake, path, inside) for mistake in error.mistakes]
    return []


def moved(mistake: Mistake, path: str, inside: str = "") -> Mistake:
    """A mistake in a grader, by its place in the body. Args: as `grader_mistakes`."""
    if mistake.param is None:
        return dataclasses.replace(mistake, param=path)
    rest = mistake.param.removeprefix(ROOT if mistake.param == ROOT else inside)
    place = path + (f".{rest}" if rest and not rest.startswith(("[", ".")) else rest)
    message = re.sub(
        f"'{re.escape(mistake.param)}'", lambda _: f"'{place}'", mistake.message, count=1
    )
    return dataclasses.replace(mistake, param=place, message=message)
