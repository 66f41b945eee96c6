"""Whether an output without a text is an answer of nothing, or no answer at all: the one rule of it."""

from __future__ import annotations

from typing import Any

from graders_engine.errors import NoOutput, UnknownForm
from graders_engine.language.content import is_broken_off

EMPTY = "If the model said nothing, give an empty text."


def require_answer(finish: str, *, stated: bool, lacking: str) -> None:
    """Check that an output without a text, a tool call and audio is an answer all the same.

    A model that ends its answer without a text has answered with nothing, also where it ran out of tokens,
    or a filter withheld what it wrote: otherwise it would gain by such answers, as they would leave the
    mean. Where nothing says that it ended, the output must have the place of the text, if only with null.

    Args:
        finish: why the output ends; empty where nothing says it.
        stated: whether it has the place of the text.
        lacking: what it has not, as the beginning of a sentence about it.

    Raises:
        NoOutput: the endpoint failed.
        UnknownForm: nothing says that the model answered.
    """
    require_ended(finish)
    if not (finish or stated):
        raise UnknownForm(
            f"{lacking}, and no finish reason says that the model ended its answer. {EMPTY}"
        )


def require_ended(finish: Any) -> None:
    """Check that the endpoint did not break an output off: its text is no answer then, however long it is.

    Args:
        finish: why it ends, as the endpoint says it.

    Raises:
        NoOutput: the endpoint failed.
    """
    if is_broken_off(finish):
        raise NoOutput(f"There is no output, but an error: its finish reason is {finish}.")
