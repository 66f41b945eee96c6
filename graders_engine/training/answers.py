"""What a job asks of its model's answers, held against the model: a format, and calls of tools to be read.

`python -m graders_engine.training.answers` does it for a job that is being validated: it reads a `Question`
as JSON from standard input, and prints what is wrong as the last line, or `null`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from graders_engine.training.base_model import load_tokenizer
from graders_engine.training.bound import grammar_of, words_of
from graders_engine.training.samples import can_read, reads_calls
from graders_engine.training.trainer import TrainingFailed, not_installed

FORMAT = "method.reinforcement.response_format"
_GRADER = "method.reinforcement.grader"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a model.

    Attributes:
        model_path: its folder.
        response_format: of its answers; None for text.
        names_calls: whether the grader reads the calls of tools.
    """

    model_path: str
    response_format: dict[str, Any] | None
    names_calls: bool


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
    except ModuleNotFoundError as error:
        raise not_installed(error, FORMAT) from error


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


def check(question: Question) -> None:
    """Check that a model can do what a job asks of it.

    Raises:
        TrainingFailed: it cannot.
    """
    require_format(question.response_format)
    tokenizer = load_tokenizer(question.model_path)
    grammar_for(tokenizer, question.response_format)
    if question.names_calls and not can_read(reads_calls(tokenizer)):
        raise TrainingFailed(
            "output_tools_not_available",
            "The grader reads `sample.output_tools`, which would always be empty: how this model calls tools "
            "is unknown, as its tokenizer has no response template.",
            _GRADER,
        )


def main() -> None:
    """Answer the question of standard input."""
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    fault = None
    try:
        check(question)
    except TrainingFailed as error:
        fault = error
    except ModuleNotFoundError as error:
        fault = not_installed(error)
    found = fault and {"code": fault.code, "message": fault.message, "param": fault.param}
    print(msgspec.json.encode(found).decode(), flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
