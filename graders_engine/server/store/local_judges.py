"""Judges of this machine that a request names: each time, whether its project may use them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from graders_engine.errors import Mistake, UnavailableGrader
from graders_engine.graders.base import GraderSpec
from graders_engine.graders.messages import ModelGrader
from graders_engine.models.local.judges import is_not_here
from graders_engine.models.local.source import LocalSource
from graders_engine.server.responses import Refused


async def require_local(spec: GraderSpec, local: LocalSource) -> None:
    """Refuse a grader with a judge of this machine that is not there, or that the caller may not use.

    It is looked up for each request: a compiled grader is kept, and a permission may be taken back.

    Args:
        spec: the grader.
        local: the models of this machine, as the caller may use them.

    Raises:
        Refused: with the place of the name.
    """
    for place, model in judges_in(spec, "grader"):
        if local.is_local(model):
            try:
                found = await asyncio.to_thread(local.find, model)
                reason = "" if found else is_not_here(model)
            except UnavailableGrader as error:
                reason = str(error)
            if reason:
                raise Refused(400, Mistake(reason, f"{place}.model", "model_not_available"))


def judges_in(spec: GraderSpec, place: str) -> Iterator[tuple[str, str]]:
    """The graders in a grader that ask a judge: where each is, and the name of its model."""
    if isinstance(spec, ModelGrader):
        yield place, spec.model
    for key, part in spec.parts().items():
        yield from judges_in(part, f"{place}.graders.{key}")
