"""Pass thresholds that no score can reach. The hosted evals took them, so they are said and not refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def unreachable(criteria: Sequence[Any]) -> Iterator[str]:
    """A sentence for each criterion that no item can pass, as the highest score of its type is lower.

    Scores of python have no bound, and what `string_check` and `label_model` pass does not depend on one.

    Args:
        criteria: of an eval, as they were given; one that cannot be read has no sentence.
    """
    for criterion in criteria:
        if isinstance(criterion, dict):
            threshold, highest = _number(criterion.get("pass_threshold")), _highest_score(criterion)
            if threshold is not None and highest is not None and threshold > highest:
                yield (
                    f"'{criterion.get('name')}': no item can pass, as its pass_threshold is {threshold:g} "
                    f"and its highest score {highest:g}."
                )


def _highest_score(criterion: dict[str, Any]) -> float | None:
    if criterion.get("type") == "text_similarity":
        return 1.0
    if criterion.get("type") != "score_model":
        return None
    bounds = criterion.get("range")
    if bounds is None:
        return 1.0
    return _number(bounds[-1]) if isinstance(bounds, list) and bounds else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
