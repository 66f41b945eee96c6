"""The HTML report: one self-contained file, no text of a row becomes markup, and it is accessible."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from graders_engine.report.html import page as page_module
from graders_engine.report.html.page import report_page
from graders_engine.report.html.rendering import environment, script_of, source_of
from tests.report.conftest import Run, read
from tests.report.page_reader import ADDRESSES, Reader, rows_of


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
        (inside,) = re.findall(f'<{name}(?: type="module")?>(.*?)</{name}>', page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    # With this policy the browser ignores these and logs an error.
    assert not any(
        {"style", "onclick", "onload", "onerror"} & set(tag.attributes) for tag in read_page.tags
    )


def test_no_text_becomes_markup_and_all_of_it_is_readable(page: str, read_page: Reader) -> None:
    assert page.count("<script") == page.count("</script>") == 2
    assert page.count('<script type="application/json" id="row-data">') == 1
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


def test_a_card_has_the_start_of_a_long_text_and_says_so_the_data_has_all(
    page: str, read_page: Reader
) -> None:
    assert max(len(text) for name, text in read_page.texts if name == "pre") <= 4000
    assert "Sample, its start" in read_page.text()
    assert "x" * 990 in read_page.text()
    assert "x" * 1100 not in read_page.text()
    assert any(row["sample"] == "x" * 5000 for row in rows_of(page))


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
    assert controls == ["label"] * 5
    for table in (tag for tag in read_page.tags if tag.attributes.get("class") == "stacked"):
        assert table.attributes["role"] == "table"


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


def test_a_run_without_a_reward_has_a_page(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text(
        '{"line":1,"reward":null,"status":"failed","sub_rewards":{},"flags":{},"seconds":1,'
        '"blame":"infrastructure"}\n'
    )
    run = read(results)
    assert (
        "No row has a reward." in Reader(report_page(run.numbers, run.provenance, run.texts)).text()
    )
    results.write_text("")
    run = read(results)
    Reader(report_page(run.numbers, run.provenance, run.texts))


def test_the_page_names_files_without_their_folders(tmp_path: Path) -> None:
    folder = tmp_path / "somebody's private folder"
    folder.mkdir()
    data, outputs, results = (folder / name for name in ("in.jsonl", "out.jsonl", "r.jsonl"))
    results.write_text(
        '{"line":1,"reward":1,"status":"scored","sub_rewards":{},"flags":{},"seconds":1}\n'
    )
    meta = {
        "grader": {"type": "string_check"},
        "data": {"path": str(data), "size": 7, "outputs": {"path": str(outputs)}},
        "data_changed": f"{data} changed during the run.",
    }
    results.with_name("r.jsonl.meta.json").write_text(json.dumps(meta))
    run = read(results)
    assert "private" in run.texts.why_none
    page = report_page(run.numbers, run.provenance, run.texts)
    assert "private" not in page
    for sentence in (
        "data in.jsonl",
        "in.jsonl changed during the run.",
        "data.outputs.fileout.jsonl",
    ):
        assert sentence in Reader(page).text()


def test_a_key_keeps_every_character_in_the_head_of_its_column(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text(
        '{"line":1,"reward":1,"status":"scored","sub_rewards":{"C#":1},"flags":{},"seconds":1}\n'
    )
    run = read(results)
    page = Reader(report_page(run.numbers, run.provenance, run.texts))
    assert ("th", "C#") in page.texts


def test_modules_have_the_form_in_which_they_are_put_into_one_script() -> None:
    made = environment(())
    known: dict[str, set[str]] = {}
    for name in page_module.MODULES:
        source = source_of(made, name)
        starts = [line for line in source.split("\n") if re.match(r"import\b|export\b", line)]
        for line in starts:
            found = re.fullmatch(r'import \{ ([\w, ]+) \} from "\./([\w-]+\.js)";', line)
            if found is None:
                assert re.match(r"export (?:const|class|function|async function) \w+", line), line
            else:  # of a module that stands before it, and names that it exports
                assert set(found[1].split(", ")) <= known[found[2]], line
        assert not re.search(r"\bimport\s*\(|\bawait import\b|export default", source), name
        known[name] = set(re.findall(r"^export (?:async )?\w+ (\w+)", source, re.MULTILINE))
        assert name not in ("main.js", "api.js")
    script = script_of({name: source_of(made, name) for name in page_module.MODULES})
    assert not re.search(r"^(?:import|export)\b", script, re.MULTILINE)
