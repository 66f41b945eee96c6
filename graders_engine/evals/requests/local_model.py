"""What of a run's request the models of this machine cannot honour."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.errors import Mistake
from graders_engine.evals.run.parameters import body_of
from graders_engine.graders import mistakes
from graders_engine.inference.judging import chat_mistakes
from graders_engine.models.local.source import LocalSource

_SAMPLING, _TEMPLATE = "data_source.sampling_params", "data_source.input_messages.template"
_FORMAT = "response_format"
_MEDIA = {"input_image": "an image", "input_audio": "a sound"}


def local_mistakes(source: Mapping[str, Any], local: LocalSource) -> list[Mistake]:
    """What a model of this machine would refuse for each item; nothing for all other models.

    Args:
        source: the data source of a run.
        local: the models of this machine, as the run's project may use them.
    """
    model = source.get("model")
    if not isinstance(model, str) or not local.is_local(model):
        return []
    found = [_placed(one, str(source.get("type"))) for one in chat_mistakes(body_of(source))]
    template = (source.get("input_messages") or {}).get("template")
    return [*found, *_media(template, _TEMPLATE, model)]


def _placed(mistake: Mistake, kind: str) -> Mistake:
    """A mistake in the body of a chat completion, by its place in the request of a run."""
    param = mistake.param or ""
    at = param.replace(_FORMAT, "text.format", 1) if kind == "responses" else param
    place = f"{_SAMPLING}.{at}" if at else _SAMPLING
    message = mistake.message.replace(f"'{param}'", f"'{place}'", 1) if param else mistake.message
    return dataclasses.replace(mistake, param=place, message=message)


def _media(value: Any, path: str, model: str) -> Iterator[Mistake]:
    if isinstance(value, list):
        for position, part in enumerate(value):
            yield from _media(part, f"{path}[{position}]", model)
    elif isinstance(value, Mapping):
        if what := _MEDIA.get(str(value.get("type"))):
            reason = f"'{model}' is answered on this machine, where models read texts alone: this is {what}."
            yield mistakes.invalid(f"{path}.type", reason)
            return
        yield from _media(value.get("content"), f"{path}.content", model)
