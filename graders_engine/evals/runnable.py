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
    """The smallest grader that asks a model as another one does: with an effort, and with its media."""
    asking = [*_ASK, *_media_in(asked.get("input"))]
    grader: dict[str, Any] = {"type": "score_model", "name": "-", "model": model, "input": asking}
    for key in ("sampling_params", "sampling_parameters"):
        sampling = asked.get(key)
        if isinstance(sampling, Mapping) and sampling.get("reasoning_effort") is not None:
            grader["sampling_params"] = {"reasoning_effort": "low"}
    return grader


def _media_in(messages: Any) -> list[dict[str, Any]]:
    """For each kind of media in a judge's messages, a message that has nothing else."""
    found = set()
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, Mapping) else None
        for part in content if isinstance(content, list) else [content]:
            if isinstance(part, Mapping):
                found.add(str(part.get("type")))
    return [{"role": "user", "content": media} for kind, media in _MEDIA.items() if kind in found]
