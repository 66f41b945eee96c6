"""What a job asks of its model's answers, held against the model: a format, and calls of tools to be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graders_engine.training.bound import grammar_of, words_of
from graders_engine.training.samples import can_read, reads_calls
from graders_engine.training.trainer import TrainingFailed

FORMAT = "method.reinforcement.response_format"
_GRADER = "method.reinforcement.grader"


def is_bound(response_format: Mapping[str, Any] | None) -> bool:
    """Whether answers are bound to be JSON."""
    return response_format is not None and response_format["type"] != "text"


def require_format(response_format: Mapping[str, Any] | None) -> str | None:
    """The grammar of a response format; None for text.

    Raises:
        TrainingFailed: no answers can be bound to it.
    """
    try:
        return grammar_of(response_format)
    except ValueError as error:
        raise TrainingFailed(
            "invalid_response_format", f"Invalid '{FORMAT}': {error}", FORMAT
        ) from error


def grammar_for(tokenizer: Any, response_format: Mapping[str, Any] | None) -> str | None:
    """The grammar of a job's answers; None for text.

    Args:
        tokenizer: of the model.
        response_format: as it was sent.

    Raises:
        TrainingFailed: the answers of this model cannot be bound to it.
    """
    grammar = require_format(response_format)
    if grammar is not None:
        try:
            words_of(tokenizer)
        except ValueError as error:
            raise TrainingFailed("response_format_not_available", str(error), FORMAT) from error
    return grammar


def require_calls(tokenizer: Any) -> None:
    """Check that the calls of tools in a model's answers can be read, as its grader does.

    Raises:
        TrainingFailed: how the model writes them is unknown.
    """
    if not can_read(reads_calls(tokenizer)):
        raise TrainingFailed(
            "output_tools_not_available",
            "The grader reads `sample.output_tools`, which would always be empty: how this model calls tools "
            "is unknown, as its tokenizer has no response template.",
            _GRADER,
        )
