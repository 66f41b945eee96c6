"""What an engine must be able to run for a run of an eval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_SOURCE = "def grade(sample, item):\n    return 0.0\n"
_ASK = [{"role": "user", "content": "-"}]
_MEDIA: dict[Any, dict[str, Any]] = {
    "input_image": {"type": "input_image", "image_url": "-"},
    "input_audio": {"type": "input_audio", "input_audio": {"data": "-", "format": "wav"}},
}


def probes(
    criteria: Sequence[Mapping[str, Any]], source: Mapping[str, Any]
) -> Iterator[tuple[str | None, str, dict[str, Any]]]:
    """(param, beginning of a message, grader) for each thing that an engine may have no means for.

    The graders are the criteria without their templates and sources: only what they need matters.

    Args:
        criteria: of the eval.
        source: the data source of the run.
    """
    if model := source.get("model"):
        yield "data_source.model", "", _judge(str(model), {})
    seen: list[dict[str, Any]] = []
    for criterion in criteria:
        needed = _needed(criterion)
        if needed is not None and needed not in seen:
            seen.append(needed)
            yield None, f"The criterion '{criterion.get('name')}' of this eval: ", needed


def _needed(criterion: Mapping[str, Any]) -> dict[str, Any] | None:
    """The smallest grader that needs what a criterion needs; None if that is nothing."""
    kind = criterion.get("type")
    if kind in ("score_model", "label_model"):
        return _judge(str(criterion.get("model")), criterion)
    if kind == "python":
        image = {"image_tag": criterion["image_tag"]} if criterion.get("image_tag") else {}
        return {"type": kind, "name": "-", "source": _SOURCE, **image}
    if kind == "text_similarity" and criterion.get("evaluation_metric") == "cosine":
        texts = {"input": "-", "reference": "-"}
        return {"type": kind, "name": "-", "evaluation_metric": "cosine", **texts}
    return None


def _judge(model: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest grader that asks a model as another one does: with its effort, and with its media."""
    found = list(media_in(asked.get("input")))
    grader = {"type": "score_model", "name": "-", "model": model, "input": [*_ASK, *found[:1]]}
    for key in ("sampling_params", "sampling_parameters"):
        if effort := (asked.get(key) or {}).get("reasoning_effort"):
            grader[key] = {"reasoning_effort": effort}
    return grader


def media_in(messages: Any) -> Iterator[dict[str, Any]]:
    """For each image and each sound in messages of a judge or a model, a message that has nothing else."""
    if isinstance(messages, Mapping):
        given = messages.get("type")
        if given in _MEDIA:
            yield {"role": "user", "content": _MEDIA[given]}
        messages = list(messages.values())
    if isinstance(messages, list):
        for part in messages:
            yield from media_in(part)
