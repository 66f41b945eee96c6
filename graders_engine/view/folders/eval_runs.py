"""What a list says of a run of an eval: its status, its counts and its pass rate, as the store has them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from graders_engine.evals.run.failure import ADVICE
from graders_engine.evals.run.place import ITEMS
from graders_engine.evals.run.reading import counts_of, notes_of, pass_rate
from graders_engine.files import without_paths
from graders_engine.storage.listed_jobs import ListedJob
from graders_engine.storage.listed_runs import ListedRun
from graders_engine.view.folders.lines import lines_in

MAX_CHARS = 500
"""Characters of a name or of a reason in a list."""
_MAX_COUNT = 1 << 53
"""A larger number is none that a browser can read; of an imported run, numbers may be anything."""
_UNREADABLE = "The counts of this run cannot be read."


def eval_json(run: ListedRun, folder: Path, *, has_report: bool) -> dict[str, Any]:
    """A run of an eval as JSON.

    Args:
        run: as the store has it.
        folder: of the run.
        has_report: whether the server that answers has the run's page.
    """
    counts = _counts(run)
    notes = notes_of(run, run.kept) if counts is not None else [_UNREADABLE]
    return {
        "id": run.id,
        "name": run.name[:MAX_CHARS],
        "eval": run.eval_name[:MAX_CHARS],
        "status": run.status[:MAX_CHARS],
        "counts": counts,
        "pass_rate": None if counts is None else pass_rate(run),
        "criteria": run.criteria,
        "of": _planned(folder / ITEMS) if run.status == "in_progress" else None,
        "reason": _reason(run),
        "notes": notes,
        "report": f"/reports/{quote(run.id, safe='')}" if has_report else None,
    }


def _planned(items: Path) -> int | None:
    """How many items a run will have; None if that is not known. A worker makes no link."""
    return None if items.is_symlink() else lines_in(items)


def created(run: ListedRun | ListedJob) -> str | None:
    """When a run or a job was made; None if that is no time of a calendar."""
    try:
        return datetime.fromtimestamp(run.created_at, UTC).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        return None


def _counts(run: ListedRun) -> dict[str, int] | None:
    """The counts; None if they are no counts."""
    if run.result is None:
        return None
    counts = {name: int(count) for name, count in counts_of(run).items()}
    return counts if all(0 <= count < _MAX_COUNT for count in counts.values()) else None


def _reason(run: ListedRun) -> str:
    """Why a run failed, and what to do, without paths of this machine; empty without an error."""
    error = run.error or {}
    code = str(error.get("code") or "")
    message = without_paths(str(error.get("message") or code)[: 4 * MAX_CHARS])[:MAX_CHARS]
    return " ".join(filter(None, (message, ADVICE.get(code, ""))))
