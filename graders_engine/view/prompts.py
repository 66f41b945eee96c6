"""The prompts of a run, each with its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graders_engine.view.opened import OpenRun


def prompts_json(run: OpenRun, query_string: str) -> dict[str, Any]:
    """The page of the heat map, as `GET api/runs/{run}/prompts` sends it.

    Raises:
        InvalidRequest: with all mistakes in the query.
    """
    raise NotImplementedError
