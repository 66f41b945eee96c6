"""What a person is to know of a run first: its status, its counts, how many items met each criterion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from math import isfinite
from typing import Any

from graders_engine.errors import InvalidRequest
from graders_engine.evals.hosted.names import without_uuid
from graders_engine.evals.run.criteria import Criterion, criteria_of
from graders_engine.evals.run.failure import ADVICE
from graders_engine.evals.run.items import OutputItems
from graders_engine.evals.run.reading import counts_of, notes_on, objects_in, output_text
from graders_engine.evals.run.reasons import reasons_of
from graders_engine.files import without_paths
from graders_engine.language import strict_json
from graders_engine.report.html.eval_run import CriterionLine, ItemLine, RunSummary
from graders_engine.report.visible import one_line
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.pages import Page
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store

SHOWN_ITEMS = 200
"""Most items on the page of a run that has no results file."""
REFRESH_S = 5
"""The page of a run that has no results yet is loaded again after so many seconds."""
_TEXT_COLUMNS = 300
_OF_ONE = ("string_check", "label_model")
"""Types whose scores are 0 and 1."""
_MEANINGS = {
    "queued": "It waits for its turn, and begins by itself. This page loads itself again.",
    "in_progress": "These are the items that are graded so far. Load the page again for more.",
    "canceled": "It was canceled: these are the items that were graded before. Create another run for all.",
}
"""What is to be known of a status; the others say it by their counts or their error."""


def summary_of(store: Store, run: StoredRun, *, has_report: bool) -> RunSummary:
    """What its page says first.

    Args:
        store: where it is.
        run: the run.
        has_report: whether a report of its rewards follows; else its items are listed.
    """
    owner = store.evals.get(run.project, run.eval_id)
    counts = counts_of(run)
    items = [] if has_report else list(islice(_items(store, run), SHOWN_ITEMS))
    error = run.error or {}
    code = str(error.get("code") or "")
    waits = run.status in ("queued", "in_progress")
    return RunSummary(
        name=run.name or run.id,
        eval_name=owner.name if owner is not None else run.eval_id,
        line=" · ".join(_line(run)),
        status=run.status,
        counts={name: counts[name] for name in ("passed", "failed", "errored")},
        criteria=list(_criteria(run, owner, imported=store.items.any_of(run.id))),
        meaning=_MEANINGS.get(run.status, ""),
        error=(code or "error", without_paths(str(error.get("message") or ""))) if error else (),
        advice=ADVICE.get(code, ""),
        items=items,
        items_left_out=max(0, counts["total"] - len(items)) if items else 0,
        refresh_s=REFRESH_S if waits and not has_report else 0,
        notes=notes_on(store, run),
        reasons=reasons_of(store, run) if counts["errored"] else (),
    )


def _line(run: StoredRun) -> Iterator[str]:
    yield run.id
    with suppress(OverflowError, OSError, ValueError):  # a time that no calendar has
        yield f"created {datetime.fromtimestamp(run.created_at, UTC):%Y-%m-%d %H:%M} UTC"
    if run.model:
        yield f"model {one_line(run.model, 60)}"


def _criteria(
    run: StoredRun, owner: StoredEval | None, *, imported: bool
) -> Iterator[CriterionLine]:
    """The criteria of the eval with their counts; of an imported run, those that it names."""
    known = _known(owner)
    results = objects_in(run.result.get("per_testing_criteria_results"))
    if not results:
        results = [{"testing_criteria": criterion.name} for criterion in known]
    by_name = {without_uuid(criterion.name): criterion for criterion in known}
    by_name |= {criterion.name: criterion for criterion in known}
    for one in results:
        given = str(one.get("testing_criteria"))
        name = without_uuid(given)
        found = by_name.get(given) or by_name.get(name)
        if found is not None:
            name = str(found.grader.get("name") or name)
        passed, failed = (
            value if isinstance(value := one.get(key), int) else None
            for key in ("passed", "failed")
        )
        threshold = _threshold(found, imported=imported) if found else None
        yield CriterionLine(name, found.type if found else "", passed, failed, threshold)


def _threshold(criterion: Criterion, *, imported: bool) -> float | None:
    """From where on a criterion is met; of an imported run, which was judged elsewhere, if that is known."""
    is_said = "pass_threshold" in criterion.grader or criterion.type in _OF_ONE
    known = is_said or not imported
    return criterion.threshold if known and isfinite(criterion.threshold) else None


def _known(owner: StoredEval | None) -> tuple[Criterion, ...]:
    if owner is None:
        return ()
    try:
        return criteria_of(objects_in(owner.body.get("testing_criteria"))).all
    except InvalidRequest:  # an imported eval may have none
        return ()


def _items(store: Store, run: StoredRun) -> Iterator[ItemLine]:
    """A run's items, those that did not pass first."""
    reader = OutputItems(store)
    for status in ("fail", "error", "pass"):
        found = reader.page(run, Page(None, SHOWN_ITEMS), status)
        for item in found.data:
            yield _item_line(item, status)


def _item_line(item: Mapping[str, Any], status: str) -> ItemLine:
    sample = item.get("sample")
    error = sample.get("error") if isinstance(sample, dict) else None
    unmet = [
        without_uuid(str(one.get("name")))
        for one in objects_in(item.get("results"))
        if not one.get("passed")
    ]
    if isinstance(error, dict) and error:
        parts = [str(error[key]) for key in ("code", "message") if error.get(key)]
        unmet.append(": ".join(parts))
    return ItemLine(
        str(item.get("datasource_item_id")),
        status,
        one_line(strict_json.encode(item.get("datasource_item")).decode(), _TEXT_COLUMNS),
        one_line(output_text(sample), _TEXT_COLUMNS),
        one_line(", ".join(unmet), _TEXT_COLUMNS),
    )
