"""An answer is what follows its prompt, without the special tokens around it."""

from __future__ import annotations

import pytest

from graders_engine.errors import InvalidRow
from graders_engine.outputs.queries import answer_of


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("2+2?4", "4"),
        ("2+2?4</s>", "4"),
        ("2+2?4<|im_end|>\n<|endoftext|>", "4"),
        ("<s> 2+2?4", "4"),
        ("<|begin_of_text|><s>2+2?2+2?4", "2+2?4"),
        ("2+2?", ""),
        ("2+2?4\n", "4\n"),
        ("2+2? <b>4</b>", " <b>4</b>"),
    ],
)
def test_the_answer_follows_the_prompt(query: str, answer: str) -> None:
    assert answer_of(query, "2+2?") == answer


@pytest.mark.parametrize("query", ["", "4", "What is 2+2?4", "2+2"])
def test_a_query_that_does_not_begin_with_its_prompt_is_refused(query: str) -> None:
    with pytest.raises(InvalidRow, match="prompt"):
        answer_of(query, "2+2?")


def test_other_tokens_may_be_cut_off() -> None:
    assert answer_of("q 4 [END]</s>", "q", ["[END]"]) == " 4 [END]</s>"
    assert answer_of("q 4 [END]", "q", ["[END]"]) == " 4"
