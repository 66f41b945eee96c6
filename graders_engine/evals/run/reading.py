"""What a stored run and its items say: those of an imported run may hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graders_engine.evals.hosted.names import without_uuid
from graders_engine.evals.run.progress import CLAMPED
from graders_engine.evals.wire import AS_IMPORTED
from graders_engine.language import strict_json
from graders_engine.storage.listed_runs import ListedRun
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store

_NO_TEXT = ("role", "content", "type", "annotations")
"""Keys of a message that say nothing where it has no content."""


def counts_of(run: StoredRun | ListedRun) -> Mapping[str, int]:
    """How many items of a run have passed, failed and errored, as far as it has come."""
    given = (run.result or {}).get("result_counts")
    given = given if isinstance(given, dict) else {}
    names = ("total", "passed", "failed", "errored")
    return {name: given[name] if isinstance(given.get(name), int) else 0 for name in names}


def notes_on(store: Store, run: StoredRun) -> list[str]:
    """Sentences on what the numbers of a run do not say: items not kept, numbers clamped, a count not ended.

    Args:
        store: where the run is.
        run: the run.
    """
    is_imported = AS_IMPORTED in run.request
    total = counts_of(run)["total"]
    clamped = [
        (
            f"In {count:,} of {total:,} items the judge's number was outside the range of "
            f"'{without_uuid(name)}': the end of the range counts."
        )
        for name, count in (run.result.get(CLAMPED) or {}).items()
    ]
    return [*notes_of(run, store.items.count(run.id) if is_imported else None), *clamped]


def notes_of(run: StoredRun | ListedRun, kept: int | None) -> list[str]:
    """As `notes_on`, of a run that may be from a list.

    Args:
        run: the run.
        kept: how many output items the store has of it; None where they are in the run's folder.
    """
    if run.uncounted:
        return [
            "What was done before the run ended is still being counted: its numbers may change."
        ]
    total = counts_of(run)["total"]
    if kept is None or total in (0, kept):
        return []
    return [f"The counts of this run are of {total:,} items, of which the store has {kept:,}."]


def pass_rate(run: StoredRun | ListedRun) -> float | None:
    """The share of the graded items that passed, from 0 to 1; None if no item could be graded."""
    counts = counts_of(run)
    graded = counts["passed"] + counts["failed"]
    return counts["passed"] / graded if graded else None


def objects_in(value: Any) -> list[dict[str, Any]]:
    """The objects of an array of the wire; those of an imported run may be anything."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def output_text(sample: Any) -> str:
    """What the model said in an item's sample; JSON where that is no text."""
    sample = sample if isinstance(sample, dict) else {}
    messages = objects_in(sample.get("output"))
    content = messages[-1].get("content") if messages else None
    if content is None and messages:
        answer = {key: one for key, one in messages[-1].items() if key not in _NO_TEXT and one}
        content = answer.get("refusal") or answer or ""
    if content is None or isinstance(content, str):
        return content or ""
    return strict_json.encode(content).decode()
