"""What a trainer is given, as JSON and back; a grader may have strings that msgspec does not write."""

from __future__ import annotations

import msgspec

from graders_engine.language import strict_json
from graders_engine.training.trainer import JobSpec


def as_json(spec: JobSpec) -> bytes:
    """What a trainer is given, as JSON."""
    return strict_json.encode(msgspec.to_builtins(spec))


def from_json(text: bytes) -> JobSpec:
    """What a trainer is given, from its JSON.

    Raises:
        ValueError: it is something else.
    """
    try:
        return msgspec.convert(strict_json.decode(text), JobSpec)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
