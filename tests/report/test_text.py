"""The report in the terminal, and texts that are made safe to display."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.cli.main import graders
from graders_engine.dataset.results.line import ResultLine
from graders_engine.report.row_texts import MIN_CHARS, readable, texts_of
from graders_engine.report.terminal.report import report_text
from graders_engine.report.visible import cut, one_line, shorten, start_of, visible
from graders_engine.report.width import columns_of
from tests.cli.test_command_line import CHECK
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
    assert columns_of(line) <= max_chars
    assert "\n" not in line
    safe, left_out = cut(text, max_chars)
    assert len(safe) <= max_chars
    assert left_out or safe == visible(text)
    assert start_of(text, max_chars) == (f"{safe}…" if left_out else safe)
    name = shorten(text, max_chars)
    assert columns_of(name) <= max_chars
    assert "\n" not in name
    assert not UNSAFE.search(name)


def test_a_long_name_is_cut_in_the_middle() -> None:
    keys = [f"a_very_long_key_for_a_sub_reward_number_{n}" for n in ("one", "two")]
    assert [shorten(key, 20) for key in keys] == ["a_very_lon…umber_one", "a_very_lon…umber_two"]
    assert shorten("short", 5) == "short"


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


def test_the_item_of_many_samples_is_counted_once(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    row = {"item": {"text": "漢" * 40_000}, "samples": ["a"] * 50}
    data.write_text(json.dumps(row) + "\n", encoding="utf-8")
    results = [ResultLine(1, 1.0, "scored", {}, {}, 0.0, sample=sample) for sample in range(1, 51)]
    whole = texts_of(results, {}, data, 130_000)
    assert {len(whole.of(result).item) for result in results} == {len("text: ") + 40_000}
    start = texts_of(results, {}, data, 110_000)
    assert {len(start.of(result).item) for result in results} == {32_000}


@pytest.mark.parametrize("budget", [900, 5_000, 20_000, 1_000_000])
def test_texts_that_do_not_fit_leave_out_the_rows_that_are_wanted_least(
    budget: int, tmp_path: Path
) -> None:
    data = tmp_path / "rows.jsonl"
    rows = [{"item": {"n": n}, "model_sample": "y" * (100 * n)} for n in range(1, 21)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    lines = [ResultLine(n, 1.0, "scored", {}, {}, 0.0) for n in range(1, 21)]
    first, others = lines[:2], lines[:1:-1]
    texts = texts_of(first, {}, data, budget, others=others)
    held = [result for result in lines if texts.of(result).sample]
    wanted = [result for result in (*first, *others) if result in held]
    assert wanted == [*first, *others][: len(wanted)]  # in their order, without gaps
    for result in held:
        text = texts.of(result)
        assert len(text.sample) == text.sample_chars == 100 * result.line
    size = sum(text.sample_chars + len(text.item) for text in texts.texts.values())
    assert size <= budget
    assert len(texts.left_out) == 20 - len(held)
    if texts.left_out:
        line = [*first, *others][len(held)].line
        assert size + 100 * line + len(f"n: {line}") > budget
    assert (budget == 1_000_000) == (not texts.left_out)


@pytest.mark.parametrize("sample_chars", [10, 1_000, 50_000, 200_000])
def test_the_more_texts_a_page_has_the_less_it_keeps_of_each(
    sample_chars: int, tmp_path: Path
) -> None:
    data = tmp_path / "rows.jsonl"
    rows = [
        {"item": {"n": n}, "samples": [f"{n}{k}" + "y" * sample_chars for k in "ab"]}
        for n in range(20)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    results = [
        ResultLine(line, 1.0, "scored", {}, {}, 0.0, sample=sample)
        for line in range(1, 21)
        for sample in (1, 2)
    ]
    budget = 200_000
    texts = texts_of(results, {}, data, budget)
    kept = [texts.of(result) for result in results]
    assert [text.item for text in kept[:4]] == ["n: 0", "n: 0", "n: 1", "n: 1"]
    assert kept[3].sample.startswith("1by")
    lengths = {len(text.sample) - len(str(text.sample_chars - sample_chars)) for text in kept}
    whole = sum(text.sample_chars for text in kept)
    if whole < budget:
        assert all(len(text.sample) == text.sample_chars for text in kept)
    else:
        assert all(text.sample_chars > len(text.sample) >= MIN_CHARS for text in kept)
        assert sum(len(text.sample) for text in kept) <= budget
        assert len(lengths) == 1


def test_a_sample_is_its_text_and_its_tool_calls(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    data = tmp_path / "rows.jsonl"
    rows: list[dict[str, object]] = [
        {"item": {}, "model_sample": "a text"},
        {"item": {}, "sample": {"output_text": "see"}},
        {"item": {}, "sample": {"output_tools": [call]}},
        {"item": {}, "sample": {"output_text": "both", "output_tools": [call]}},
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    results = [ResultLine(line, 1.0, "scored", {}, {}, 0.0) for line in range(1, 5)]
    texts = texts_of(results, {}, data)
    kept = [texts.of(result).sample for result in results]
    assert kept[:2] == ["a text", "see"]
    assert kept[2].startswith("- id: c1\n")
    assert kept[3] == f"both\n\n{kept[2]}"


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


def test_rows_are_named_by_their_lines_and_their_items_ids(tmp_path: Path) -> None:
    rows = [
        {"item": {"id": f"inv-{n:04}-of-a-long-series"}, "samples": ["cat", "dog"]}
        for n in range(4)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    ended = CliRunner().invoke(
        graders,
        ["score", "--grader", CHECK, "--data", str(data), "--out", str(tmp_path / "r.jsonl")],
    )
    assert ended.exit_code == 0
    ended = CliRunner().invoke(graders, ["report", str(tmp_path / "r.jsonl"), "--no-html"])
    assert "\n  line 1#2 (inv-0000…-series)  0       dog\n" in ended.stdout
    assert "mean reward  0.5000  over 8 samples" in ended.stdout
