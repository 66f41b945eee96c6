"""The report in the terminal, and texts that are made safe to display."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.report.row_texts import readable
from graders_engine.report.terminal.report import report_text
from graders_engine.report.visible import cut, one_line, visible
from tests.report.conftest import LARGE_ROWS, Run

UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
ANY_TEXT = st.text(st.characters(exclude_categories=[]))


@given(ANY_TEXT)
def test_visible_text_has_no_control_characters_and_can_be_encoded(text: str) -> None:
    safe = visible(text)
    assert not UNSAFE.search(safe)
    safe.encode()


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text
    assert visible(f"{text}\n\tß漢👩\u200d🚀") == f"{text}\n\tß漢👩\u200d🚀"


@given(ANY_TEXT, st.integers(1, 50))
def test_a_cut_text_is_never_longer_than_its_limit(text: str, max_chars: int) -> None:
    line = one_line(text, max_chars)
    assert len(line) <= max_chars
    assert "\n" not in line
    safe, left_out = cut(text, max_chars)
    assert len(safe) <= max_chars
    assert left_out or safe == visible(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", "a\nb"),
        ({"a": 1, "b": None, "c": {}}, "a: 1\nb: null\nc: {}"),
        ({"a": {"b": ["x", "y\nz"]}}, "a:\n  b:\n    - x\n    -\n      y\n      z"),
        ([{"role": "user", "content": "hi"}], "- role: user\n  content: hi"),
        (1.5, "1.5"),
    ],
)
def test_an_item_is_written_with_its_strings_unquoted(value: object, text: str) -> None:
    assert readable(value) == text


def test_the_terminal_has_the_numbers_of_the_page(large: Run) -> None:
    text = report_text(large.numbers, large.provenance, large.texts)
    tally, mean = large.numbers.digest.tally, large.numbers.mean
    assert mean is not None
    assert f"mean reward  {mean.value:.4f}" in text
    assert f"95 % interval {mean.low:.4f} to {mean.high:.4f}" in text
    assert f"failed  {tally.failed:>9,}" in text
    for part in large.numbers.sub_rewards:
        assert f"  {part.key:<5}  {part.mean.value:.4f}  {part.mean.low:.4f} to " in text
    assert f"{LARGE_ROWS // 4:,} prompts with" in text
    for heading in (
        "correlations",
        "flags",
        "pass@k",
        "judges",
        "lowest rewards",
        "waiting for their turn included; the slowest",
    ):
        assert heading in text
    assert f"cost {large.numbers.spending[0].cost:,.4g}" in text
    assert max(map(len, text.splitlines())) <= 140


def test_hostile_texts_do_nothing_to_the_terminal(hostile: Run) -> None:
    text = report_text(hostile.numbers, hostile.provenance, hostile.texts)
    assert not UNSAFE.search(text)
    assert "\\x1b[31m" in text
