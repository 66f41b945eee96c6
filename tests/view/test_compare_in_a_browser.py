"""A user compares two runs: reads the figures, filters the rows, opens one, sees what differs by words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from graders_engine import Engine
from graders_engine.cli.main import graders
from graders_engine.dataset.scoring.score import score_file
from tests.view.browsing import BROWSER, Tab, browsing
from tests.view.conftest import INVOICE

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH")
COMPARED = "compare?a=old.jsonl&b=new.jsonl"
NAMES = "[...document.querySelectorAll('.pair-table tbody th')].map(one => one.textContent)"
OPENED = "document.querySelector('.drawer:not([hidden]) #pair-title').textContent"
MARKED = "[...document.querySelectorAll('.samples-of-both .{}')].map(one => one.textContent)"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs over the same items, whose samples differ in single words, one of them by very much."""
    base = tmp_path_factory.mktemp("compared")
    for name, vendor, more in (("old", "ACME", ""), ("new", "Acme", "z")):
        rows = [
            {
                "item": {"id": f"inv-{n}", "total": f"{n}.00", "vendor": "ACME"},
                "model_sample": json.dumps({"total": f"{n}.00", "vendor": vendor, "note": more}),
            }
            for n in range(70)
        ]
        rows[3]["model_sample"] = json.dumps(
            {"note": "word " * 8000 + more, "vendor": "ACME", "total": "3.00"}
        )
        rows[5]["model_sample"] = "no JSON" if more else rows[5]["model_sample"]
        (base / f"{name}-rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        with Engine() as engine:
            score_file(engine, INVOICE, base / f"{name}-rows.jsonl", base / f"{name}.jsonl")
    return base


@pytest.fixture(scope="module")
def browser(compared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browsing(compared, tmp_path_factory.mktemp("profile")) as tab:
        tab.start()
        tab.until("document.querySelector('table.runs th a')")
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Iterator[Tab]:
    """The comparison; whatever is done on it leaves the console empty."""
    browser.look(1280)
    browser.go(COMPARED)
    browser.until(f"{NAMES}.length === 50")
    yield browser
    browser.is_quiet()


def test_the_figures_stand_above_the_rows_and_chips_filter_them(tab: Tab) -> None:
    assert "B minus A over the 70 rows" in tab.text(".compared .difference")
    chips = tab.value(
        "[...document.querySelectorAll('.compare .chip')].map(one => one.textContent)"
    )
    assert [chip.strip() for chip in chips] == ["better 0", "worse 68", "newly invalid 1", "same 1"]
    said = tab.value("document.querySelector('.compare .filters [role=status]').textContent")
    assert "70 rows; a row with another status is not among better and worse" in said
    assert "Prompts" not in tab.text("#bar nav")  # no prompt has several samples
    tab.click(".chip[data-change=worse]")
    tab.until(f"{NAMES}.length === 50 && location.search.includes('worse')")
    tab.until("document.querySelector('th[aria-sort=ascending]').textContent.startsWith('Change')")
    assert tab.text(".pair-table tbody .moved-part").startswith("vendor")
    tab.click(".chip[data-change=worse]")
    tab.until("!document.querySelector('th[aria-sort]')")
    tab.click(".chip[data-change=newly_invalid]")
    tab.until(f"{NAMES}.length === 1")
    assert tab.query["change"] == "newly_invalid"
    assert tab.value(NAMES) == ["6"]
    tab.value("history.back()")
    tab.until(f"{NAMES}.length === 50")
    assert tab.value("document.querySelector('#sub-rewards h2').textContent") == "Sub-rewards"


def test_the_list_of_runs_has_no_column_that_is_empty_in_all(tab: Tab) -> None:
    tab.go("")
    tab.until("document.querySelector('table.runs th a')")
    heads = "[...document.querySelectorAll('[aria-label=Runs] thead th:not([hidden])')]"
    shown = tab.value(f"{heads}.map((one) => one.innerText.split('\\n')[0])")
    assert shown == ["Compare", "Run", "Grader", "Rows", "Mean", "Rewards", "Invalid", "When"]


def test_a_row_opens_with_both_samples_by_words(tab: Tab) -> None:
    tab.click(".pair-table tbody tr:first-child .row-link")
    assert "Row 1" in tab.until(OPENED)
    tab.until(f"{MARKED.format('left')}.length")
    assert tab.value(MARKED.format("left")) == ["ACME"]
    assert tab.value(MARKED.format("right")) == ["Acme", "z"]
    rewards = (
        "[...document.querySelectorAll('.pair-view .mean')].map(one => Number(one.textContent))"
    )
    first, second = tab.value(rewards)
    assert first > second
    assert "0.75 * 1.0 + 0.25 * 1.0" in tab.text(".pair-view .formula")
    parts = "[...document.querySelectorAll('.parts-of-both tbody tr')].map(one => [...one.children].slice(0, 4).map(cell => cell.textContent))"  # noqa: E501 - one expression
    (total, vendor) = tab.value(parts)
    assert total == ["total", "1", "1", "same"]
    assert vendor[0] == "vendor"
    assert float(vendor[3]) == pytest.approx(float(vendor[2]) - float(vendor[1]), abs=1e-4)


def test_keys_lead_from_row_to_row_and_out_again(tab: Tab) -> None:
    tab.click(".pair-table tbody tr:first-child .row-link")
    tab.until(f"{OPENED}.includes('Row 1')")
    tab.press("j", "j")
    tab.until(f"{OPENED}.includes('Row 3')")
    tab.press("k")
    tab.until(f"{OPENED}.includes('Row 2')")
    assert tab.query["row"] == "2"
    tab.press("Escape")
    tab.until("document.querySelector('.drawer').hidden")
    assert "row" not in tab.query
    tab.until("document.activeElement.textContent === '2'")


def test_keys_lead_over_the_end_of_a_page(tab: Tab) -> None:
    tab.go(f"{COMPARED}&row=51")
    tab.until(f"{OPENED}.includes('Row 51')")
    tab.until(f"{NAMES}.includes('51')")
    tab.press("j")
    tab.until(f"{OPENED}.includes('Row 52')")
    tab.until(f"{NAMES}[0] === '52'")
    assert tab.query["page"] == "2"


def test_of_texts_that_are_cut_the_whole_is_compared_when_asked_for(tab: Tab) -> None:
    tab.go(f"{COMPARED}&row=4")
    button = ".samples-of-both button"
    tab.until(f"document.querySelector('{button}')")
    assert "Only what stands here is compared" in tab.text(".samples-of-both")
    assert tab.value(MARKED.format("right")) == []
    tab.click(button)
    tab.until(f"{MARKED.format('right')}.length")
    assert tab.value(f"{MARKED.format('right')}[0]").endswith(
        'z", "vendor": "ACME", "total": "3.00"}'
    )


def test_a_search_narrows_the_rows_of_both(tab: Tab) -> None:
    tab.press("/")
    tab.write("no JSON")
    tab.until(f"{NAMES}.length === 1")
    assert tab.query["q"] == "no JSON"


def test_a_run_that_is_open_is_compared_with_the_one_that_is_chosen(browser: Tab) -> None:
    browser.look(1280)
    browser.go("runs/new.jsonl")
    browser.click("#bar nav a[href^='/view/compare']")
    chosen = "[...document.querySelectorAll('.picker select')].map(one => one.value)"
    browser.until(f"{chosen}.length === 2")
    assert browser.value(chosen) == ["", "new.jsonl"]
    browser.value(
        "(() => { const a = document.querySelector('.picker select'); a.value = 'old.jsonl';"
        " a.dispatchEvent(new Event('change')) })()"
    )
    browser.until(f"{NAMES}.length === 50")
    assert browser.query == {"a": "old.jsonl", "b": "new.jsonl"}
    assert browser.text("#bar .chooser b") == "new"
    browser.is_quiet()


def test_two_runs_are_chosen_and_swapped(browser: Tab) -> None:
    browser.go("compare?a=old.jsonl")
    browser.until("document.querySelectorAll('.picker select').length === 2")
    browser.value(
        "(() => { const b = document.querySelectorAll('.picker select')[1]; b.value = 'new.jsonl';"
        " b.dispatchEvent(new Event('change')) })()"
    )
    browser.until(f"{NAMES}.length === 50")
    browser.click(".pickers a.button")
    browser.until("new URLSearchParams(location.search).get('a') === 'new.jsonl'")
    browser.until("document.querySelector('.chip[data-change=better] b').textContent === '68'")
    browser.is_quiet()


@pytest.mark.parametrize(("width", "scheme"), [(420, "dark"), (1280, "light")])
def test_it_fits_the_screen(width: int, scheme: str, tab: Tab) -> None:
    tab.look(width, scheme)
    assert tab.value("document.documentElement.scrollWidth") == width
    tab.go(f"{COMPARED}&row=1")
    tab.until(f"{MARKED.format('left')}.length")
    assert tab.value("document.documentElement.scrollWidth") == width


WORDS = """
(async () => {
  const { differences } = await import("/view/static/words.js");
  let seed = 7;
  const draw = (n) => (seed = (seed * 48271) % 2147483647) % n;
  const side = (pieces, kind) => pieces.filter((one) => one.kind !== kind).map((one) => one.text).join("");
  const common = (a, b) => {
    const t = [...Array(a.length + 1)].map(() => Array(b.length + 1).fill(0));
    for (let i = a.length - 1; i >= 0; i--)
      for (let j = b.length - 1; j >= 0; j--)
        t[i][j] = a[i] === b[j] ? 1 + t[i + 1][j + 1] : Math.max(t[i + 1][j], t[i][j + 1]);
    return t[0][0];
  };
  const wrong = [];
  for (let turn = 0; turn < 2000; turn++) {
    const [a, b] = [0, 1].map(() => Array.from({ length: draw(12) }, () => "abc"[draw(3)]).join(","));
    const pieces = differences(a, b);
    const same = side(pieces.filter((one) => one.kind === "same")).length;
    const isWhole = side(pieces, "right") === a && side(pieces, "left") === b;
    if (!isWhole || same !== common(a, b)) wrong.push([a, b]);
  }
  const many = (n, name) => Array.from({ length: n }, (_, at) => name(at)).join("\\n");
  const line = (at) => `l ${at}`;
  const lines = differences(many(3000, line), many(3000, (at) => (at === 9 ? "other" : line(at))));
  const first = differences(many(20001, (at) => at), many(20001, (at) => (at > 5 && at % 2 ? "x" : at)));
  const apart = differences(many(1400, (at) => `a${at}`), many(1400, (at) => `b${at}`));
  const short = (pieces) => pieces.map(({ kind, text }) => [kind, text.length < 20 ? text : text.length]);
  return [wrong, short(lines).slice(1, 3), short(first).slice(0, 1), apart.length];
})()
"""


def test_differences_are_least_and_give_both_texts_back(tab: Tab) -> None:
    wrong, lines, first, apart = tab.value(WORDS)
    assert wrong == []
    assert lines == [["left", "l 9\n"], ["right", "other\n"]]
    assert first == [["same", "0\n1\n2\n3\n4\n5\n6\n"]]
    assert apart == 2


def test_the_sub_rewards_that_differ_are_named_above_the_rows(tab: Tab, compared: Path) -> None:
    files = [str(compared / f"{name}.jsonl") for name in ("old", "new")]
    parts = json.loads(CliRunner().invoke(graders, ["compare", *files, "--json"]).stdout)
    by = {key: part["difference"]["value"] for key, part in parts["sub_rewards"].items()}
    # One output of the new run is no JSON, and counts as 0 in each part.
    assert by["vendor"] < by["total"] == pytest.approx(-1 / 70)
    moves = "[...document.querySelectorAll('.compared .part-move')].map(one => one.textContent)"
    assert tab.value(moves) == [f"{key} {by[key]:+.4f}" for key in ("vendor", "total")]
    above = "document.querySelector('.part-moves').getBoundingClientRect().bottom"
    assert tab.value(f"{above} < document.querySelector('.pair-table').getBoundingClientRect().top")
    tab.click(".part-moves a")
    tab.until("document.querySelector('#sub-rewards').getBoundingClientRect().top < innerHeight")
    assert tab.value(f"{NAMES}.length") == 50
