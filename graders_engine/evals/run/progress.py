"""What a run says of itself while it goes: counts, results by criterion, usage by model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graders_engine.evals.run.criteria import Criteria
from graders_engine.evals.run.item_index import Counts
from graders_engine.outcome import Usage

CLAMPED = "_clamped"
"""In a run's result, not on the wire: by criterion, in how many items a judge's number was out of range."""
Used = Mapping[str, tuple[int, Usage]]
"""By model, how often it was asked, and the tokens."""


def result_of(
    criteria: Criteria | None, counts: Counts | None, used: Iterable[Used]
) -> dict[str, Any]:
    """The keys of a run that tell of its results, as they are on the wire.

    Args:
        criteria: of the eval; None before they are known.
        counts: of the items that are graded; None before the first.
        used: by models that were sampled, and by judges.
    """
    items = {} if counts is None else counts.items
    met = (
        [[0, 0]] * (0 if criteria is None else len(criteria.all)) if counts is None else counts.met
    )
    named = () if criteria is None else criteria.all
    clamped = {} if counts is None else counts.clamped
    return {
        "result_counts": {
            "total": sum(items.values()),
            "passed": items.get("pass", 0),
            "failed": items.get("fail", 0),
            "errored": items.get("error", 0),
        },
        "per_testing_criteria_results": [
            {"testing_criteria": criterion.name, "passed": passed, "failed": failed}
            for criterion, (passed, failed) in zip(named, met, strict=True)
        ],
        "per_model_usage": _usage(used),
        CLAMPED: {one.name: clamped[one.key] for one in named if one.key in clamped},
    }


def _usage(used: Iterable[Used]) -> list[dict[str, Any]]:
    total: dict[str, tuple[int, Usage]] = {}
    for models in used:
        for model, (count, usage) in models.items():
            before, so_far = total.get(model, (0, Usage()))
            total[model] = (before + count, so_far + usage)
    return [
        {
            "model_name": model,
            "invocation_count": count,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cached_tokens": usage.cached_tokens,
            "total_tokens": usage.total_tokens,
        }
        for model, (count, usage) in sorted(total.items())
    ]
