"""What changes in rows that were graded with another grader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import to_builtins

from graders_engine.compiled import CompiledGrader, scope_reader
from graders_engine.dataset.results.allowed import allowed_rewards
from graders_engine.dataset.results.line import ResultLine, result_line
from graders_engine.dataset.rows.identity import item_of
from graders_engine.dataset.rows.records import RowRef
from graders_engine.errors import InvalidRow
from graders_engine.report.visible import one_line
from graders_engine.statistics.estimate import estimate
from graders_engine.statistics.paired import apart, paired
from graders_engine.view.trying.grading import Graded
from graders_engine.view.trying.rows import TriedRows, counted_of

EXCERPT_CHARS = 200
_scope_of = scope_reader(None, lambda: False)


def tried_json(
    rows: TriedRows, graded: Graded, meta: Mapping[str, Any], compiled: CompiledGrader
) -> dict[str, Any]:
    """The means, their paired difference and the rows that change.

    Args:
        rows: those that were graded.
        graded: what came out; of fewer rows if the budget was exhausted.
        meta: of the run whose rows they are; empty for a data set.
        compiled: the grader.
    """
    size = len(graded.outcomes)
    rows = rows.first(size)
    refs, was, groups = rows.refs, rows.results, rows.groups
    now = [result_line(ref, row) for ref, row in zip(refs, graded.outcomes, strict=True)]
    ranges = allowed_rewards(meta).reward, allowed_rewards({"grader": compiled.given}).reward
    after = counted_of(now)
    known = ~np.isnan(after)
    failed = [result for result in now if result.status == "failed"]
    found: dict[str, Any] = {
        "graded": size,
        "stored": rows.stored_json(meta) if was else None,
        "now": to_builtins(estimate(after[known], groups[known], ranges[1])),
        "difference": None,
        "failed": len(failed),
        "why_failed": next((text for result in failed for text in result.flags.values()), ""),
        "why_invalid": _why_all_invalid(now),
        "spent": graded.spent,
        "problem": graded.problem,
        "seconds": sum(row.seconds for row in graded.outcomes),
    }
    if not was:
        return {
            **found,
            **_counts([]),
            "changed": [_row(ref, None, one) for ref, one in zip(refs, now, strict=True)],
        }
    before = counted_of(was)
    both = known & ~np.isnan(before)
    difference = paired(before[both], after[both], groups[both], ranges)
    if difference is not None:
        one = difference.difference
        found["difference"] = {
            "value": one.value,
            "low": one.low,
            "high": one.high,
            "p": difference.p_value,
            "rows": one.rows,
        }
    changes = [*_changes(was, now)]
    changed = [
        {**_row(ref, old, new), "change": change}
        for ref, old, new, change in zip(refs, was, now, changes, strict=True)
        if change != "same"
    ]
    return {**found, **_counts(changes), "changed": changed}


def _why_all_invalid(now: Sequence[ResultLine]) -> str:
    """The one reason for which all rows are invalid; empty if some are not, or for another."""
    reasons = {tuple(one.flags.values()) if one.status == "invalid" else () for one in now}
    return " ".join(reasons.pop()) if len(reasons) == 1 else ""


CHANGES = ("up", "down", "same", "newly_invalid", "newly_failed", "newly_valid")


def _counts(changes: Sequence[str]) -> dict[str, int]:
    return {name: changes.count(name) for name in CHANGES}


def _changes(was: Sequence[ResultLine], now: Sequence[ResultLine]) -> Iterator[str]:
    """What changes in each row; a difference by rounding only is none."""
    distances = apart(counted_of(was), counted_of(now))
    for old, new, distance in zip(was, now, distances.tolist(), strict=True):
        if old.status != new.status:
            yield f"newly_{'valid' if new.status == 'scored' else new.status}"
        elif distance > 0:
            yield "up"
        else:
            yield "down" if distance < 0 else "same"


def _row(ref: RowRef, old: ResultLine | None, new: ResultLine) -> dict[str, Any]:
    """One row: both rewards, and the parts that differ."""
    parts = {}
    before = {} if old is None else old.sub_rewards
    for key in dict.fromkeys((*before, *new.sub_rewards)):
        one, other = before.get(key), new.sub_rewards.get(key)
        if old is None or one != other:
            parts[key] = [one, other]
    id_, excerpt = _texts(ref.row)
    return {
        "row": new.name,
        "id": id_,
        "before": None if old is None else old.counted,
        "after": new.counted,
        "status_before": None if old is None else old.status,
        "status_after": new.status,
        "blame_after": new.blame,
        "parts": parts,
        "flags": new.flags,
        "excerpt": {"text": excerpt, "marks": [], "in": "sample", "before": False, "after": False},
    }


def _texts(row: Any) -> tuple[str, str]:
    """The item's id and the beginning of the sample, on one line."""
    try:
        scope = _scope_of(row)
    except InvalidRow:
        return "", ""
    item = item_of(row)
    found = item.get("id") if isinstance(item, Mapping) else None
    is_name = isinstance(found, str | int) and not isinstance(found, bool)
    return str(found) if is_name else "", one_line(scope.output_text, EXCERPT_CHARS)
