"""The HTML report: one self-contained file, no text of a row becomes markup, and it is accessible."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from graders_engine.report.html.page import report_page
from tests.report.conftest import HOSTILE, LARGE_ROWS, Run, read

VOID = {"meta", "link", "input", "br", "hr", "img"}
ADDRESSES = {
    "src",
    "href",
    "srcset",
    "action",
    "formaction",
    "data",
    "poster",
    "background",
    "xlink:href",
}


class Tag(NamedTuple):
    """A start tag, and the elements that are open around it."""

    name: str
    attributes: dict[str, str]
    around: tuple[str, ...]


class Reader(HTMLParser):
    """Reads a page and checks that every element is closed in its place."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[Tag] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append(Tag(tag, attributes, tuple(self._open)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def named(self, *names: str) -> Iterator[Tag]:
        return (tag for tag in self.tags if tag.name in names)

    def text(self) -> str:
        return "".join(text for name, text in self.texts if name not in ("style", "script"))


@pytest.fixture(scope="module")
def page(hostile: Run) -> str:
    return report_page(hostile.numbers, hostile.provenance, hostile.texts)


@pytest.fixture(scope="module")
def read_page(page: str) -> Reader:
    return Reader(page)


def test_the_page_refers_to_nothing_outside_of_it(page: str, read_page: Reader) -> None:
    for tag in read_page.tags:
        for name in ADDRESSES & set(tag.attributes):
            assert tag.attributes[name].startswith("#") or tag.attributes[name] == "data:,"
    styles = "".join(text for name, text in read_page.texts if name == "style")
    assert "url(" not in styles
    assert "@import" not in styles
    assert not {tag.name for tag in read_page.tags} & {
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
    }


def test_the_policy_allows_exactly_this_style_and_this_script(page: str, read_page: Reader) -> None:
    policy = next(
        t.attributes["content"] for t in read_page.named("meta") if "http-equiv" in t.attributes
    )
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for name in ("style", "script"):
        (inside,) = re.findall(f"<{name}>(.*?)</{name}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    # With this policy the browser ignores these and logs an error.
    assert not any(
        {"style", "onclick", "onload", "onerror"} & set(tag.attributes) for tag in read_page.tags
    )


def test_no_text_becomes_markup_and_all_of_it_is_readable(page: str, read_page: Reader) -> None:
    assert page.count("<script>") == page.count("</script>") == 1
    text = read_page.text()
    for part in (
        "</script><script>document.title",
        'onerror="document.title=1">',
        "${style} $script",
    ):
        assert part in text
    assert "names </title><script>1</script> \\u202e" in text


def test_no_text_has_control_characters_or_changes_the_reading_direction(page: str) -> None:
    hidden = re.findall(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u2028-\u202e\u2066-\u2069\ud800-\udfff]", page
    )
    assert not hidden
    page.encode()
    for escape in ("\\x00", "\\x1b[31m", "\\u202e", "\\ud800", "\\u2028", "\\U000e0041"):
        assert escape in page


def test_long_texts_are_cut_and_say_so(read_page: Reader) -> None:
    assert max(len(text) for name, text in read_page.texts if name == "pre") <= 4000
    assert "Sample, cut" in read_page.text()
    assert "x" * 990 in read_page.text()
    assert "x" * 1100 not in read_page.text()


def test_landmarks_headings_tables_and_controls_are_labelled(read_page: Reader) -> None:
    assert {"header", "nav", "main", "footer"} <= {tag.name for tag in read_page.tags}
    assert next(read_page.named("html")).attributes["lang"] == "en"
    ids = [tag.attributes["id"] for tag in read_page.tags if "id" in tag.attributes]
    assert len(ids) == len(set(ids))
    named = [
        name
        for tag in read_page.tags
        for key in ("aria-labelledby", "aria-describedby")
        for name in tag.attributes.get(key, "").split()
    ]
    named += [t.attributes["href"][1:] for t in read_page.named("a")]
    assert named
    assert set(named) <= set(ids)
    scopes = {head.attributes["scope"] for head in read_page.named("th")}
    assert scopes == {"col", "row"}
    captions = [tag for tag in read_page.tags if tag.name == "caption"]
    assert len(captions) == len(list(read_page.named("table")))
    controls = [control.around[-1] for control in read_page.named("input", "select")]
    assert controls == ["label", "label"]


def test_charts_say_in_words_what_they_show(read_page: Reader) -> None:
    charts = list(read_page.named("svg"))
    assert len(charts) == 2 + 3
    for at, tag in enumerate(read_page.tags):
        if tag.name == "svg":
            assert tag.attributes["role"] == "img"
            assert read_page.tags[at + 1].name == "title"
    assert "values from 0 to 1" in read_page.text()


def test_headings_go_down_one_step_at_a_time(read_page: Reader) -> None:
    levels = [int(tag.name[1]) for tag in read_page.tags if re.fullmatch("h[1-6]", tag.name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_numbers_are_text(hostile: Run, read_page: Reader) -> None:
    tally, text = hostile.numbers.digest.tally, read_page.text()
    assert tally.scored
    assert tally.invalid
    assert f"{tally.mean:.4f}" in text
    assert f"{tally.invalid:,} invalid" in text
    for flag, count in tally.flags.items():
        assert re.search(f"{flag}{count:,}", text)
    assert json.dumps(hostile.provenance.grader["calculate_output"]) in text


def test_every_row_of_a_small_run_is_in_the_table(hostile: Run, read_page: Reader) -> None:
    rows = [tag for tag in read_page.named("tr") if "data-status" in tag.attributes]
    assert len(rows) == hostile.numbers.digest.tally.rows == 2 * len(HOSTILE) + 1
    assert "All 21 rows." in read_page.text()


def test_a_run_of_100_000_rows_is_a_small_page(large: Run) -> None:
    page = report_page(large.numbers, large.provenance, large.texts)
    assert len(page.encode()) < 500_000
    text = Reader(page).text()
    assert f"of {LARGE_ROWS:,} rows: the 40 with the lowest and the highest rewards" in text
    for heading in ("Rewards", "Sub-rewards", "Flags", "Prompts", "Judges", "Lowest and highest"):
        assert heading in text
    assert "pass@k" in text
    cost = sum(spent.cost or 0 for spent in large.numbers.spending)
    usage = large.numbers.spending[0].usage
    fresh = usage.prompt_tokens - usage.cached_tokens
    assert cost == pytest.approx(
        (0.25 * fresh + 0.025 * usage.cached_tokens + 2 * usage.completion_tokens) / 1e6
    )
    assert f"cost {cost:,.2f}" in text


def test_the_worst_texts_keep_the_page_small(tmp_path: Path) -> None:
    """Every character is escaped to several, and there are more flags and parts than fit."""
    results = tmp_path / "results.jsonl"
    keys = [f"<&>{'&' * 50}{number}" for number in range(40)]
    flags = [f"flag_{number}_error" for number in range(15)]
    with results.open("w", encoding="utf-8") as out:
        for line in range(1, 2001):
            parts = dict.fromkeys(keys, line % 97 / 97)
            bad = {flags[line % 15]: "\x00<" * 500} if line % 2 else {}
            status, reward = ("invalid", None) if bad else ("scored", line / 2000)
            out.write(json.dumps({"line": line, "reward": reward, "status": status, "sub_rewards": parts,
                                  "flags": bad, "seconds": line / 1000,
                                  "blame": "row" if bad else None}) + "\n")  # fmt: skip
    data = tmp_path / "rows.jsonl"
    row = json.dumps({"item": {"<": "\x00&" * 2000}, "model_sample": "\x1b<" * 2000})
    data.write_text(f"{row}\n" * 2000, encoding="utf-8")
    run = read(results, data)
    assert not run.texts.why_none
    page = report_page(run.numbers, run.provenance, run.texts)
    Reader(page)
    assert len(page.encode()) < 500_000


def test_a_run_without_a_reward_has_a_page(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text(
        '{"line":1,"reward":null,"status":"failed","sub_rewards":{},"flags":{},"seconds":1}\n'
    )
    run = read(results)
    assert (
        "No row has a reward." in Reader(report_page(run.numbers, run.provenance, run.texts)).text()
    )
    results.write_text("")
    run = read(results)
    Reader(report_page(run.numbers, run.provenance, run.texts))


def test_a_key_keeps_every_character_in_the_head_of_its_column(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text(
        '{"line":1,"reward":1,"status":"scored","sub_rewards":{"C#":1},"flags":{},"seconds":1}\n'
    )
    run = read(results)
    page = Reader(report_page(run.numbers, run.provenance, run.texts))
    assert ("th", "C#") in page.texts
    assert "LineStatusRewardC#msFlagsSample" in page.text()
