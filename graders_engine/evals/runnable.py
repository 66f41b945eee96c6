"""What an engine must be able to run for a run of an eval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_SOURCE = "def grade(sample, item):\n    return 0.0\n"
_ASK = [{"role": "user", "content": "-"}]


def probes(
    criteria: Sequence[Mapping[str, Any]], model: str
) -> Iterator[tuple[str | None, str, dict[str, Any]]]:
    """(param, beginning of a message, grader) for each thing that an engine may have no means for.

    The graders are the criteria without their templates and sources: only what they need matters.

    Args:
        criteria: of the eval.
        model: the model of the run; empty for none.
    """
    if model:
        yield "data_source.model", "", _judge(model)
    seen = set()
    for criterion in criteria:
        needed = _needed(criterion)
        key = (needed["type"], needed.get("model"), needed.get("image_tag")) if needed else None
        if needed is not None and key not in seen:
            seen.add(key)
            yield None, f"The criterion '{criterion.get('name')}' of this eval: ", needed


def _needed(criterion: Mapping[str, Any]) -> dict[str, Any] | None:
    """The smallest grader that needs what a criterion needs; None if that is nothing."""
    kind = criterion.get("type")
    if kind in ("score_model", "label_model"):
        return _judge(str(criterion.get("model")))
    if kind == "python":
        image = {"image_tag": criterion["image_tag"]} if criterion.get("image_tag") else {}
        return {"type": kind, "name": "-", "source": _SOURCE, **image}
    if kind == "text_similarity" and criterion.get("evaluation_metric") == "cosine":
        texts = {"input": "-", "reference": "-"}
        return {"type": kind, "name": "-", "evaluation_metric": "cosine", **texts}
    return None


def _judge(model: str) -> dict[str, Any]:
    return {"type": "score_model", "name": "-", "model": model, "input": _ASK}
