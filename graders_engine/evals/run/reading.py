"""What a stored run and its items say: those of an imported run may hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graders_engine.language import strict_json
from graders_engine.storage.runs import StoredRun


def counts_of(run: StoredRun) -> Mapping[str, int]:
    """How many items of a run have passed, failed and errored, as far as it has come."""
    given = run.result.get("result_counts")
    given = given if isinstance(given, dict) else {}
    names = ("total", "passed", "failed", "errored")
    return {name: given[name] if isinstance(given.get(name), int) else 0 for name in names}


def pass_rate(run: StoredRun) -> float | None:
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
        content = messages[-1]
    if content is None or isinstance(content, str):
        return content or ""
    return strict_json.encode(content).decode()
