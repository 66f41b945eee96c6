"""A model's answer out of a text that holds the prompt before it, as OpenRLHF has them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from graders_engine.errors import InvalidRow

ENDS = (
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|end_of_text|>", "</s>", "<eos>",
    "<end_of_turn>", "<|end|>", "<|return|>", "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "<|user|>", "<|observation|>",
)  # fmt: skip
"""Special tokens that end the answers of the common chat templates; such texts are decoded with them."""

_TOKENS = re.compile(r"\s*(?:<[^<>\s]+>\s*)*")
"""What a tokenizer may put before the prompt."""


def answer_of(query: str, prompt: str, ends: Sequence[str] = ENDS) -> str:
    """The text after the prompt, without the special tokens at its end.

    Example::

        >>> answer_of("<s>2+2?<s>4</s>", "<s>2+2?<s>")
        '4'

    Raises:
        InvalidRow: the text does not begin with the prompt; the prompt would be graded with the answer.
    """
    begin = query.find(prompt)
    if begin < 0 or not _TOKENS.fullmatch(query, 0, begin):
        raise InvalidRow(
            "The query does not begin with its prompt, so the answer in it is not known."
        )
    answer = query[begin + len(prompt) :]
    known = tuple(filter(None, ends))
    while (found := answer.rstrip()).endswith(known):
        answer = found.removesuffix(next(filter(found.endswith, known))).rstrip()
    return answer
