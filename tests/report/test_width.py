"""Texts are measured in columns, cut in the middle where both ends matter, and broken at blanks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.report.terminal.screen import Caution, Heading, Screen
from graders_engine.report.width import (
    columns_of,
    cut_end,
    cut_middle,
    padded,
    short_names,
    wrapped,
)

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("abc", 3), ("漢字", 4), ("e\u0301", 1), ("한", 2), ("👩", 2)]
)
def test_wide_characters_take_two_columns_and_marks_none(text: str, columns: int) -> None:
    assert columns_of(text) == columns
    assert columns_of(padded(text, 10)) == 10


@given(ANY_TEXT, st.integers(1, 40))
def test_a_cut_text_fits(text: str, columns: int) -> None:
    for short in (cut_end(text, columns), cut_middle(text, columns)):
        assert columns_of(short) <= columns
        assert short == text or "…" in short


def test_a_text_cut_in_the_middle_keeps_both_ends() -> None:
    assert cut_middle("a_very_long_key_for_a_sub_grader", 11) == "a_ver…rader"
    assert cut_middle("漢字漢字漢字漢字", 9) == "漢字…漢字"


@given(st.lists(st.text("ab_", max_size=30), unique=True, max_size=12), st.integers(9, 20))
def test_short_names_fit_and_stay_different(names: list[str], columns: int) -> None:
    short = short_names(names, columns)
    assert len(set(short)) == len(names)
    assert all(columns_of(name) <= columns for name in short)


def test_names_with_one_beginning_and_one_end_show_where_they_differ() -> None:
    names = [f"a_very_long_prefix_{name}_with_a_long_end" for name in ("x", "y")]
    assert short_names([*names, "z"], 12) == ["…x_wit…g_end", "…y_wit…g_end", "z"]


def test_a_line_is_broken_at_blanks_and_continues_indented() -> None:
    assert wrapped("  two words and more", 14) == ["  two words", "    and more"]
    assert wrapped("see /a/path/longer/than/the/line now", 12) == [
        "see",
        "    /a/path/longer/than/the/line",
        "    now",
    ]


def test_a_command_is_not_broken() -> None:
    command = (
        "    graders score --grader '@my evals/grader.json' --data rows.jsonl --out results.jsonl"
    )
    assert Screen(40, wraps=True).text([f"## Run them\n\n{command}"]) == f"## Run them\n\n{command}"


def test_a_script_without_blanks_is_broken_between_characters() -> None:
    assert wrapped("說" * 8 + " end", 8) == ["說說說說", "  說說說", "  說 end"]


@given(ANY_TEXT, st.integers(10, 40))
def test_nothing_is_lost(text: str, columns: int) -> None:
    assert "".join("".join(wrapped(text, columns)).split()) == "".join(text.split())


@given(st.text("ab- ", max_size=60), st.integers(10, 40))
def test_no_word_is_broken_that_fits_on_a_line(text: str, columns: int) -> None:
    lines = wrapped(text, columns)
    assert all(columns_of(line) <= columns for line in lines)
    if max(map(len, text.split()), default=0) <= columns // 2:
        assert " ".join(lines).split() == text.split()


def test_a_word_that_is_too_long_is_broken_unless_it_is_a_path() -> None:
    assert wrapped("  a_long_identifier", 10) == ["  a_long_i", "   dentifi", "   er"]
    assert wrapped("in https://localhost/v1", 10) == ["in", "   https://localhost/v1"]


@pytest.mark.parametrize("at", [2, 15, 40, 59, 76])
@pytest.mark.parametrize("columns", [20, 40, 79, 200])
def test_carets_stay_below_what_they_point_at(at: int, columns: int) -> None:
    line = "  " + "".join(chr(33 + (n % 90)) for n in range(75)) + " and more words"
    carets = " " * at + "^"
    source, below = Screen(columns, wraps=True).text([line, carets, "after"]).split("\n")[:2]
    assert columns_of(source) <= columns
    assert source[below.index("^")] == line[at]


def test_a_screen_escapes_then_colours() -> None:
    lines = [Heading("he\x1bad"), "plain", Caution("two\nlines"), ""]
    assert Screen().text(lines) == "he\\x1bad\nplain\ntwo\nlines\n"
    assert Screen(color=True).text(lines) == (
        "\x1b[1mhe\\x1bad\x1b[0m\nplain\n\x1b[33mtwo\x1b[0m\n\x1b[33mlines\x1b[0m\n"
    )
