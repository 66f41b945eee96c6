"""Whether an output without a text is an answer of nothing, or no answer at all: the one rule of it."""

from __future__ import annotations

from graders_engine.errors import NoOutput, UnknownForm

_OUTAGES = ("abort", "cancel", "error", "expired", "fail", "timeout", "user_cancel")
"""How reasons begin which say that a request came to no end."""
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
    reason = finish.lower()
    if reason.startswith(_OUTAGES):
        raise NoOutput(f"There is no output, but an error: its finish reason is {finish}.")
    if not (reason or stated):
        raise UnknownForm(
            f"{lacking}, and no finish reason says that the model ended its answer. {EMPTY}"
        )
