"""What lists say of runs, without the rows and requests that runs may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from graders_engine.language import strict_json

UNCOUNTED = ("canceled", "failed")
"""Statuses that a run may get from others than its worker."""
_MAX_EVAL_CHARS = 1 << 16
"""The criteria of a longer eval are not counted before its run has results."""
_NO_RESULT_CHARS = 20
"""Characters of a result that has no criteria yet."""
COLUMNS = f"""
    run.id, run.eval_id, run.name, eval.name, run.model, run.status, run.created_at, run.result, run.error,
    run.wanted,
    CASE WHEN length(run.result) < {_NO_RESULT_CHARS} AND length(eval.body) <= {_MAX_EVAL_CHARS}
        THEN eval.body END,
    CASE WHEN run.attempt = 0 THEN (SELECT count(*) FROM item WHERE item.run_id = run.id) END
    FROM run JOIN eval ON eval.id = run.eval_id
"""  # noqa: S608 - only numbers of this module
"""What `listed_run` reads, and where it is."""


class ListedRun(NamedTuple):
    """What a list says of a run.

    Attributes:
        id: of the run.
        eval_id: what it runs.
        name: may be empty.
        eval_name: may be empty.
        model: that is sampled; may be empty.
        status: queued, in_progress, completed, failed or canceled; an imported one may have any other.
        created_at: seconds since 1970.
        result: counts and results, as they are on the wire; None if they cannot be read.
        error: code and message; None without one.
        wanted: as of `StoredRun`.
        criteria: how many criteria its eval has; None if that is not known.
        kept: how many output items the store has of a run that no worker was started for, as of an
            imported one; None for others.
    """

    id: str
    eval_id: str
    name: str
    eval_name: str
    model: str
    status: str
    created_at: int
    result: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    wanted: str
    criteria: int | None
    kept: int | None

    @property
    def label(self) -> str:
        """What people know it by: its eval's name and its own, or else its id."""
        return " / ".join(filter(None, (self.eval_name, self.name))) or self.id

    @property
    def uncounted(self) -> bool:
        """Whether the run has ended, and its results are still to be counted for the last time."""
        return self.status in UNCOUNTED and self.wanted == "canceled"


def listed_run(row: Sequence[Any]) -> ListedRun:
    """A run from the values of `COLUMNS`, which may be of any type."""
    (
        own_id,
        eval_id,
        name,
        eval_name,
        model,
        status,
        created_at,
        result,
        error,
        wanted,
        body,
        kept,
    ) = row
    found = _json_object(result)
    tested = (found or {}).get("per_testing_criteria_results")
    return ListedRun(
        _text(own_id),
        _text(eval_id),
        _text(name),
        _text(eval_name),
        _text(model),
        _text(status),
        created_at if isinstance(created_at, int) else 0,
        found,
        _json_object(error),
        _text(wanted),
        len(tested) if isinstance(tested, list) and tested else _criteria(body),
        kept if isinstance(kept, int) else None,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _json_object(text: Any) -> dict[str, Any] | None:
    try:
        value = strict_json.decode(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


@lru_cache(256)
def _criteria(body: str | None) -> int | None:
    """How many criteria an eval has, from its body."""
    found = (_json_object(body) or {}).get("testing_criteria")
    return len(found) if isinstance(found, list) else None
